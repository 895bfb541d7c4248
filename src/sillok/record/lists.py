"""Pages of what the record holds: each is bounded, follows an index, and leaves out what a list does not show.

A page is asked for by what the last one ended with (`before`, `after`), so that the thousandth costs as much
as the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select

from sillok.record import search
from sillok.record.codec import texts_of
from sillok.record.model import StoredEntry, StoredVerdict
from sillok.record.runs import read_verdicts
from sillok.record.tables import digests, entries, papers, runs, verdicts
from sillok.record.tables import search as index

MOST = 1000  # rows of one page; what asks for more gets these


class PaperRow(NamedTuple):
    """A paper in a list; `key` orders papers by date, and names the place of a page's end."""

    id: str
    title: str
    family: str | None
    published: str | None
    key: int


class DigestRow(NamedTuple):
    """A digest in a list: without its text and entries."""

    id: str
    date: str | None
    source: str
    added: datetime
    entries: int


class Mention(NamedTuple):
    """One paper's place in one digest."""

    paper: str
    digest: str
    date: str | None
    position: int
    votes: int | None


class Mark(NamedTuple):
    """A verdict in a list: what came out, where and when, without intervals and declaration."""

    paper: str
    claim: str
    version: int
    scale: str
    mode: str
    machine: str
    verdict: str
    decided: datetime


class RunRow(NamedTuple):
    """A run in a list: without measures, curves, fingerprint and log."""

    id: str
    paper: str
    claim: str
    trial: str
    version: int
    arm: str
    seed: int
    scale: str
    mode: str
    state: str
    attempt: int
    reason: str | None
    started: datetime
    seconds: float
    machine: str


# What every page asks for is built once: SQLAlchemy takes longer to build these than SQLite to answer them.
_TITLES = select(papers.c.id, papers.c.title, papers.c.family, papers.c.published).where(
    papers.c.id.in_(bindparam("ids", expanding=True))
)
_ENTRIES = (
    select(entries)
    .where(entries.c.digest == bindparam("digest"))
    .order_by(entries.c.position)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
_MENTIONS = (
    select(entries.c.paper, entries.c.digest, digests.c.date, entries.c.position, entries.c.votes)
    .join(digests, digests.c.id == entries.c.digest)
    .where(entries.c.paper == bindparam("paper"))
    .order_by(digests.c.date.desc().nulls_last(), entries.c.position)
    .limit(bindparam("limit"))
)
# By the key alone: where a mode and an order are asked for too, SQLite reads all verdicts of the mode in that order.
_MARKS = select(*(verdicts.c[name] for name in Mark._fields)).where(
    verdicts.c.paper.in_(bindparam("ids", expanding=True))
)


class Lists:
    """What `Record.lists` gives. Limits above `MOST` are cut to it; ValueError for a negative one."""

    def __init__(self, reading: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._reading = reading

    def _rows(self, query: Any, values: dict[str, Any] | None = None) -> list[Any]:
        with self._reading() as connection:
            return list(connection.execute(query, values or {}).fetchall())

    def papers(
        self,
        *,
        family: str | None = None,
        verdict: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[PaperRow]:
        """Papers, the newest first: those of a family, those with a verdict; `before` is the last page's last key."""
        with self._reading() as connection:
            tags = search.Filters(family=family, verdict=verdict).tags
            keys = search.browse(
                connection, tags, _bound(limit), 0, search.LAST if before is None else before
            )
            columns = (papers.c.id, papers.c.title, papers.c.family, papers.c.published, index.c.key)
            joined = index.join(papers, papers.c.id == index.c.paper)
            query = select(*columns).select_from(joined).where(index.c.key.in_(keys))
            return [PaperRow(*row) for row in connection.execute(query.order_by(index.c.key.desc()))]

    def papers_of(self, first: date, last: date, limit: int) -> list[str]:
        """The ids of papers from a day to before another, the newest first; here up to 5,000 of them."""
        low, high = search.key_of_day(first), search.key_of_day(last)
        query = select(index.c.paper).where(index.c.key >= low, index.c.key < high)
        rows = self._rows(query.order_by(index.c.key.desc()).limit(min(limit, 5 * MOST)))
        return [row.paper for row in rows]

    def span(self) -> tuple[date, date] | None:
        """The days of the oldest and the newest paper that have one; None where there is none."""
        dated = index.c.key >= search.key_of_day(date(1, 1, 1))
        rows = self._rows(select(func.min(index.c.key), func.max(index.c.key)).where(dated))
        low, high = rows[0]
        return None if low is None else (search.day_of_key(low), search.day_of_key(high))

    def titles(self, ids: Iterable[str]) -> dict[str, PaperRow]:
        """Papers by id, for those of `ids` that are in the record; `key` is 0."""
        rows = self._rows(_TITLES, {"ids": _some(ids)})
        return {row.id: PaperRow(row.id, row.title, row.family, row.published, 0) for row in rows}

    def facts(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The facts of papers by id, for those of `ids` that are in the record."""
        wanted = list(ids)
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(wanted), MOST):
            query = select(papers.c.id, papers.c.facts).where(papers.c.id.in_(wanted[start : start + MOST]))
            found |= {row.id: json.loads(row.facts) for row in self._rows(query)}
        return found

    def summaries(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """Paper -> language -> text."""
        with self._reading() as connection:
            return texts_of(connection, _some(ids))

    def families(self) -> dict[str, int]:
        """Family -> how many papers it has; papers of no family are left out."""
        query = select(papers.c.family, func.count()).where(papers.c.family.is_not(None))
        return dict(map(tuple, self._rows(query.group_by(papers.c.family).order_by(papers.c.family))))

    def digests(self, *, before: str | None = None, limit: int = 50) -> list[DigestRow]:
        """One digest a date, the one added last, the newest date first; `before` is the last page's last date."""
        same = digests.alias()
        last = select(same.c.id).where(same.c.date == digests.c.date).order_by(same.c.added.desc(), same.c.id)
        where = [digests.c.date.is_not(None), digests.c.id == last.limit(1).scalar_subquery()]
        if before is not None:
            where.append(digests.c.date < before)
        return self._digests(where, digests.c.date.desc(), limit)

    def undated(self, limit: int = 50) -> list[DigestRow]:
        """Digests without a date, those added last first."""
        return self._digests([digests.c.date.is_(None)], digests.c.added.desc(), limit)

    def next_digest(self, date: str) -> DigestRow | None:
        """A digest of the first date after this one."""
        return next(iter(self._digests([digests.c.date > date], digests.c.date, 1)), None)

    def digest(self, *, date: str | None = None, id: str | None = None) -> DigestRow | None:
        """The digest of an id, or the one of a date that was added last; None where there is none."""
        named = digests.c.id == id if id is not None else digests.c.date == date
        return next(iter(self._digests([named], digests.c.added.desc(), 1)), None)

    def _digests(
        self, where: list[ColumnElement[bool]], order: ColumnElement[Any], limit: int
    ) -> list[DigestRow]:
        count = select(func.count()).where(entries.c.digest == digests.c.id).scalar_subquery()
        columns = (digests.c.id, digests.c.date, digests.c.source, digests.c.added, count)
        query = select(*columns).where(*where).order_by(order, digests.c.id).limit(_bound(limit))
        return [DigestRow(*row) for row in self._rows(query)]

    def entries(self, digest: str, *, offset: int = 0, limit: int = 50) -> list[StoredEntry]:
        """The entries of a digest in their order."""
        values = {"digest": digest, "limit": _bound(limit), "offset": offset}
        return [
            StoredEntry(
                position=row.position,
                paper=row.paper,
                title=row.title,
                votes=row.votes,
                authors=tuple(json.loads(row.authors)),
                sections=json.loads(row.sections),
            )
            for row in self._rows(_ENTRIES, values)
        ]

    def mentions(self, paper: str, limit: int = 50) -> list[Mention]:
        """Where digests list a paper, the newest first."""
        return [Mention(*row) for row in self._rows(_MENTIONS, {"paper": paper, "limit": _bound(limit)})]

    def marks(self, ids: Iterable[str], *, mode: str = "trial") -> list[Mark]:
        """The verdicts of papers, the newest first."""
        found = [Mark(*row) for row in self._rows(_MARKS, {"ids": _some(ids)}) if row.mode == mode]
        return sorted(found, key=lambda mark: mark.decided, reverse=True)

    def verdicts(
        self, machine: str, *, before: datetime | None = None, limit: int = 50
    ) -> list[StoredVerdict]:
        """A machine's verdicts of trials proper, the newest first, decided before a moment."""
        with self._reading() as connection:
            where = {"machine": machine, "mode": "trial"}
            more = [] if before is None else [verdicts.c.decided < before]
            return read_verdicts(connection, where, limit=_bound(limit), more=more)

    def verdict_counts(self) -> list[tuple[str, str, int]]:
        """How many verdicts each machine has of each kind, rehearsals aside: (machine, verdict, count)."""
        query = select(verdicts.c.machine, verdicts.c.verdict, func.count())
        query = query.where(verdicts.c.mode == "trial", verdicts.c.scale.in_(("here", "full")))
        return [(m, v, n) for m, v, n in self._rows(query.group_by(verdicts.c.machine, verdicts.c.verdict))]

    def family_verdicts(self) -> list[tuple[str, str, int]]:
        """How many papers of each family have each verdict, rehearsals aside: (family, verdict, count)."""
        query = select(papers.c.family, verdicts.c.verdict, func.count(verdicts.c.paper.distinct()))
        query = query.join(papers, papers.c.id == verdicts.c.paper).where(papers.c.family.is_not(None))
        query = query.where(verdicts.c.mode == "trial", verdicts.c.scale.in_(("here", "full")))
        return [(f, v, n) for f, v, n in self._rows(query.group_by(papers.c.family, verdicts.c.verdict))]

    def runs(
        self,
        *,
        paper: str | None = None,
        machine: str | None = None,
        state: str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[RunRow]:
        """Runs, the newest first; `before` is (started, id) of the last one of the page before."""
        where: list[ColumnElement[bool]] = [
            runs.c[name] == value
            for name, value in (("paper", paper), ("machine", machine), ("state", state))
            if value is not None
        ]
        if before is not None:
            started, id = before
            same = and_(runs.c.started == started, runs.c.id > id)
            where.append(and_(runs.c.started <= started, or_(runs.c.started < started, same)))
        query = select(*(runs.c[name] for name in RunRow._fields)).where(*where)
        query = query.order_by(runs.c.started.desc(), runs.c.id).limit(_bound(limit))
        return [RunRow(*row) for row in self._rows(query)]


def _bound(limit: int) -> int:
    if limit < 0:
        raise ValueError(f"limit: {limit} is negative; 0 or more is accepted")
    return min(limit, MOST)


def _some(ids: Iterable[str]) -> Sequence[str]:
    return list(dict.fromkeys(ids))[:MOST]
