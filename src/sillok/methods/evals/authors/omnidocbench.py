"""Runs OmniDocBench's end-to-end evaluation on pages and predictions, one case at a time.

Started by `sillok.methods.evals.parity` with the checkout as its argument; cases come in and scores go out as JSON. Two
things are other than in their script: matching has no time limit, after which it would fall back to another method and
make scores depend on the machine, and modules that these scores do not need (CDM, ``evaluate``, plots) are empty.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import types
from pathlib import Path

ABSENT = {
    "evaluate": {},
    "metrics.cdm_metric": {"CDM": None},
    "matplotlib": {},
    "matplotlib.pyplot": {},
    "matplotlib.font_manager": {"FontProperties": lambda fname: None},
    "func_timeout": {"func_timeout": lambda limit, call, args: call(*args), "FunctionTimedOut": TimeoutError},
}
PARTS = {"text": "text_block", "formula": "display_formula", "table": "table", "order": "reading_order"}


def load(checkout: str) -> tuple[types.ModuleType, types.ModuleType]:
    """The checkout's data set and metrics, without the packages' own ``__init__``, which load everything."""
    for name, members in ABSENT.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    for name in ("metrics", "dataset"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(checkout) / name)]
        sys.modules[name] = package
    sys.path.insert(0, checkout)
    os.environ["TQDM_DISABLE"] = "1"
    from dataset import end2end_dataset
    from metrics import cal_metric

    return end2end_dataset, cal_metric


def score(case: dict, data: types.ModuleType, metric: types.ModuleType) -> dict[str, object]:
    """Edits and lengths by part, and TEDS of every table."""
    name = Path(case["page"]["page_info"]["image_path"]).name[:-4] + ".md"
    Path("predictions").mkdir(exist_ok=True)
    Path("predictions", name).write_text(case["prediction"], encoding="utf-8", newline="")
    Path("page.json").write_text(json.dumps([case["page"]]), encoding="utf-8")
    config = {
        "ground_truth": {"data_path": "page.json"},
        "prediction": {"data_path": "predictions"},
        "match_method": case["match"],
    }
    samples = data.End2EndDataset({"dataset": config}).samples
    found: dict[str, object] = {}
    for part, theirs in PARTS.items():
        listed = samples[theirs].samples
        if part == "table" and listed:
            metric.call_TEDS(listed).evaluate([], "parity")
        if listed:
            edit = metric.call_Edit_dist(listed).evaluate([], "parity")[1]["Edit_dist"]["ALL_page_avg"]
            edits = sum(int(sample.get("Edit_num", 0)) for sample in listed)
            length = sum(int(sample["upper_len"]) for sample in listed)
            assert not length or abs(edit - edits / length) < 1e-12, "the page's figure is edits over lengths"
            found |= {f"{part}/edits": edits, f"{part}/length": length}
        if part == "table":
            for at, sample in enumerate(listed):
                found[f"teds/{at}"] = round(float(sample["metric"]["TEDS"]), 12)
                found[f"structure/{at}"] = round(float(sample["metric"]["TEDS_structure_only"]), 12)
    Path("predictions", name).unlink()
    return found


def main() -> None:
    data, metric = load(sys.argv[1])
    scores: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        Path("result").mkdir()
        for case in json.load(sys.stdin):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    scores.append(score(case, data, metric))
            except (Exception, SystemExit) as error:  # their code ends the program where matching fails
                scores.append({"error": type(error).__name__})
        os.chdir("/")
    print(json.dumps(scores))


main()
