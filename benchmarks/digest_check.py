"""Checking summaries: planted errors flagged, true sentences flagged, and the time for 50 papers of 30 pages.

    python benchmarks/digest_check.py [--half blind] [--papers 50] [--json] [--judge openai/gpt-4o --cache DIR]

The planted set (tests/digest/check/planted) has 70 invented papers with true sentences in English and Korean.
Each slot of a sentence gives one error. Rules and weights were made on the development half (58 papers); the blind
one (twelve) is by writers who knew nothing of the checker, and nobody looked at it while the checker was changed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "digest" / "check"))

import planted_set

from sillok.digest.check import check_text, load_judge
from sillok.digest.check.opinions import Judge
from sillok.digest.text import PaperText, Passage

NAMES = {"en": "English", "ko": "Korean"}


def measure(half: str, judge: Judge | None = None) -> dict[str, dict[str, tuple[int, int]]]:
    """Return, by language, for each kind (and "true") how many sentences were flagged, of how many.

    A judge is asked about each sentence alone: 2,376 calls for the blind half.
    """
    ids = planted_set.HALVES[half]
    total: Counter[tuple[str, str]] = Counter()
    flagged: Counter[tuple[str, str]] = Counter()
    for sentence in (*planted_set.true(ids), *planted_set.planted(ids)):
        key = (sentence.language, sentence.kind or "true")
        total[key] += 1
        found = check_text(sentence.text, planted_set.paper(sentence.id), judge=judge)
        flagged[key] += any(finding.verdict != "supported" for finding in found)
    return {
        language: {
            kind: (flagged[language, kind], total[language, kind]) for kind in ("true", *planted_set.KINDS)
        }
        for language in NAMES
    }


def line(kinds: dict[str, tuple[int, int]]) -> str:
    """Return in words which part of the planted errors and of the true sentences was flagged, with intervals."""
    planted = [kinds[kind] for kind in planted_set.KINDS]
    told = []
    for part, whole, what, wanted in (
        (sum(a for a, _ in planted), sum(b for _, b in planted), "planted errors", "95 % or more"),
        (*kinds["true"], "true sentences", "3 % or less"),
    ):
        low, high = wilson(part, whole)
        share = 100 * part / whole
        told.append(f"{share:.1f} % [{low:.1f}, {high:.1f}] of {whole:,} {what} flagged (wanted: {wanted})")
    return ", ".join(told)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, in %."""
    z = 1.96
    middle, spread = part + z * z / 2, z * math.sqrt(part * (whole - part) / whole + z * z / 4)
    return 100 * (middle - spread) / (whole + z * z), 100 * (middle + spread) / (whole + z * z)


def long_paper(draw: random.Random, number: int, pages: int) -> PaperText:
    """Return a paper of that many pages (about 500 words each), its passages drawn from the planted set's papers."""
    pool = [p for id in planted_set.IDS for p in planted_set.paper(id).passages if p.kind != "title"]
    passages, words = [Passage("title", "", f"Paper {number}")], 0
    while words < 500 * pages:
        passages.append(draw.choice(pool))
        words += len(passages[-1].text.split())
    return PaperText(f"2902.{number:05d}", None, tuple(passages), "text")


def timing(papers: int, pages: int) -> tuple[float, float]:
    """Return CPU seconds for checking ten sentences against each of that many papers, and peak memory in MB."""
    draw = random.Random(0)
    texts = [long_paper(draw, number, pages) for number in range(papers)]
    sentences = [s.text for s in planted_set.true(planted_set.IDS)]
    start = time.process_time()
    for text in texts:
        check_text(" ".join(draw.sample(sentences, 10)), text)
    return time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--half", choices=tuple(planted_set.HALVES), action="append")
    parser.add_argument("--papers", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--judge", metavar="NAME", help="a language model as Inspect names it judges too")
    parser.add_argument("--cache", type=Path, help="folder of the judge's answers")
    options = parser.parse_args()
    report = partial(print, file=sys.stderr)
    judge = load_judge(options.judge, cache=options.cache, report=report) if options.judge else None
    results = {half: measure(half, judge) for half in options.half or planted_set.HALVES}
    if judge is not None:
        print(f"{options.judge}: {judge.spent.calls:,} calls, {judge.spent.total:,} tokens")
    if options.json:
        print(json.dumps(results))
        return
    for half, languages in results.items():
        for language, kinds in languages.items():
            print(f"{half}, {NAMES[language]}: {line(kinds)}")
            print("   " + ", ".join(f"{kind} {a}/{b}" for kind, (a, b) in kinds.items()))
    if options.papers:
        seconds, memory = timing(options.papers, 30)
        print(
            f"{options.papers} papers of 30 pages, ten sentences each: {seconds:.1f} s of CPU, peak {memory:.0f} MB"
        )


if __name__ == "__main__":
    main()
