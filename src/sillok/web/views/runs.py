"""The list of runs, and a run's page."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from sillok.record import StoredRun
from sillok.record.lists import RunRow
from sillok.verify import report, results
from sillok.web.address import cursor
from sillok.web.models import Chart, RunList, RunRef, RunView
from sillok.web.shelf import Shelf
from sillok.web.views import claims
from sillok.web.views.marks import NotFound

PAGE = 50
LOG = 200_000  # characters of a log that its page shows, the last ones


def runs(
    shelf: Shelf,
    *,
    paper: str | None = None,
    machine: str | None = None,
    state: str | None = None,
    before: tuple[float, str] | None = None,
) -> RunList:
    """Runs of the record and those that the project ships, newest first; `before` is the last page's end."""
    end = None if before is None else (datetime.fromtimestamp(before[0], UTC), before[1])
    rows: list[RunRow | StoredRun] = [
        *shelf.record.lists.runs(paper=paper, machine=machine, state=state, before=end, limit=PAGE + 1)
    ]
    held = {row.id for row in rows}
    more = 0
    for run in shipped().values():
        fits = (
            (paper in (None, run.paper)) and (machine in (None, run.machine)) and (state in (None, run.state))
        )
        if fits and (end is None or _order(run) > _key(*end)) and run.id not in held:
            rows.append(run)
            more += 1
    rows.sort(key=_order)
    shown = rows[:PAGE]
    last = shown[-1] if len(rows) > PAGE else None
    return RunList(
        runs=[_ref(row) for row in shown], more=cursor(last.started, last.id) if last is not None else None
    )


def _key(started: datetime, id: str) -> tuple[float, str]:
    return (-started.timestamp(), id)


def _order(row: RunRow | StoredRun) -> tuple[float, str]:
    return _key(row.started, row.id)


def _ref(row: RunRow | StoredRun) -> RunRef:
    return claims.run_ref(row, isinstance(row, StoredRun))  # the record's lists give rows, and no whole runs


@lru_cache
def shipped() -> dict[str, StoredRun]:
    """The shipped runs by id."""
    return {run.id: run for bundle in results.shipped() for run in bundle.runs}


def find(shelf: Shelf, id: str) -> tuple[StoredRun, bool]:
    """A run, and whether the project ships it. Raises NotFound where there is none of that id."""
    run = shelf.record.run(id)
    if run is not None:
        return run, False
    if id in shipped():
        return shipped()[id], True
    raise NotFound(f"no run {id!r} is known here")


def run(shelf: Shelf, id: str) -> RunView:
    """One run: what it measured, its curves, its fingerprint and its log."""
    one, ours = find(shelf, id)
    titles = shelf.titles([one.paper])
    return RunView(
        run=claims.run_ref(one, ours),
        title=titles[one.paper][0] if one.paper in titles else None,
        trial=one.trial,
        version=one.version,
        attempt=one.attempt,
        reason=one.reason,
        measures=one.measures,
        units=one.units,
        fingerprint=one.fingerprint,
        charts=[
            Chart(
                name=drawing.name,
                url=f"/charts/runs/{one.id}/{number}.svg",
                alt=f"{drawing.name} of this run",
                width=claims.CHART_WIDTH,
                height=250,
            )
            for number, drawing in enumerate(drawings(one))
        ],
        log=one.log[-LOG:],
    )


def drawings(one: StoredRun) -> list[report.Drawing]:
    """The charts of a run: its curves."""
    return report.curve_drawings([one], [one.arm])
