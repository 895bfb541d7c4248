"""Today, the list of digests, and a digest's page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sillok.record import StoredEntry, StoredVerdict
from sillok.record.lists import DigestRow
from sillok.verify import results
from sillok.web.models import (
    DigestList,
    DigestRef,
    DigestView,
    EntryView,
    Found,
    Lang,
    MachineRef,
    Summary,
    Today,
)
from sillok.web.shelf import Listed, Shelf
from sillok.web.views import marks, papers
from sillok.web.views.marks import NotFound

PAGE = 50  # entries of a digest on one page
LISTED = 40  # digests on one page
EARLIER = 12
LATEST = 20  # entries of the latest digest on the front page
MEASURED = 8

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class _Day:
    """A digest that was read (`row`), or a day that the cards name (`listed`)."""

    row: DigestRow | None
    listed: Listed | None

    @property
    def ref(self) -> DigestRef:
        if self.row is not None:
            name = self.row.date or self.row.id
            return DigestRef(name=name, date=self.row.date, source=self.row.source, entries=self.row.entries)
        assert self.listed is not None
        return DigestRef(
            name=self.listed.date, date=self.listed.date, source="", entries=len(self.listed.papers)
        )


def today(shelf: Shelf, lang: Lang) -> Today:
    """The front page: the latest digest, the earlier ones, and what was measured last."""
    days = _days(shelf, None, EARLIER + 1)
    families = shelf.kept("families", shelf.record.lists.families)
    return Today(
        latest=_view(shelf, days[0], lang, 0, LATEST) if days else None,
        earlier=[day.ref for day in days[1:]],
        measured=_measured(shelf, lang),
        papers=max(sum(families.values()), len(shelf.cards)),
        verdicts=shelf.kept("verdicts", lambda: _verdicts(shelf)),
    )


def digests(shelf: Shelf, before: str | None) -> DigestList:
    """Digests by date, the newest first; `before` is the date that the last page ended with."""
    days = _days(shelf, before, LISTED + 1)
    more = days[LISTED - 1].ref.date if len(days) > LISTED else None
    undated = [] if before else [_Day(row, None) for row in shelf.record.lists.undated()]
    return DigestList(digests=[day.ref for day in [*days[:LISTED], *undated]], more=more)


def digest(shelf: Shelf, name: str, lang: Lang, page: int = 1) -> DigestView:
    """A digest by its date or id. Raises NotFound where there is none, or none of its entries on that page."""
    row = shelf.record.lists.digest(id=name) if _ID.fullmatch(name) else shelf.record.lists.digest(date=name)
    listed = None if row else next((day for day in shelf.days if day.date == name), None)
    if row is None and listed is None:
        raise NotFound(f"no digest of {name} was read")
    day = _Day(row, listed)
    if page > 1 and (page - 1) * PAGE >= day.ref.entries:
        raise NotFound(f"the digest of {name} has no page {page}")
    return _view(shelf, day, lang, (page - 1) * PAGE, PAGE)


def _days(shelf: Shelf, before: str | None, limit: int) -> list[_Day]:
    """One digest a date, the newest first: those that were read, and the days that the cards name."""
    rows = shelf.record.lists.digests(before=before, limit=limit)
    found = {row.date: _Day(row, None) for row in rows if row.date is not None}
    for listed in shelf.days:
        if before is None or listed.date < before:
            found.setdefault(listed.date, _Day(None, listed))
    return [found[date] for date in sorted(found, reverse=True)][:limit]


def _view(shelf: Shelf, day: _Day, lang: Lang, start: int, count: int) -> DigestView:
    if day.row is not None:
        entries = _read(shelf, shelf.record.lists.entries(day.row.id, offset=start, limit=count), lang)
    else:
        assert day.listed is not None
        entries = _known(shelf, day.listed, lang, start, count)
    ref = day.ref
    end = start + len(entries)
    newer, older = _around(shelf, ref.date)
    return DigestView(
        name=ref.name,
        date=ref.date,
        source=ref.source,
        read=day.row is not None,
        total=ref.entries,
        first=start + 1,
        entries=entries,
        more=end // PAGE + 1 if end < ref.entries else None,
        newer=newer,
        older=older,
    )


def _around(shelf: Shelf, date: str | None) -> tuple[DigestRef | None, DigestRef | None]:
    """The digests before and after a date."""
    if date is None:
        return None, None
    older = next((day.ref for day in _days(shelf, date, 1)), None)
    dates = [day.date for day in shelf.days if day.date > date]
    row = shelf.record.lists.next_digest(date)
    if row is not None and row.date is not None:
        dates.append(row.date)
    if not dates:
        return None, older
    name = min(dates)
    return DigestRef(name=name, date=name, source="", entries=0), older


def _read(shelf: Shelf, entries: list[StoredEntry], lang: Lang) -> list[EntryView]:
    ids = [entry.paper for entry in entries if entry.paper]
    titles, found = shelf.titles(ids), marks.of_papers(shelf, ids)
    views = []
    for entry in entries:
        id = entry.paper
        views.append(
            EntryView(
                position=entry.position,
                id=id if id in titles else None,
                title=entry.title,
                votes=entry.votes,
                authors=list(entry.authors),
                family=titles[id][1] if id in titles else None,
                card=id in shelf.cards,
                marks=found.get(id, []) if id else [],
                summary=_summary(shelf, id, papers.words(entry.sections), lang),
            )
        )
    return views


def _known(shelf: Shelf, listed: Listed, lang: Lang, start: int, count: int) -> list[EntryView]:
    """A day as its cards tell it: no digest of that day was read."""
    chosen = listed.papers[start : start + count]
    found = marks.of_papers(shelf, [id for id, _ in chosen])
    return [
        EntryView(
            position=start + number,
            id=id,
            title=shelf.cards[id].title,
            votes=votes,
            authors=list(shelf.cards[id].authors),
            family=shelf.cards[id].family,
            card=True,
            marks=found[id],
            summary=_summary(shelf, id, None, lang),
        )
        for number, (id, votes) in enumerate(chosen, 1)
    ]


def _summary(shelf: Shelf, id: str | None, said: Summary | None, lang: Lang) -> Summary | None:
    """The reader's language first, and in that Sillok's own words before the digest's."""
    card = shelf.cards.get(id) if id else None
    known = papers.own(card) if card else []
    if said is not None:
        known = [*known, said]
    return next((one for one in known if one.lang == lang), known[0] if known else None)


def _measured(shelf: Shelf, lang: Lang) -> list[Found]:
    """The verdicts decided last, one a claim, rehearsals aside."""
    stored = [v for v in shelf.record.verdicts(mode="trial", limit=4 * MEASURED) if v.scale != "smoke"]
    shipped = [
        v for bundle in results.shipped() for v in bundle.verdicts if v.mode == "trial" and v.scale != "smoke"
    ]
    newest = sorted([*stored, *shipped], key=lambda verdict: verdict.decided, reverse=True)
    latest: dict[tuple[str, str], StoredVerdict] = {}
    for verdict in newest:
        latest.setdefault((verdict.paper, verdict.claim), verdict)
    chosen = list(latest.values())[:MEASURED]
    titles = shelf.titles(verdict.paper for verdict in chosen)
    found = []
    for verdict in chosen:
        card = shelf.cards.get(verdict.paper)
        claim = next((one for one in card.claims if one.id == verdict.claim), None) if card else None
        title = str(verdict.declaration.get("title") or verdict.claim)
        text, spoken = marks.words(claim, lang) if claim else (title, "en")
        found.append(
            Found(
                paper=verdict.paper,
                title=titles.get(verdict.paper, (verdict.paper, None, None))[0],
                claim=verdict.claim,
                text=text,
                lang=spoken,
                mark=marks.measured(verdict.claim, verdict.verdict, verdict.scale),
                machine=MachineRef(id=verdict.machine, name=shelf.machine_name(verdict.machine)),
                decided=verdict.decided.date().isoformat(),
            )
        )
    return found


def _verdicts(shelf: Shelf) -> dict[str, int]:
    """How many verdicts of each kind there are, of the record and of what was shipped, rehearsals aside."""
    counts = dict.fromkeys(marks.VERDICTS, 0)
    for _, verdict, count in shelf.record.lists.verdict_counts():
        counts[verdict] += count
    for bundle in results.shipped():
        for one in bundle.verdicts:
            counts[one.verdict] += one.mode == "trial" and one.scale != "smoke"
    return {name: count for name, count in counts.items() if count}
