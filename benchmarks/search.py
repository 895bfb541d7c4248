"""Time searches over a synthetic record of 200,000 papers, English and Korean: prints p50, p95 and the worst.

python benchmarks/search.py [--papers 200000] [--runs 100000] [--record PATH_OR_URL] [--queries 600] [--seed 0]

The record is that of `filled.py`; `--record` names another one, which is filled where it is empty. Words follow
Zipf's law; 모델 and "model" are in every paper, so that the queries hold the hardest words too.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from filled import FAMILIES, PARTICLES, Words, place

from sillok.record import Record


def queries(
    count: int, words: Words, titles: list[str], rng: np.random.Generator
) -> list[tuple[str, str | None]]:
    """A mix of what readers type: common and rare words, both languages, beginnings, titles, ids."""

    def en(low: int, high: int) -> str:
        return words.en[int(rng.integers(low, high))]

    def ko(low: int, high: int) -> str:
        return words.ko[int(rng.integers(low, high))]

    kinds = [
        lambda: "모델",
        lambda: "model",
        lambda: "모델 학습",
        lambda: "the model",
        lambda: f"model {en(0, 30)} 모델",
        lambda: f"{ko(0, 16)}{PARTICLES[int(rng.integers(1, 14))]}",
        lambda: ko(16, 3000),
        lambda: f"{ko(0, 16)} {ko(16, 500)}",
        lambda: en(30, 3000),
        lambda: f"{en(0, 30)} {en(30, 500)}",
        lambda: f"{en(30, 300)} {en(30, 300)}",
        lambda: en(0, 300)[: int(rng.integers(2, 5))],
        lambda: "low-rank",
        lambda: "state-of-the-art 성능",
        lambda: titles[int(rng.integers(len(titles)))],
        lambda: f"24{int(rng.integers(1, 13)):02d}.{int(rng.integers(10_000)):05d}",
        lambda: en(5000, 30_000) + " " + ko(5000, 30_000),
    ]
    families: list[str | None] = [None, None, None, *FAMILIES[:1]]
    return [(kinds[i % len(kinds)](), families[int(rng.integers(4))]) for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=200_000)
    parser.add_argument("--record", default=None)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    words = Words(np.random.default_rng(asked.seed))
    with Record.open(place(asked.record, asked.papers, asked.runs, asked.seed)) as record:
        rng = np.random.default_rng(asked.seed + 1)
        titles = [paper.title for paper in record.papers(limit=1000, offset=asked.papers // 2)]
        record.search("warm")
        took: list[tuple[float, str, int]] = []
        for query, family in queries(asked.queries, words, titles, rng):
            began = time.perf_counter()
            found = len(record.search(query, family=family))
            took.append(((time.perf_counter() - began) * 1e3, f"{query} [{family or 'any family'}]", found))
        times = np.array([time for time, _, _ in took])
        p50, p95, p99 = np.percentile(times, [50, 95, 99])
        print(
            f"{len(took)} searches: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, "
            f"worst {times.max():.1f} ms"
        )
        for time_ms, query, found in sorted(took, reverse=True)[:10]:
            print(f"  {time_ms:6.1f} ms  {found:2d} found  {query}")


if __name__ == "__main__":
    main()
