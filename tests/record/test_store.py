"""What is stored is what is read, in both databases."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sillok.record import Machine, Record, RecordError, StoredPaper, run_id

from .samples import MACHINE, START, a_run, a_verdict, fill


def test_a_run_comes_back_as_it_was(record: Record) -> None:
    run = a_run()
    assert record.add_run(run, MACHINE) is True
    assert record.run(run.id) == run
    assert record.runs() == [run]
    (read,) = record.runs()
    assert isinstance(read.measures["loss"], float) and isinstance(read.measures["steps"], int)
    assert read.started.tzinfo is not None and read.started.utcoffset() == timedelta(0)
    assert record.run("none") is None
    assert record.machine("m1") == MACHINE and record.machines() == [MACHINE] and record.machine("m2") is None


def test_a_run_is_stored_once(record: Record) -> None:
    assert record.add_run(a_run()) is True
    assert record.add_run(a_run(log="another log", measures={"bytes": 1.0})) is False
    assert record.runs() == [a_run()]


def test_runs_are_listed_newest_first_and_filtered(record: Record) -> None:
    runs = [
        a_run(arm=arm, seed=seed, started=START + timedelta(seconds=10 * seed + (arm == "demo")))
        for arm in ("adamw", "demo")
        for seed in range(3)
    ]
    other = a_run(
        paper="x",
        claim="c",
        trial="t",
        version=2,
        scale="smoke",
        mode="placebo",
        machine="m2",
        state="failed",
        reason="no",
        started=START - timedelta(days=1),
    )
    for run in [*runs, other]:
        record.add_run(run)
    newest = sorted(runs, key=lambda run: run.started, reverse=True)
    assert record.runs() == [*newest, other]
    assert record.runs(limit=2) == newest[:2]
    assert record.runs(arm="demo", version=1) == [run for run in newest if run.arm == "demo"]
    for name in ("paper", "claim", "trial", "version", "scale", "mode", "machine", "state"):
        assert record.runs(**{name: getattr(other, name)}) == [other], name
    assert record.runs(paper=["x", "2411.19870"]) == [*newest, other]
    assert record.runs(paper=[]) == []
    bare = record.runs(with_logs=False)
    assert bare == [dataclasses.replace(run, log="") for run in [*newest, other]]
    bare[0].fingerprint["device"]["name"] = "changed"
    bare[0].units["bytes"] = "changed"
    assert bare[1].fingerprint == runs[0].fingerprint and bare[1].units == runs[0].units


def test_times_are_told_in_utc(record: Record) -> None:
    seoul = datetime(2026, 11, 20, 18, 30, tzinfo=timezone(timedelta(hours=9)))
    record.add_run(a_run(started=seoul))
    (run,) = record.runs()
    assert run.started == seoul and run.started.isoformat() == "2026-11-20T09:30:00+00:00"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"measures": {"loss": float("nan")}}, ValueError, "measures"),
        ({"curves": [{"y": [float("inf")]}]}, ValueError, "curves"),
        ({"fingerprint": {"a": object()}}, TypeError, "fingerprint"),
        ({"started": datetime(2026, 1, 1)}, ValueError, "started.*time zone"),
        ({"mode": "test"}, ValueError, "mode: 'test'.*'placebo'"),
        ({"state": "running"}, ValueError, "state: 'running'.*'failed'"),
    ],
)
def test_a_bad_run_is_refused_whole(
    record: Record, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        record.add_run(a_run(**changes), MACHINE)
    assert record.runs() == [] and record.machines() == []


def test_any_log_can_be_kept(record: Record) -> None:
    log = "nul \x00, half a pair \ud83d, the rest 한글 🙂" + "x" * 3_000_000
    record.add_run(a_run(log=log, reason="\x00", measures={}, fingerprint={"k": "\x00\udc80"}))
    (run,) = record.runs()
    assert run.log == log.replace("\x00", "\ufffd").replace("\ud83d", "?") and run.reason == "\ufffd"
    assert run.fingerprint == {"k": "\x00?"}


def test_the_newer_verdict_stays(record: Record) -> None:
    later = a_verdict(verdict="not upheld", decided=START + timedelta(hours=1), seeds=[0, 1, 2, 3])
    record.add_verdict(a_verdict())
    record.add_verdict(later)
    record.add_verdict(a_verdict())
    assert record.verdicts() == [later]
    for change in (
        {"scale": "smoke"},
        {"mode": "placebo"},
        {"machine": "m2"},
        {"version": 2},
        {"claim": "c"},
    ):
        record.add_verdict(a_verdict(**change))
    assert len(record.verdicts()) == 6
    assert record.verdicts(verdict="not upheld") == [later]
    assert record.verdicts(scale="smoke") == [a_verdict(scale="smoke")]
    assert [verdict.decided for verdict in record.verdicts(limit=1)] == [later.decided]
    with pytest.raises(ValueError, match=r"verdict: 'maybe'.*'out of reach'"):
        record.add_verdict(a_verdict(verdict="maybe"))


def test_a_machine_is_described_anew(record: Record) -> None:
    record.add_machine(MACHINE)
    newer = Machine(id="m1", data=MACHINE.data | {"gpu": "one"})
    record.add_run(a_run(), newer)
    assert record.machines() == [newer]


def test_papers_and_claims(record: Record) -> None:
    fill(record)
    paper = record.paper("2411.19870")
    assert paper is not None
    assert (paper.authors, paper.published, paper.family) == (("Bowen Peng", "김철수"), "2024-11-29", "optim")
    assert paper.facts == {"digests": [{"date": "2024-12-02", "votes": 6}], "license": None, "ratio": 0.1}
    assert [p.id for p in record.papers()] == ["2411.19870", "2410.02416"]  # without a date: last
    assert record.papers(family="optim") == [paper] and record.papers(limit=1, offset=1)[0].authors == ()
    record.add_paper("2411.19870", title="New title", authors=[], summaries={"ko": "새 요약"})
    changed = record.paper("2411.19870")
    assert changed == StoredPaper(
        id="2411.19870",
        title="New title",
        summaries={"en": "Workers share the fast parts of the momentum.", "ko": "새 요약"},
    )
    (claim,) = record.claims("2411.19870")
    assert (claim.id, claim.text, claim.data) == (
        "traffic",
        "주고받는 양이 준다",
        {"value": 85.0, "unit": "×"},
    )
    record.set_claims("2411.19870", [{"id": "loss", "text": "as low", "data": None}])
    assert [(c.paper, c.id, c.data) for c in record.claims()] == [("2411.19870", "loss", {})]
    assert record.claims("2410.02416") == [] and record.paper("none") is None
    with pytest.raises(ValueError, match="paper: 'none'"):
        record.set_claims("none", [])


def test_bad_papers_are_refused(record: Record) -> None:
    with pytest.raises(TypeError, match="authors: 'One Name'"):
        record.add_paper("1", title="t", authors="One Name")
    with pytest.raises(ValueError, match="id: ''"):
        record.add_paper("", title="t", authors=[])
    assert record.papers() == []
    assert record.add_papers({"id": str(n), "title": "t", "authors": []} for n in range(2345)) == 2345
    assert len(record.papers()) == 2345


def test_a_digest_is_stored_once(record: Record) -> None:
    entries = [
        {"title": "A", "paper": "2411.19870", "votes": 3, "authors": ["B"], "sections": {"새": ["x", 1.5]}}
    ]
    assert record.add_digest("2024-12-02", "a.md", "text", entries) == 1
    assert record.add_digest("2024-12-02", "b.md", "text", entries) == 0
    assert record.add_digest("2024-12-03", "a.md", "text", [*entries, *entries]) == 2
    assert record.add_digest(None, "a.md", "text", []) == 0
    assert [digest.date for digest in record.digests()] == ["2024-12-03", "2024-12-02", None]
    digest = record.digest("2024-12-02")
    assert digest is not None and (digest.source, digest.text) == ("a.md", "text")
    (entry,) = digest.entries
    assert (entry.position, entry.paper, entry.votes, entry.authors) == (1, "2411.19870", 3, ("B",))
    assert entry.sections == {"새": ["x", 1.5]}
    assert record.digest("1999-01-01") is None


def test_run_ids_are_stable_and_tell_runs_apart() -> None:
    parts = ("t:f", 1, "a", 0, "here", "trial", "m", 1)
    assert run_id(*parts) == "06aa993502c1b084"  # stored runs are found again by it: it may never change
    others = [("t:g", 2, "b", 1, "full", "fault", "n", 2)[i] for i in range(8)]
    changed = {run_id(*parts[:i], other, *parts[i + 1 :]) for i, other in enumerate(others)}  # type: ignore[arg-type]
    assert len(changed | {run_id(*parts)}) == 9


def test_where_the_record_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILLOK_RECORD", str(tmp_path / "named by the environment.sqlite"))
    with Record.open() as record:
        record.add_run(a_run())
    assert (tmp_path / "named by the environment.sqlite").exists()
    with Record.open(tmp_path / "named by the environment.sqlite") as record:
        assert record.runs() == [a_run()]
    monkeypatch.delenv("SILLOK_RECORD")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with Record.open() as record:
        assert record.url == f"sqlite:///{tmp_path}/data/sillok/record.sqlite"
    with Record.open("sqlite://") as record:  # in memory
        record.add_run(a_run())
        assert record.runs() == [a_run()]
    odd = tmp_path / "한글 %41?a=b#c" / "r.sqlite"
    with Record.open(odd) as record:
        record.add_run(a_run())
    assert odd.exists()
    with Record.open(odd, read_only=True) as record:
        assert record.runs() == [a_run()]


def test_a_password_is_never_shown() -> None:
    with pytest.raises(RecordError) as caught:
        Record.open("postgresql://someone:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value) and "cannot be reached" in str(caught.value)
    assert "\n" not in str(caught.value)
