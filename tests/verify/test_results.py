"""Results as files, the choice of what is shown first, and small helpers."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from test_report import RUNS, VERDICT

from sillok import papers
from sillok.record import Machine, Record
from sillok.verify import fingerprint, needs, results, tables, view

CARD = papers.load("2411.19870")


@pytest.fixture
def record(tmp_path: Path) -> Record:
    opened = Record.open(tmp_path / "r.sqlite")
    for run in RUNS:
        opened.add_run(run, Machine(id="m", data={"id": "m", "cpu": "x", "name": "M"}))
    opened.add_verdict(VERDICT)
    return opened


def test_results_survive_the_file(record: Record, tmp_path: Path) -> None:
    (path,) = results.write(record, tmp_path / "out")
    bundle = results.read(path)
    assert bundle.machine.data["name"] == "M"
    assert {run.id: run.measures for run in bundle.runs} == {run.id: run.measures for run in RUNS}
    assert bundle.verdicts == (VERDICT,)
    assert results.write(record, tmp_path / "out") == [path]  # writing twice changes nothing
    assert results.read(path) == bundle


def test_the_newest_attempt_is_shipped_and_other_papers_stay(record: Record, tmp_path: Path) -> None:
    (path,) = results.write(record, tmp_path / "out")
    later = dataclasses.replace(RUNS[0], id="again", attempt=2, measures={"loss": 9.0, "bytes": 1.0})
    other = Record.open(tmp_path / "other.sqlite")
    other.add_run(later, Machine(id="m", data={"id": "m", "cpu": "x", "name": "M"}))
    other.add_run(dataclasses.replace(RUNS[1], id="old"), None)
    new_paper = dataclasses.replace(RUNS[2], id="p2", paper="2410.02416", trial="t2")
    other.add_run(new_paper)
    results.write(other, tmp_path / "out")
    bundle = results.read(path)
    assert {run.id for run in bundle.runs} == {"again", "old", "p2"}
    third = Record.open(tmp_path / "third.sqlite")
    third.add_run(dataclasses.replace(new_paper, id="p3"), Machine(id="m", data={"id": "m", "cpu": "x"}))
    results.write(third, tmp_path / "out")
    assert {run.id for run in results.read(path).runs} == {"again", "old", "p3"}


def test_a_verdict_goes_with_the_version_of_its_trial(record: Record, tmp_path: Path) -> None:
    results.write(record, tmp_path / "out")
    for run in RUNS:
        record.add_run(dataclasses.replace(run, id=f"{run.id}-2", version=run.version + 1))
    newer = dataclasses.replace(VERDICT, version=VERDICT.version + 1)
    record.add_verdict(newer)
    (path,) = results.write(record, tmp_path / "out")
    assert results.read(path).verdicts == (newer,)
    assert {run.version for run in results.read(path).runs} == {newer.version}


@pytest.mark.parametrize(
    ("line", "message"),
    [("{}", "line 2"), ('{"run": {"colour": 1}}', "unknown field 'colour'"), ("nonsense", "line 2")],
)
def test_a_damaged_file_names_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"machine": {"id": "m", "data": {}}}\n' + line + "\n")
    with pytest.raises(ValueError, match=message):
        results.read(path)


def test_ones_own_result_comes_before_a_shipped_one(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = results.MachineResults(
        Machine(id="far", data={"id": "far", "name": "Far"}),
        tuple(dataclasses.replace(run, machine="far") for run in RUNS),
        (dataclasses.replace(VERDICT, machine="far", verdict="upheld"),),
    )
    monkeypatch.setattr(results, "shipped", lambda: (shipped,))
    found = view.gather(CARD, record)["traffic"]
    assert [(r.shipped, r.verdict.verdict) for r in found] == [(False, "not upheld"), (True, "upheld")]
    data = view.claim_view(CARD.claims[0], found)
    assert data["verdict"] == "not upheld"
    assert data["elsewhere"] == [{"verdict": "upheld", "scale": "here", "machine": "Far", "shipped": True}]
    alone = view.claim_view(CARD.claims[0], view.gather(CARD, None)["traffic"])
    assert alone["verdict"] == "upheld"
    assert alone["shipped"] is True
    assert len(alone["measurements"]) == len(RUNS) * 2


def test_the_newest_verdict_of_a_machine_is_shown(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "shipped", lambda: ())
    newer = dataclasses.replace(
        VERDICT, version=2, verdict="inconclusive", decided=VERDICT.decided + timedelta(days=1)
    )
    record.add_verdict(newer)
    (result,) = view.gather(CARD, record)["traffic"]
    assert result.verdict.verdict == "inconclusive"
    assert result.runs == ()  # runs of the earlier version count no more


def test_placebo_runs_borrow_the_baseline(record: Record) -> None:
    placebo = dataclasses.replace(VERDICT, mode="placebo", verdict="not upheld")
    for seed in range(3):
        run = dataclasses.replace(RUNS[3 + seed], id=f"p{seed}", mode="placebo", measures={"loss": 2.0})
        record.add_run(run)
    chosen = view.latest_runs(record.runs(), placebo)
    assert [(run.arm, run.mode) for run in chosen] == [("adamw", "trial")] * 3 + [("demo", "placebo")] * 3


def test_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert needs.lacking(["module:json", "exe:sh", "optim"]) == []
    assert "no-such" in needs.lacking(["exe:no-such"])[0]
    assert "SILLOK_WEIGHTS_SD_XL" in needs.lacking(["weights:sd-xl"])[0]
    monkeypatch.setenv("SILLOK_WEIGHTS_SD_XL", "somewhere")
    assert needs.lacking(["weights:sd-xl"]) == []
    with pytest.raises(ValueError, match="unknown need 'colour'"):
        needs.lacking(["colour"])
    assert {"optim", "diffusion", "attention", "search", "all"} <= set(needs.extras())


def test_machines_on_cpu_and_gpu_are_two() -> None:
    cpu, gpu = fingerprint.machine("cpu"), fingerprint.machine("cuda:0")
    assert gpu["id"] == cpu["id"] + "-cuda"
    assert fingerprint.versions("cpu", 1)["device"] == "cpu"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (3.0, "3"), (722176.0, "722,176"), (0.01303, "0.01303"), (12345.6, "12,346")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert tables.number(value) == text


def test_ratios_are_also_said_the_other_way_round() -> None:
    assert tables.inverse("bytes, demo / adamw", 0.013) == "1/76.9"
    assert tables.inverse("loss, demo / adamw", 0.9) == ""
    assert tables.inverse("loss, demo - adamw", 0.1) == ""


def test_where_a_record_is(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    assert not Record.exists(path)
    assert str(path) in Record.address(path)
    Record.open(path).close()
    assert Record.exists(path)
    assert "secret" not in Record.address("postgresql://me:secret@db/x")
    assert datetime.now(UTC) > VERDICT.decided
