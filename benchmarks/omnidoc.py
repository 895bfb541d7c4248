"""Scoring of document parsers: 10,000 predictions with OmniDocBench's rules, and the authors' script beside it.

    python benchmarks/omnidoc.py [--predictions 10000] [--checkout DIR --python PYTHON] [--cases 300] [--json]

The predictions are made-up systems' (letters misread, columns swapped, paragraphs dropped or cut) for pages of the
standard library's prose. With a checkout of opendatalab/OmniDocBench and an interpreter that has its requirements, the
same predictions, its own demo under four shares of noise, and hostile ones are scored by both, and processor time is
set beside processor time; the start of their script is measured with no case and taken off.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import resource
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from sillok.methods.evals.omnidoc import OmniDocBench
from sillok.methods.evals.omnidoc import normalise as texts
from sillok.methods.evals.omnidoc.cases import made_cases
from sillok.methods.evals.omnidoc.page import page_key
from sillok.methods.evals.omnidoc.parity import parity_score
from sillok.methods.evals.parity import run_authors
from sillok.methods.evals.predictions import Prediction
from sillok.testbeds.documents import ocr_noise, page_truth, page_written

PAGES = 500
DEMO = ("demo_data/omnidocbench_demo/OmniDocBench_demo.json", "demo_data/end2end")
RATES = (0.0, 0.02, 0.1, 0.3)
TAGS = re.compile(r"(<[^<>]*>)")
Case = dict[str, Any]


def misread(text: str, rate: float, rng: Random) -> str:
    """Letters misread, but for those of HTML tags."""
    return "".join(
        part if part.startswith("<") else ocr_noise(part, rate, rng)[0] for part in TAGS.split(text)
    )


def spoilt(blocks: list[str], rng: Random) -> str:
    """One system's reading of a page."""
    blocks = [misread(block, rng.choice((0.0, 0.01, 0.05, 0.2)), rng) for block in blocks]
    half = len(blocks) // 2
    kind = rng.randrange(5)
    if kind == 1:
        blocks = blocks[half:] + blocks[:half]
    elif kind == 2:
        blocks.pop(rng.randrange(len(blocks)))
    elif kind == 3:
        blocks = [block.replace(". ", ".\n\n") for block in blocks]
    return "\n\n".join(blocks)


def document_cases(count: int, seed: int) -> list[Case]:
    """Predictions of several systems for the same pages."""
    pages, rng = page_truth(min(PAGES, count), seed), Random(seed)
    written = [page_written(page) for page in pages]
    return [
        {
            "page": pages[at % len(pages)],
            "prediction": spoilt(written[at % len(pages)], rng),
            "match": "quick_match",
        }
        for at in range(count)
    ]


def demo_cases(checkout: Path, seed: int) -> list[Case]:
    """The checkout's demo, its predictions as they are and with letters misread."""
    pages, rng = json.loads((checkout / DEMO[0]).read_text(encoding="utf-8")), Random(seed)
    cases = []
    for page in pages:
        text = (checkout / DEMO[1] / f"{page_key(page)}.md").read_text(encoding="utf-8")
        cases += [
            {"page": page, "prediction": misread(text, rate, rng), "match": "quick_match"} for rate in RATES
        ]
    return cases


def hostile_cases(count: int, seed: int) -> list[Case]:
    return [{**case, "match": "quick_match"} for case in made_cases(count, seed)]


def ours(cases: list[Case]) -> tuple[float, list[dict[str, Any]]]:
    """Processor seconds, nothing remembered from before, and the scores."""
    for remembered in (texts.latex_to_unicode, texts.normalise_gold_table, texts._short_text):
        remembered.cache_clear()
    began = time.process_time()
    scores = [parity_score(case) for case in cases]
    return time.process_time() - began, scores


def theirs(checkout: Path, python: str, cases: list[Case]) -> tuple[float, list[dict[str, Any]]]:
    """Processor seconds of the authors' script without its start, and its scores."""

    def spent(part: list[Case]) -> tuple[float, list[dict[str, Any]]]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        scores = run_authors("omnidocbench", checkout, part, python=python, timeout=3600)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, scores

    start, _ = spent([])
    seconds, scores = spent(cases)
    return seconds - start, scores


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) <= 1e-9 for name in one)


def many(count: int, seed: int) -> dict[str, Any]:
    """The time and memory of scoring many predictions, making them not counted."""
    cases, bench = document_cases(count, seed), OmniDocBench()
    began, wall = time.process_time(), time.perf_counter()
    items = [bench.grade(case["page"], Prediction(case["prediction"]), "published") for case in cases]
    figures = bench.total(items, "published")
    return {
        "predictions": count,
        "seconds": round(time.perf_counter() - wall, 1),
        "processor_seconds": round(time.process_time() - began, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "text_edit": figures["text_edit"],
    }


def beside(name: str, cases: list[Case], checkout: Path, python: str) -> dict[str, Any]:
    here, mine = ours(cases)
    there, published = theirs(checkout, python, cases)
    same = sum(equal(a, b) for a, b in zip(mine, published, strict=True))
    return {
        "set": name,
        "cases": len(cases),
        "equal": same,
        "sillok_s": round(here, 2),
        "authors_s": round(there, 2),
        "ratio": round(there / here, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--predictions", type=int, default=10_000, help="how many to score for time and memory"
    )
    parser.add_argument("--checkout", type=Path, help="the authors' repository, to run their script as well")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with its requirements")
    parser.add_argument("--cases", type=int, default=300, help="of each made-up set that both score")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # pylatexenc tells of every broken formula
    found: dict[str, Any] = {"many": many(options.predictions, options.seed)}
    if options.checkout is not None:
        sets = {
            "the checkout's demo, four shares of noise": demo_cases(options.checkout, options.seed),
            "made-up pages": document_cases(options.cases, options.seed + 1),
            "hostile predictions": hostile_cases(options.cases, options.seed + 1),
        }
        found["beside"] = [
            beside(name, cases, options.checkout, options.python) for name, cases in sets.items()
        ]
    if options.json:
        print(json.dumps(found))
        return
    row = found["many"]
    print(
        f"{row['predictions']:,} predictions: {row['seconds']} s ({row['processor_seconds']} s of processor time), ",
        end="",
    )
    print(f"at most {row['peak_mb']:,} MB; 60 s and 1,000 MB are wanted")
    for row in found.get("beside", ()):
        print(
            f"{row['set']}: {row['cases']} predictions, {row['equal']} scored equally; processor time ",
            end="",
        )
        print(f"{row['sillok_s']} s here, {row['authors_s']} s the authors' script: {row['ratio']} times")


if __name__ == "__main__":
    main()
