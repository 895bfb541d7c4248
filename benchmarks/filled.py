"""The large record that benchmarks read: invented papers, runs, verdicts and digests, made once and kept.

Filling goes through the record's own code, but for three things that only matter while two gigabytes are
written at once: the file is not synced, the full-text index is built at the end in one go, and papers come
after the verdicts that their index holds. The file lies in the user's cache folder (`SILLOK_BENCH` names another)
under a name that changes with what is in it; what was kept under other names is removed.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import platformdirs
from sqlalchemy import event, text

from sillok.record import Machine, Record, StoredPaper, StoredRun, StoredVerdict, migrate, run_id, search
from sillok.record import text as record_text
from sillok.record.runs import add_run, add_verdict

EACH = 20  # runs of a measured paper: two arms, ten seeds
DIGESTS = 1000
IN_DIGEST = 20
TRIAL = "sillok.trials.invented.speed"
START = datetime(2026, 1, 1, tzinfo=UTC)

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
        letters = np.array(list("etaoinshrdlcumwfgypbvk"))
        odds = np.linspace(3, 0.3, len(letters))
        drawn = rng.choice(letters, (size, 11), p=odds / odds.sum())
        self.en = COMMON_EN + [
            "".join(row[:n]) for row, n in zip(drawn, rng.integers(4, 12, size), strict=True)
        ]
        hangul = np.array([chr(code) for code in range(0xAC00, 0xD7A4)])
        drawn = rng.choice(rng.choice(hangul, 600, replace=False), (size, 4))
        self.ko = COMMON_KO + [
            "".join(row[:n]) for row, n in zip(drawn, rng.integers(2, 5, size), strict=True)
        ]
        weights = 1 / (np.arange(len(self.ko)) + 2.7)
        self.cumulative = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.searchsorted(self.cumulative, rng.random(count)).clip(max=len(self.ko) - 1)


def paper_id(number: int) -> str:
    """The id of the paper of a number; greater numbers are newer."""
    return f"{10 + number // 20_000}{number // 1700 % 12 + 1:02d}.{number % 100_000:05d}"


def papers(count: int, words: Words, rng: np.random.Generator) -> Iterator[StoredPaper]:
    """Papers over ten years, the oldest first."""
    for number in range(count):
        title = [words.en[i] for i in words.draw(rng, 8)]
        english = " ".join(words.en[i] for i in words.draw(rng, 70))
        particles = rng.integers(len(PARTICLES), size=80)
        korean = " ".join(
            words.ko[i] + PARTICLES[p] for i, p in zip(words.draw(rng, 80), particles, strict=True)
        )
        authors = [" ".join(words.en[i].title() for i in rng.integers(100, 5000, 2)) for _ in range(5)]
        yield StoredPaper(
            id=paper_id(number),
            title=" ".join(title).capitalize(),
            authors=tuple(authors),
            published=str(date(2015, 1, 1) + timedelta(days=number * 3650 // count)),
            family=FAMILIES[number % len(FAMILIES)],
            summaries={"en": f"A model: {english}.", "ko": f"이 모델은 {korean}."},
        )


def a_run(paper: str, number: int, place: int) -> StoredRun:
    """Run `number` of a paper: arms by turn, seeds upwards."""
    arm, seed = ("baseline", "method")[number % 2], number // 2
    machine = f"m{place % 4}"
    return StoredRun(
        id=run_id(f"{TRIAL}.{paper}", 1, arm, seed, "here", "trial", machine, 1),
        paper=paper,
        claim="speed",
        trial=f"{TRIAL}.p{place % 50}",
        version=1,
        arm=arm,
        seed=seed,
        scale="here",
        mode="trial",
        state="done",
        measures={"seconds": (2.0 if arm == "baseline" else 1.2) + seed / 50, "loss": 0.5 + seed / 100},
        units={"seconds": "s", "loss": "nats"},
        curves=[],
        fingerprint={"python": "3.11.7", "torch": "2.13", "commit": "0" * 40, "device": "cpu"},
        reason=None,
        log="a line of a log\n" * 20,
        started=START + timedelta(seconds=place * EACH + number),
        seconds=12.5,
        machine=machine,
    )


def a_verdict(paper: str, place: int) -> StoredVerdict:
    """The verdict on a measured paper: each kind in its turn."""
    return StoredVerdict(
        paper=paper,
        claim="speed",
        trial=f"{TRIAL}.p{place % 50}",
        version=1,
        scale="here",
        mode="trial",
        machine=f"m{place % 4}",
        verdict=("upheld", "not upheld", "inconclusive")[place % 3],
        reason="seconds, method / baseline = 0.6 [0.58, 0.62] < 0.8: yes",
        intervals={"seconds, method / baseline": {"low": 0.58, "mean": 0.6, "high": 0.62, "level": 0.95}},
        seeds=list(range(EACH // 2)),
        declaration={
            "title": "Faster at the same loss.",
            "arms": ["baseline", "method"],
            "peers": [],
            "measures": {
                "seconds": {"unit": "s", "better": "lower", "text": ""},
                "loss": {"unit": "nats", "better": "lower", "text": ""},
            },
            "needs": {"here": []},
            "fault": "the method is left out",
            "interleave": None,
        },
        decided=START + timedelta(seconds=(place + 1) * EACH),
    )


def measured(count: int, runs: int) -> list[str]:
    """The papers that have runs, spread over the years, the newest first."""
    wanted = max(1, min(count, runs // EACH))
    step = max(1, count // wanted)
    return [paper_id(number) for number in range(count - 1, -1, -step)][:wanted]


def entry(paper: StoredPaper) -> dict[str, object]:
    """A paper as a digest lists it."""
    return {
        "paper": paper.id,
        "title": paper.title,
        "votes": len(paper.title),
        "authors": list(paper.authors),
        "sections": [{"name": "What's New", "text": paper.summaries["ko"]}],
    }


def fill(record: Record, count: int, runs: int, seed: int) -> None:
    """Papers, runs with their verdicts on some of them, and a digest of 20 entries for each of 1,000 days."""
    rng = np.random.default_rng(seed)
    words = Words(rng)
    for number in range(4):
        record.add_machine(Machine(id=f"m{number}", data={"id": f"m{number}", "name": f"Machine {number}"}))
    with record._writing() as connection:
        for place, paper in enumerate(measured(count, runs)):
            for number in range(EACH):
                add_run(connection, a_run(paper, number, place))
            add_verdict(connection, a_verdict(paper, place))
    newest: deque[StoredPaper] = deque(maxlen=DIGESTS * IN_DIGEST)

    def every() -> Iterator[StoredPaper]:
        for one in papers(count, words, rng):
            newest.append(one)
            yield one

    record.add_papers(every())
    listed = list(newest)[::-1]
    for day in range(max(1, len(listed) // IN_DIGEST)):
        inside = listed[day * IN_DIGEST : (day + 1) * IN_DIGEST]
        date = str((START - timedelta(days=day)).date())
        record.add_digest(date, f"{date}.md", f"digest of {date}", [entry(one) for one in inside])


@contextmanager
def in_bulk(record: Record) -> Iterator[None]:
    """Write a new SQLite file without syncing it, and make its full-text index at the end from all rows at once."""
    engine = record._engine

    def unsynced(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")

    event.listen(engine, "connect", unsynced)
    engine.dispose()
    with record._writing() as connection:
        triggers = connection.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'search'")
        ).fetchall()
        for name, _ in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
    yield
    with record._writing() as connection:
        for table in ("search_all", "search_title"):
            connection.execute(text(f"INSERT INTO {table}({table}) VALUES ('rebuild')"))
        for _, made in triggers:
            connection.exec_driver_sql(made)
    event.remove(engine, "connect", unsynced)
    engine.dispose()


def place(record: str | None, count: int, runs: int, seed: int) -> str:
    """Where the record is: the one that is named, filled where it is empty, else the one that is kept."""
    if record is None:
        return str(kept(count, runs, seed))
    with Record.open(record) as opened:
        if not opened.papers(limit=1):
            fill(opened, count, runs, seed)
    return record


def kept(count: int, runs: int, seed: int) -> Path:
    """The record's file; it is made where it is missing or was made by other code."""
    told = f"{count} {runs} {seed} {migrate.HEAD} {Path(__file__).read_text(encoding='utf-8')}"
    for part in (search.index, search._row, search._key, search._tags, search.tag, record_text):
        told += inspect.getsource(part)  # what decides what the index holds
    name = f"{count}-{runs}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.sqlite"
    folder = Path(os.environ.get("SILLOK_BENCH") or platformdirs.user_cache_path("sillok") / "benchmarks")
    place = folder / name
    if place.exists():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{count}-{runs}-*.sqlite*"):
        old.unlink()
    began = time.perf_counter()
    part = place.with_suffix(".part")
    for rest in folder.glob(f"{part.name}*"):
        rest.unlink()
    with Record.open(part) as record:
        with in_bulk(record):
            fill(record, count, runs, seed)
        with record._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    part.rename(place)
    took = time.perf_counter() - began
    print(f"built {count:,} papers and {runs:,} runs in {took:.0f} s, {place.stat().st_size / 1e6:,.0f} MB")
    return place
