"""The machines, what upheld where, and one machine's page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sillok.record import StoredVerdict
from sillok.verify import results
from sillok.web.models import (
    Found,
    Lang,
    MachineList,
    MachinePage,
    MachineRef,
    MachineView,
    Mark,
    MatrixRow,
)
from sillok.web.shelf import Shelf
from sillok.web.views import marks
from sillok.web.views.marks import NotFound

COLUMNS = 6  # machines of the table
ROWS = 60  # claims of the table
MOST = 200  # machines of the list
PAGE = 40


def machines(shelf: Shelf) -> MachineList:
    """All machines, those with most verdicts first, and the table of claims and machines."""
    return shelf.kept("machine list", lambda: _machines(shelf))


def _machines(shelf: Shelf) -> MachineList:
    counts = _counts(shelf)
    ids = dict.fromkeys([*counts, *shelf.machines()])
    order = sorted(ids, key=lambda id: (-sum(counts.get(id, {}).values()), id))[:MOST]
    columns = [MachineRef(id=id, name=shelf.machine_name(id)) for id in order[:COLUMNS] if counts.get(id)]
    return MachineList(
        machines=[_view(shelf, id, counts.get(id, {})) for id in order],
        columns=columns,
        rows=_rows(shelf, [column.id for column in columns]),
    )


def _counts(shelf: Shelf) -> dict[str, dict[str, int]]:
    """Machine -> verdict -> how many, rehearsals aside."""
    counts: dict[str, dict[str, int]] = {}
    for machine, verdict, count in shelf.record.lists.verdict_counts():
        counts.setdefault(machine, {})[verdict] = count
    for one in _shipped():
        mine = counts.setdefault(one.machine, {})
        mine[one.verdict] = mine.get(one.verdict, 0) + 1
    return {
        machine: {name: mine[name] for name in marks.VERDICTS if name in mine}
        for machine, mine in counts.items()
    }


def _shipped() -> list[StoredVerdict]:
    return [
        one
        for bundle in results.shipped()
        for one in bundle.verdicts
        if one.mode == "trial" and one.scale != "smoke"
    ]


def _view(shelf: Shelf, id: str, verdicts: dict[str, int]) -> MachineView:
    data: dict[str, Any] = shelf.machines().get(id, {})
    facts = {name: value for name, value in data.items() if name not in ("id", "name") and value}
    return MachineView(id=id, name=shelf.machine_name(id), facts=facts, verdicts=verdicts)


def _rows(shelf: Shelf, columns: Sequence[str]) -> list[MatrixRow]:
    """The claims decided last, with each machine's verdict."""
    cells: dict[tuple[str, str], dict[str, StoredVerdict]] = {}
    for machine in columns:
        mine = [v for v in shelf.record.lists.verdicts(machine, limit=ROWS) if v.scale != "smoke"]
        for one in [*mine, *(v for v in _shipped() if v.machine == machine)]:
            cells.setdefault((one.paper, one.claim), {}).setdefault(machine, one)
    # claims that most machines have measured tell most
    order = sorted(cells, key=lambda key: (-len(cells[key]), key))[:ROWS]
    titles = shelf.titles(paper for paper, _ in order)
    return [
        MatrixRow(
            paper=paper,
            title=titles.get(paper, (paper, None, None))[0],
            claim=claim,
            marks=[_mark(cells[paper, claim].get(machine)) for machine in columns],
        )
        for paper, claim in order
    ]


def _mark(verdict: StoredVerdict | None) -> Mark | None:
    return marks.measured(verdict.claim, verdict.verdict, verdict.scale) if verdict else None


def machine(shelf: Shelf, id: str, lang: Lang, before: datetime | None = None) -> MachinePage:
    """A machine and its verdicts, newest first. Raises NotFound where nothing is known of it."""
    counts = shelf.kept("machine counts", lambda: _counts(shelf)).get(id, {})
    rows = shelf.record.lists.verdicts(id, before=before, limit=PAGE + 1)
    if id not in shelf.machines() and not rows and not counts:
        raise NotFound(f"no machine {id!r} is known here")
    shown = list(rows[:PAGE])
    if before is None:
        shown += [one for one in _shipped() if one.machine == id]
    titles = shelf.titles(one.paper for one in shown)
    found = []
    for one in shown:
        card = shelf.cards.get(one.paper)
        claim = next((c for c in card.claims if c.id == one.claim), None) if card else None
        plain = (str(one.declaration.get("title") or one.claim), "en")
        text, spoken = marks.words(claim, lang) if claim else plain
        found.append(
            Found(
                paper=one.paper,
                title=titles.get(one.paper, (one.paper, None, None))[0],
                claim=one.claim,
                text=text,
                lang="ko" if spoken == "ko" else "en",
                mark=marks.measured(one.claim, one.verdict, one.scale),
                machine=MachineRef(id=id, name=shelf.machine_name(id)),
                decided=one.decided.date().isoformat(),
            )
        )
    more = rows[PAGE - 1].decided.isoformat() if len(rows) > PAGE else None
    return MachinePage(machine=_view(shelf, id, counts), found=found, more=more)
