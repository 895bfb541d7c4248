"""Checking summaries: planted errors flagged, true sentences flagged, and the time for 50 papers of 30 pages.

    python benchmarks/digest_check.py [--half blind] [--papers 50] [--json]

The planted set (tests/digest/check/planted) has 23 invented papers with true sentences in English and Korean.
Each slot of a sentence gives one error. Rules and thresholds were tuned on the development half (20 papers) only.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "digest" / "check"))

import planted_set

from sillok.digest.check import check_text
from sillok.digest.text import PaperText, Passage

NAMES = {"en": "English", "ko": "Korean"}


def measure(half: str) -> dict[str, dict[str, tuple[int, int]]]:
    """Return, by language, for each kind (and "true") how many sentences were flagged, of how many."""
    ids = planted_set.HALVES[half]
    total: Counter[tuple[str, str]] = Counter()
    flagged: Counter[tuple[str, str]] = Counter()
    for sentence in (*planted_set.true(ids), *planted_set.planted(ids)):
        key = (sentence.language, sentence.kind or "true")
        total[key] += 1
        found = check_text(sentence.text, planted_set.paper(sentence.id))
        flagged[key] += any(finding.verdict != "supported" for finding in found)
    return {
        language: {
            kind: (flagged[language, kind], total[language, kind]) for kind in ("true", *planted_set.KINDS)
        }
        for language in NAMES
    }


def shares(kinds: dict[str, tuple[int, int]]) -> tuple[float, float]:
    """Return the shares in % of planted errors and of true sentences that were flagged."""
    planted = [kinds[kind] for kind in planted_set.KINDS]
    true = kinds["true"]
    return 100 * sum(a for a, _ in planted) / sum(b for _, b in planted), 100 * true[0] / true[1]


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
    options = parser.parse_args()
    results = {half: measure(half) for half in options.half or planted_set.HALVES}
    if options.json:
        print(json.dumps(results))
        return
    for half, languages in results.items():
        for language, kinds in languages.items():
            errors, false = shares(kinds)
            print(
                f"{half}, {NAMES[language]}: {errors:.1f} % of planted errors flagged (wanted: 95 % or more),"
                f" {false:.1f} % of true sentences flagged (wanted: 3 % or less)"
            )
            print("   " + ", ".join(f"{kind} {a}/{b}" for kind, (a, b) in kinds.items()))
    if options.papers:
        seconds, memory = timing(options.papers, 30)
        print(
            f"{options.papers} papers of 30 pages, ten sentences each: {seconds:.1f} s of CPU, peak {memory:.0f} MB"
        )


if __name__ == "__main__":
    main()
