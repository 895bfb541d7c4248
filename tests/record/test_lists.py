"""Pages of the record: what each holds, where the next begins, and that an index leads to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from sillok.record import Record

from .conftest import NewUrl
from .samples import START, a_run, a_verdict


@pytest.fixture
def shelf(record: Record) -> Record:
    for number in range(7):
        record.add_paper(
            f"2411.1000{number}",
            title=f"Paper {number} of models",
            authors=["A. Author"],
            published=f"2024-11-{number + 1:02d}",
            family="optim" if number % 2 else "search",
            summaries={"en": "A model.", "ko": "모델의 학습"},
            facts={"needs": ["optim"], "verdicts": ["upheld"]} if number == 6 else {"number": number},
        )
    record.add_verdict(a_verdict(paper="2411.10003", verdict="not upheld"))
    record.add_verdict(a_verdict(paper="2411.10001", verdict="upheld", machine="m2"))
    record.add_verdict(a_verdict(paper="2411.10001", claim="rehearsed", verdict="failed", scale="smoke"))
    declared = {"needs": {"here": ["gpu"], "full": ["weights:x"]}}
    record.add_verdict(a_verdict(paper="2411.10005", verdict="out of reach", declaration=declared))
    return record


def ids(rows: Any) -> list[str]:
    return [row.id[-1] for row in rows]


def test_papers_come_newest_first_and_page_by_page(shelf: Record) -> None:
    first = shelf.lists.papers(limit=3)
    assert ids(first) == ["6", "5", "4"]
    rest = shelf.lists.papers(before=first[-1].key, limit=10)
    assert ids(rest) == ["3", "2", "1", "0"]
    assert shelf.lists.papers(before=rest[-1].key) == []
    assert ids(shelf.lists.papers(family="optim")) == ["5", "3", "1"]
    assert ids(shelf.lists.papers(family="optim", verdict="upheld")) == ["1"]
    assert ids(shelf.lists.papers(verdict="upheld")) == ["6", "1"]
    assert shelf.lists.papers(family="no such family") == []
    assert shelf.lists.families() == {"optim": 3, "search": 4}
    assert first[0].title == "Paper 6 of models" and first[0].published == "2024-11-07"


def test_a_search_is_narrowed_by_verdict_need_and_day(shelf: Record) -> None:
    def found(query: str, **filters: str) -> list[str]:
        return ids(shelf.search(query, **filters))

    assert found("models", verdict="upheld") == ["6", "1"]
    assert found("학습", verdict="not upheld") == ["3"]
    assert found("models", verdict="failed") == [], "a rehearsal is no evidence"
    assert found("models", needs="gpu") == ["5"]
    assert found("models", needs="weights:x") == [], "only at a scale that was not asked for"
    assert found("models", needs="optim") == ["6"]
    assert found("models", since="2024-11-03", until="2024-11-05") == ["4", "3", "2"]
    assert found("", since="2024-11-06") == ["6", "5"]
    assert found("", family="search", verdict="upheld") == ["6"]
    assert found("", verdict="upheld", until="2024-11-05") == ["1"]
    assert found("?!", family="search") == ["6", "4", "2", "0"]
    assert found("") == [] and found("nowhere", verdict="upheld") == []
    with pytest.raises(ValueError, match="isoformat"):
        shelf.search("models", since="yesterday")


def test_a_new_verdict_takes_the_place_of_the_old_in_the_search(shelf: Record) -> None:
    shelf.add_verdict(a_verdict(paper="2411.10003", verdict="upheld", decided=START + timedelta(hours=1)))
    assert ids(shelf.search("models", verdict="not upheld")) == []
    assert ids(shelf.search("models", verdict="upheld")) == ["6", "3", "1"]


def test_an_imported_verdict_is_found_too(shelf: Record, new_url: NewUrl, tmp_path: Any) -> None:
    shelf.export(tmp_path / "files")
    with Record.open(new_url()) as other:
        other.import_(tmp_path / "files")
        assert ids(other.search("models", verdict="not upheld")) == ["3"]


def test_titles_facts_summaries_and_marks_of_several_papers(shelf: Record) -> None:
    wanted = ["2411.10003", "2411.10001", "none"]
    assert set(shelf.lists.titles(wanted)) == set(wanted[:2])
    assert shelf.lists.facts(wanted) == {"2411.10003": {"number": 3}, "2411.10001": {"number": 1}}
    assert shelf.lists.summaries(["2411.10003"]) == {"2411.10003": {"en": "A model.", "ko": "모델의 학습"}}
    marks = shelf.lists.marks(wanted)
    assert sorted((m.paper[-1], m.claim, m.verdict, m.scale) for m in marks) == [
        ("1", "rehearsed", "failed", "smoke"),
        ("1", "traffic", "upheld", "here"),
        ("3", "traffic", "not upheld", "here"),
    ]
    assert shelf.lists.marks(wanted, mode="placebo") == []


def test_verdicts_are_counted_by_machine_and_family(shelf: Record) -> None:
    assert sorted(shelf.lists.verdict_counts()) == [
        ("m1", "not upheld", 1),
        ("m1", "out of reach", 1),
        ("m2", "upheld", 1),
    ]
    assert ("optim", "upheld", 1) in shelf.lists.family_verdicts()
    assert all(verdict != "failed" for _, verdict, _ in shelf.lists.family_verdicts())
    (one,) = shelf.lists.verdicts("m2")
    assert one.paper == "2411.10001"
    assert shelf.lists.verdicts("m2", before=one.decided) == []


def test_digests_entries_and_mentions(shelf: Record) -> None:
    for date in ("2024-11-02", "2024-11-03", None):
        entries = [
            {"paper": "2411.10003", "title": "A", "votes": 4, "sections": [{"name": "New", "text": "x"}]},
            {"paper": None, "title": "B"},
            {"paper": "2411.10001", "title": "C", "votes": 1},
        ]
        shelf.add_digest(date, "a.md", f"text of {date}", entries)
    shelf.add_digest("2024-11-03", "b.md", "another text", [{"paper": None, "title": "later"}])
    rows = shelf.lists.digests()
    assert [(row.date, row.source, row.entries) for row in rows] == [
        ("2024-11-03", "b.md", 1),
        ("2024-11-02", "a.md", 3),
    ]
    assert shelf.lists.digests(before="2024-11-03") == rows[1:]
    assert [row.entries for row in shelf.lists.undated()] == [3]
    assert shelf.lists.next_digest("2024-11-02").date == "2024-11-03"  # type: ignore[union-attr]
    assert shelf.lists.next_digest("2024-11-03") is None
    latest = shelf.lists.digest(date="2024-11-03")
    assert latest is not None and latest.source == "b.md"
    assert shelf.lists.digest(id=rows[-1].id) == rows[-1]
    assert shelf.lists.digest(date="1999-01-01") is None
    held = shelf.lists.entries(rows[-1].id, offset=1, limit=5)
    assert [(entry.position, entry.title, entry.votes) for entry in held] == [(2, "B", None), (3, "C", 1)]
    mentions = shelf.lists.mentions("2411.10003")
    assert [(m.date, m.votes) for m in mentions] == [("2024-11-03", 4), ("2024-11-02", 4), (None, 4)]


def test_runs_come_newest_first_and_page_by_page(record: Record) -> None:
    for number in range(6):
        state = "failed" if number == 3 else "done"
        record.add_run(
            a_run(
                seed=number,
                started=START + timedelta(hours=number // 2),
                state=state,
                machine=f"m{number % 2}",
            )
        )
    rows = record.lists.runs()
    assert [row.started for row in rows] == sorted((row.started for row in rows), reverse=True)
    pages, before = [], None
    while page := record.lists.runs(before=before, limit=2):
        pages += page
        before = (page[-1].started, page[-1].id)
    assert pages == rows and len(rows) == 6
    assert [row.seed for row in record.lists.runs(state="failed")] == [3]
    assert {row.seed for row in record.lists.runs(machine="m1")} == {1, 3, 5}
    assert len(record.lists.runs(paper="2411.19870", limit=4)) == 4
    with pytest.raises(ValueError, match="negative"):
        record.lists.runs(limit=-1)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id FROM runs WHERE state = 'failed' ORDER BY started DESC LIMIT 9",
        "SELECT id FROM runs WHERE machine = 'm' ORDER BY started DESC, id LIMIT 9",
        "SELECT id FROM runs WHERE paper = 'p' ORDER BY started DESC LIMIT 9",
        "SELECT machine, verdict, count(*) FROM verdicts WHERE mode = 'trial' AND scale IN ('here', 'full') "
        "GROUP BY machine, verdict",
        "SELECT id FROM digests WHERE date IS NOT NULL ORDER BY date DESC, id DESC LIMIT 9",
        "SELECT claim FROM verdicts WHERE mode = 'trial' ORDER BY decided DESC LIMIT 9",
        "SELECT position FROM entries WHERE paper = 'p'",
        "SELECT claim FROM verdicts WHERE paper IN ('p', 'q') AND mode = 'trial'",
    ],
)
def test_an_index_leads_to_each_page(new_sqlite: NewUrl, query: str) -> None:
    with Record.open(new_sqlite()) as record, record._engine.connect() as connection:
        plan = "; ".join(row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    assert "INDEX" in plan, plan
    assert "SCAN runs;" not in plan and not plan.startswith("SCAN verdicts;")
