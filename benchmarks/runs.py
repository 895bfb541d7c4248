"""Time opening a record and listing the runs in it: prints medians.

python benchmarks/runs.py [--runs 10000] [--repeats 11]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sillok.record import Record, StoredRun, run_id
from sillok.record.runs import add_run


def a_run(number: int) -> StoredRun:
    arm, seed = ("adamw", "demo")[number % 2], number // 2
    return StoredRun(
        id=run_id("trials.optim.demo:traffic", 1, arm, seed, "here", "trial", "m1", 1),
        paper="2411.19870",
        claim="traffic",
        trial="trials.optim.demo:traffic",
        version=1,
        arm=arm,
        seed=seed,
        scale="here",
        mode="trial",
        state="done",
        measures={"bytes": 1234.5 + number, "loss": 2.0 + number / 7e4, "seconds": number / 13},
        units={"bytes": "B/step", "loss": "nats/token", "seconds": "s"},
        curves=[],
        fingerprint={
            "python": "3.11.7",
            "torch": "2.13",
            "numpy": "2.1",
            "commit": "0" * 40,
            "device": "cpu",
        },
        reason=None,
        log="a line of a log\n" * 40,
        started=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        seconds=number / 100,
        machine="m1",
    )


def milliseconds(what: Callable[[], object], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        what()
        took.append((time.perf_counter() - began) * 1e3)
    return median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=11)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Record.open(Path(folder) / "record.sqlite") as record:
        with record._writing() as connection:
            for number in range(asked.runs):
                add_run(connection, a_run(number))
        listed = milliseconds(lambda: record.runs(with_logs=False), asked.repeats)
        print(f"{asked.runs:,} runs listed without logs: {listed:.1f} ms")
        listed = milliseconds(record.runs, asked.repeats)
        print(f"{asked.runs:,} runs listed with logs: {listed:.1f} ms")
        opened = milliseconds(lambda: Record.open(Path(folder) / "record.sqlite").close(), asked.repeats)
        print(f"opening the record: {opened:.1f} ms")
        fresh = itertools.count(asked.runs)
        single = milliseconds(lambda: record.add_run(a_run(next(fresh))), asked.repeats)
        print(f"storing one run: {single:.1f} ms")


if __name__ == "__main__":
    main()
