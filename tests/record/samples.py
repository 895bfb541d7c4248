"""Values that the tests of the record store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sillok.record import Machine, Record, StoredRun, StoredVerdict, run_id

MACHINE = Machine(id="m1", data={"cpu": "a processor", "cores": 2, "memory": 8 * 2**30, "gpu": None})
START = datetime(2026, 11, 20, 9, 30, 0, 123456, tzinfo=UTC)


def a_run(**changes: Any) -> StoredRun:
    values: dict[str, Any] = {
        "paper": "2411.19870",
        "claim": "traffic",
        "trial": "sillok.trials.optim.demo:traffic",
        "version": 1,
        "arm": "adamw",
        "seed": 0,
        "scale": "here",
        "mode": "trial",
        "state": "done",
        "attempt": 1,
        "measures": {"bytes": 0.1 + 0.2, "loss": 1e16, "tiny": 5e-324, "steps": 100},
        "units": {"bytes": "B/step", "loss": "nats/token"},
        "curves": [{"name": "손실", "x": [0, 1], "y": [2.5, 1 / 3]}],
        "fingerprint": {"torch": "2.13", "device": {"name": "cpu", "threads": 2}, "commit": None},
        "reason": None,
        "log": "첫 줄\nsecond line\n",
        "started": START,
        "seconds": 1 / 3,
        "machine": "m1",
    }
    values |= changes
    names = ("trial", "version", "arm", "seed", "scale", "mode", "machine", "attempt")
    return StoredRun(**({"id": run_id(*(values[name] for name in names))} | values))


def a_verdict(**changes: Any) -> StoredVerdict:
    values: dict[str, Any] = {
        "paper": "2411.19870",
        "claim": "traffic",
        "trial": "sillok.trials.optim.demo:traffic",
        "version": 1,
        "scale": "here",
        "mode": "trial",
        "machine": "m1",
        "verdict": "upheld",
        "reason": "비율의 상한이 0.02 아래",
        "intervals": {"bytes": {"low": 0.01, "high": 0.015, "level": 0.95}},
        "seeds": [0, 1, 2],
        "decided": START,
    }
    return StoredVerdict(**(values | changes))


def fill(record: Record) -> None:
    """Put something into every table."""
    record.add_paper(
        "2411.19870",
        title="DeMo: Decoupled Momentum Optimization",
        authors=["Bowen Peng", "김철수"],
        published="2024-11-29",
        family="optim",
        summaries={"en": "Workers share the fast parts of the momentum.", "ko": "모델의 학습을 빠르게 한다."},
        facts={"digests": [{"date": "2024-12-02", "votes": 6}], "license": None, "ratio": 0.1},
    )
    record.add_paper("2410.02416", title="Adaptive projected guidance", authors=[])
    record.set_claims(
        "2411.19870", [{"id": "traffic", "text": "주고받는 양이 준다", "data": {"value": 85.0, "unit": "×"}}]
    )
    entry = {"position": 1, "paper": "2411.19870", "title": "DeMo", "votes": 6, "authors": ["Bowen Peng"]}
    record.add_digest(
        "2024-12-02",
        "digests/2024-12-02.md",
        "## Daily Papers\r\n본문\n",
        [
            entry | {"sections": [["What's New", "새로운 것"]]},
            {"position": 2, "title": "no paper", "paper": None},
        ],
    )
    record.add_digest(None, "pasted", "no date", [])
    record.add_run(a_run(), MACHINE)
    record.add_run(a_run(arm="demo", state="failed", reason="killed", measures={}, seed=2**40))
    record.add_verdict(a_verdict())
