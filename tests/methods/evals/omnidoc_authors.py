"""Scores of the authors' own code, from a checkout of theirs, for pages and predictions in a JSON file.

    python tests/methods/evals/omnidoc_authors.py CHECKOUT CASES.json SCORES.json

CASES holds [{"page": ..., "prediction": "..."}]. It runs in an environment with the checkout's requirements. Two
things are changed in their code while it runs: the time limit of matching is off, so that scores do not depend on the
machine, and modules that the scores do not need (CDM, ``evaluate``) are empty. A case that their code fails on has its
error instead of scores.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
import time
import types
from pathlib import Path


def _quiet_imports(checkout):
    """The modules of the checkout, with what they need not have left out."""
    for name, members in (
        ("evaluate", {}),
        ("metrics.cdm_metric", {"CDM": None}),
        ("matplotlib", {}),
        ("matplotlib.pyplot", {}),
        ("matplotlib.font_manager", {"FontProperties": lambda fname: None}),
        ("func_timeout", {"func_timeout": lambda limit, call, args: call(*args), "FunctionTimedOut": TimeoutError}),
    ):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(members)
    sys.path.insert(0, checkout)
    os.environ["TQDM_DISABLE"] = "1"
    package = types.ModuleType("metrics")  # its __init__ would load everything
    package.__path__ = [str(Path(checkout) / "metrics")]
    sys.modules["metrics"] = package
    datasets = types.ModuleType("dataset")
    datasets.__path__ = [str(Path(checkout) / "dataset")]
    sys.modules["dataset"] = datasets
    import dataset.end2end_dataset as end2end
    import metrics.cal_metric as metric

    return end2end, metric


def _run(end2end, metric, page, prediction):
    folder = Path("case")
    name = os.path.basename(page["page_info"]["image_path"])
    (folder / (name[:-4] + ".md")).write_text(prediction, encoding="utf-8", newline="")
    Path("page.json").write_text(json.dumps([page]), encoding="utf-8")
    config = {
        "dataset": {
            "ground_truth": {"data_path": "page.json"},
            "prediction": {"data_path": str(folder)},
            "match_method": METHOD,
        }
    }
    began = time.perf_counter()
    samples = end2end.End2EndDataset(config).samples
    scores = {}
    for ours, theirs in (("text", "text_block"), ("formula", "display_formula"), ("table", "table"), ("order", "reading_order")):
        listed = samples[theirs].samples
        if ours == "table" and listed:
            metric.call_TEDS(listed).evaluate([], "x")
        total = metric.call_Edit_dist(listed).evaluate([], "x")[1]["Edit_dist"]["ALL_page_avg"] if listed else None
        scores[ours] = {
            "edit": None if total in (None, "NaN") or total != total else float(total),
            "edits": sum(int(sample.get("Edit_num", 0)) for sample in listed),
            "length": sum(int(sample["upper_len"]) for sample in listed),
        }
        if ours == "table":
            for key in ("TEDS", "TEDS_structure_only"):
                scores[key] = [float(sample["metric"][key]) for sample in listed]
    (folder / (name[:-4] + ".md")).unlink()
    return scores, time.perf_counter() - began


def main(checkout, cases_file, scores_file):
    cases = json.loads(Path(cases_file).read_text(encoding="utf-8"))
    scores_file = Path(scores_file).resolve()
    end2end, metric = _quiet_imports(str(Path(checkout).resolve()))
    out, spent = [], 0.0
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        Path("case").mkdir()
        Path("result").mkdir()
        for case in cases:
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    scores, seconds = _run(end2end, metric, case["page"], case["prediction"])
                spent += seconds
            except (Exception, SystemExit) as error:
                scores = {"error": type(error).__name__}
            out.append(scores)
        os.chdir("/")
    scores_file.write_text(json.dumps({"seconds": spent, "scores": out}), encoding="utf-8")


METHOD = "quick_match"

if __name__ == "__main__":
    if len(sys.argv) > 4:
        METHOD = sys.argv[4]
    main(*sys.argv[1:4])
