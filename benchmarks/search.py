"""Time searches over a synthetic record of 200,000 papers, English and Korean: prints p50, p95 and the worst.

python benchmarks/search.py [--papers 200000] [--record PATH_OR_URL] [--queries 600] [--seed 0]

The record is built where it is missing (some minutes) and kept where `--record` names one. Words follow
Zipf's law; 모델 and "model" are in every paper, so that the queries hold the hardest words too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from sillok.record import Record, StoredPaper

FAMILIES = ("optim", "attention", "diffusion", "search", "vision-language", "audio", "agents", "theory")
PARTICLES = ("", "의", "을", "를", "은", "는", "이", "가", "에서", "으로", "와", "과", "에", "도", "합니다")
COMMON_EN = [
    *("the", "of", "and", "to", "a", "in", "we", "for", "model", "models", "is", "on", "with", "that"),
    *("training", "learning", "data", "large", "language", "method", "performance", "results", "image"),
    *("attention", "diffusion", "generation", "low-rank", "state-of-the-art", "benchmark"),
]
COMMON_KO = [
    *("모델", "학습", "데이터", "성능", "방법", "논문", "이미지", "생성", "언어", "대규모", "제안", "결과"),
    *("연구", "효율", "주의집중", "강화학습"),
]


class Words:
    """A Zipf vocabulary in two languages; `draw` gives words as numbers."""

    def __init__(self, rng: np.random.Generator, size: int = 30_000) -> None:
        letters = list("etaoinshrdlcumwfgypbvk")
        odds = np.linspace(3, 0.3, len(letters))
        syllables = [chr(code) for code in rng.choice(np.arange(0xAC00, 0xD7A4), 600, replace=False)]
        self.en = COMMON_EN + [
            "".join(rng.choice(letters, int(rng.integers(4, 12)), p=odds / odds.sum())) for _ in range(size)
        ]
        self.ko = COMMON_KO + ["".join(rng.choice(syllables, int(rng.integers(2, 5)))) for _ in range(size)]
        weights = 1 / (np.arange(len(self.ko)) + 2.7)
        self.cumulative = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.searchsorted(self.cumulative, rng.random(count)).clip(max=len(self.ko) - 1)


def papers(count: int, words: Words, rng: np.random.Generator) -> Iterator[StoredPaper]:
    for number in range(count):
        title = [words.en[i] for i in words.draw(rng, 8)]
        english = " ".join(words.en[i] for i in words.draw(rng, 70))
        particles = rng.integers(len(PARTICLES), size=80)
        korean = " ".join(
            words.ko[i] + PARTICLES[p] for i, p in zip(words.draw(rng, 80), particles, strict=True)
        )
        authors = [" ".join(words.en[i].title() for i in rng.integers(100, 5000, 2)) for _ in range(5)]
        yield StoredPaper(
            id=f"{10 + number // 20_000}{number // 1700 % 12 + 1:02d}.{number % 100_000:05d}",
            title=" ".join(title).capitalize(),
            authors=tuple(authors),
            published=str(date(2015, 1, 1) + timedelta(days=number * 3650 // count)),
            family=FAMILIES[number % len(FAMILIES)],
            summaries={"en": f"A model: {english}.", "ko": f"이 모델은 {korean}."},
        )


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
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    words = Words(rng)
    with (
        tempfile.TemporaryDirectory() as folder,
        Record.open(asked.record or Path(folder) / "r.sqlite") as record,
    ):
        if not record.papers(limit=1):
            began = time.perf_counter()
            record.add_papers(papers(asked.papers, words, rng))
            print(f"built {asked.papers:,} papers in {time.perf_counter() - began:.0f} s")
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
