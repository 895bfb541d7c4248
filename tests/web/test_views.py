"""The views: what each page's data holds, from the record, the cards and the shipped results."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sillok.record import Record
from sillok.verify import results
from sillok.web import views
from sillok.web.shelf import Shelf
from sillok.web.views.marks import NotFound
from sillok.web.views.runs import PAGE

from . import samples


def test_an_empty_record_shows_the_catalogue_and_what_was_shipped(tmp_path: Path) -> None:
    with Record.open(tmp_path / "empty.sqlite") as record:
        shelf = Shelf(record)
        today = views.today(shelf, "en")
        assert today.latest is not None and today.latest.date == "2025-01-08" and not today.latest.read
        assert [ref.date for ref in today.earlier] == ["2024-12-11", "2024-12-04", "2024-11-21", "2024-10-04"]
        assert today.papers >= 130 and today.verdicts["upheld"] >= 4
        paper = views.paper(shelf, "2411.19870", "ko")
        assert paper.summary is not None and (paper.summary.source, paper.summary.lang) == ("sillok", "ko")
        (claim,) = paper.claims
        assert claim.lang == "ko" and claim.results[0].shipped and claim.results[0].verdict == "not upheld"
        found = views.search(shelf, "확산 모델")
        assert found.hits and views.search(shelf, "", verdict="upheld").hits
        assert {hit.id for hit in views.search(shelf, "", needs="gpu").hits} == {"2410.02367"}
        assert len(views.machines(shelf).machines) == 1 and views.runs(shelf).runs[0].shipped


def test_today_is_the_newest_digest_that_was_read(shelf: Shelf) -> None:
    today = views.today(shelf, "en")
    assert today.latest is not None and today.latest.date == "2025-02-04" and today.latest.read
    assert today.earlier[0].date == "2025-02-03" and today.earlier[1].date == "2025-01-08"
    newest = today.measured[0]
    assert {one.mark.verdict for one in today.measured[:2]} == {"upheld", "out of reach"}
    assert newest.machine.name == "A small machine"


def test_a_digests_entries_say_what_came_out(shelf: Shelf) -> None:
    digest = views.digest(shelf, "2025-02-03", "ko")
    trees, demo, page = digest.entries
    assert (trees.id, trees.votes, trees.card) == (samples.KOREAN, 17, False)
    assert trees.summary is not None and (trees.summary.source, trees.summary.lang) == ("digest", "ko")
    assert [(mark.verdict, mark.claim) for mark in trees.marks] == [("out of reach", "speed")]
    assert demo.card and [(mark.verdict, mark.elsewhere) for mark in demo.marks] == [
        ("upheld", ["not upheld"])
    ]
    assert demo.summary is not None and demo.summary.source == "sillok", "its own words go first"
    assert (page.id, page.votes, page.marks) == (None, None, [])
    assert digest.newer is not None and digest.newer.date == "2025-02-04"
    assert digest.older is not None and digest.older.date == "2025-01-08"
    with pytest.raises(NotFound, match="1999-01-01"):
        views.digest(shelf, "1999-01-01", "en")
    with pytest.raises(NotFound, match="page 2"):
        views.digest(shelf, "2025-02-03", "en", page=2)


def test_a_claim_stands_beside_the_papers_figure_on_every_machine(shelf: Shelf) -> None:
    paper = views.paper(shelf, "2411.19870", "en")
    (claim,) = paper.claims
    assert claim.printed.value == 85.0 and claim.printed.verified
    here, shipped = claim.results
    assert (here.verdict, here.machine.name, here.shipped) == ("upheld", "A small machine", False)
    assert (shipped.verdict, shipped.shipped) == ("not upheld", True)
    assert here.intervals[0].mean == 0.01 and here.intervals[0].inverse == "1/100"
    loss = next(metric for metric in here.metrics if metric.name == "loss")
    assert loss.judged and loss.seeds == [0, 1, 2]
    assert [(arm.name, arm.role) for arm in loss.arms] == [("adamw", "baseline"), ("demo", "method")]
    assert loss.arms[1].values == pytest.approx([2.01, 2.02, 2.03])
    assert loss.arms[1].mean == pytest.approx(2.02)
    assert [(one.mode, one.verdict, one.passed) for one in here.controls] == [
        ("placebo", "not upheld", True),
        ("fault", "upheld", False),
    ]
    assert all(control.passed for control in shipped.controls)
    assert len(here.runs) == 6 and claim.command == "sillok verify 2411.19870/traffic"
    assert {chart.name for chart in here.charts} == {"loss", "bytes", "training loss"}
    assert paper.mentions[0].date == "2025-02-03" and paper.usage and paper.differs


def test_a_paper_without_a_card_is_what_digests_and_verdicts_tell(shelf: Shelf) -> None:
    paper = views.paper(shelf, samples.KOREAN, "en")
    assert not paper.card and paper.summary is not None and paper.summary.source == "digest"
    (claim,) = paper.claims
    assert claim.id == "speed" and claim.results[0].reason == "needs a CUDA GPU"
    assert claim.printed.value is None and claim.command is None
    with pytest.raises(NotFound):
        views.paper(shelf, "9912.00000", "en")


def test_marks_say_what_can_be_measured_here(shelf: Shelf) -> None:
    sage = {mark.claim: mark for mark in views.search(shelf, "SageAttention").hits[0].marks}
    assert sage["accuracy"].verdict == "upheld"
    assert sage["speed"].state == "blocked" and "GPU" in sage["speed"].needs[0]


def test_a_family_compares_claims_on_one_testbed(shelf: Shelf) -> None:
    family = views.family(shelf, "diffusion", "en")
    benches = {bench.testbed: [claim.paper for claim in bench.claims] for bench in family.benches}
    assert sorted(benches["ddpm"]) == ["2410.02416", "2412.04653"]
    assert family.papers >= 15 and family.verdicts["upheld"] >= 2 and family.benches[-1].testbed is None
    by_name = {one.name: one for one in views.families(shelf).families}
    assert next(iter(by_name)) == "agents"
    assert by_name["optim"].verdicts == {"upheld": 1, "not upheld": 1}, "one paper, two machines"
    with pytest.raises(NotFound):
        views.family(shelf, "nonsense", "en")


def test_machines_side_by_side(shelf: Shelf) -> None:
    machines = views.machines(shelf)
    assert {column.id for column in machines.columns} == {"186124ce1088", "m1"}
    row = next(row for row in machines.rows if row.claim == "traffic")
    verdicts = {
        column.id: mark.verdict for column, mark in zip(machines.columns, row.marks, strict=True) if mark
    }
    assert verdicts == {"186124ce1088": "not upheld", "m1": "upheld"}
    mine = views.machine(shelf, "m1", "en")
    assert mine.machine.facts == {"cores": 2} and len(mine.found) == 2
    with pytest.raises(NotFound):
        views.machine(shelf, "m2", "en")


def test_runs_page_by_page_through_the_record_and_what_was_shipped(shelf: Shelf) -> None:
    pages, before, seen = 0, None, []
    while True:
        page = views.runs(shelf, before=before)
        seen += [run.id for run in page.runs]
        pages += 1
        if page.more is None:
            break
        moment, _, id = page.more.partition("-")
        before = (float(moment), id)
    every = sum(len(bundle.runs) for bundle in results.shipped()) + 7
    assert len(seen) == len(set(seen)) == every and every > 350
    assert pages == math.ceil(every / PAGE)
    assert {run.id for run in views.runs(shelf, state="failed").runs} >= {"demo-9-fault"}
    assert len(views.runs(shelf, machine="m1").runs) == 7
    run = views.run(shelf, "demo-9-fault")
    assert run.reason == "killed <b>here</b>" and run.log.startswith("step 1") and run.charts == []
    assert [chart.name for chart in views.run(shelf, "demo-1-trial").charts] == ["training loss"]
    with pytest.raises(NotFound):
        views.run(shelf, "nothing")


def test_a_search_is_narrowed(shelf: Shelf) -> None:
    assert [hit.id for hit in views.search(shelf, "나무 구조").hits] == [samples.KOREAN]
    assert {hit.id for hit in views.search(shelf, "", verdict="out of reach").hits} == {samples.KOREAN}
    assert all(hit.family == "optim" for hit in views.search(shelf, "model", family="optim").hits)
    first = views.search(shelf, "model")
    second = views.search(shelf, "model", page=2)
    assert first.more == 2 and not {h.id for h in first.hits} & {h.id for h in second.hits}
    with pytest.raises(ValueError):
        views.search(shelf, "model", since="2024-13-01")
