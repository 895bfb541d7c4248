"""The families, and a family's page with its comparison."""

from __future__ import annotations

from sillok.papers import Card
from sillok.record import StoredVerdict
from sillok.verify import results
from sillok.web.models import Bench, Compared, Families, FamilyRef, FamilyView, Lang
from sillok.web.shelf import Shelf
from sillok.web.views import claims, marks
from sillok.web.views.marks import NotFound

PAGE = 40
MOST_COMPARED = 40  # papers of one comparison


def families(shelf: Shelf) -> Families:
    """All families, by name."""
    return shelf.kept("family list", lambda: _families(shelf))


def names(shelf: Shelf) -> list[str]:
    """The names of all families, which cost less than what is counted of them."""
    return sorted(
        {*shelf.kept("families", shelf.record.lists.families), *(c.family for c in shelf.cards.values())}
    )


def _families(shelf: Shelf) -> Families:
    counts = dict(shelf.kept("families", shelf.record.lists.families))
    for card in shelf.cards.values():
        counts.setdefault(card.family, 0)
    found: dict[str, dict[str, int]] = {name: {} for name in counts}
    for family, verdict, count in shelf.record.lists.family_verdicts():
        found[family][verdict] = count
    counted = {
        (row.paper, row.verdict) for row in shelf.record.lists.marks(shelf.cards) if row.scale != "smoke"
    }
    for id, card in shelf.cards.items():
        for verdict in {one.verdict for one in _evidence(id)}:
            if (id, verdict) not in counted:
                found[card.family][verdict] = found[card.family].get(verdict, 0) + 1
    refs = [
        FamilyRef(name=name, papers=counts[name], verdicts=_ordered(found[name])) for name in sorted(counts)
    ]
    return Families(families=refs)


def _evidence(id: str) -> list[StoredVerdict]:
    """What was shipped of a paper, rehearsals aside."""
    return [v for v in results.of_paper(id).verdicts if v.mode == "trial" and v.scale != "smoke"]


def _ordered(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in marks.VERDICTS if name in counts}


def family(shelf: Shelf, name: str, lang: Lang, before: int | None = None) -> FamilyView:
    """A family: its comparison, and its papers, newest first. Raises NotFound for a family without papers."""
    known = next((one for one in families(shelf).families if one.name == name), None)
    rows = shelf.record.lists.papers(family=name, before=before, limit=PAGE + 1)
    if known is None and not rows:
        raise NotFound(f"no paper is in a family {name!r}")
    return FamilyView(
        name=name,
        papers=known.papers if known else len(rows),
        verdicts=known.verdicts if known else {},
        benches=[]
        if before is not None
        else shelf.kept(("benches", name, lang), lambda: _benches(shelf, name, lang)),
        listed=marks.refs(shelf, rows[:PAGE]),
        more=str(rows[PAGE - 1].key) if len(rows) > PAGE else None,
    )


def _benches(shelf: Shelf, name: str, lang: Lang) -> list[Bench]:
    """Claims with results, by testbed; those that stand on one of their own come last."""
    groups: dict[str | None, list[Compared]] = {}
    for id in _measured(shelf, name):
        card: Card | None = shelf.cards.get(id)
        title = card.title if card else shelf.titles([id])[id][0]
        for claim in claims.of_paper(shelf, id, card, lang, detail=False):
            if claim.results:
                row = Compared(
                    paper=id,
                    title=title,
                    claim=claim.id,
                    text=claim.text,
                    lang=claim.lang,
                    printed=claim.printed,
                    results=claim.results,
                )
                groups.setdefault(claim.testbed, []).append(row)
    order = sorted(groups, key=lambda bed: (bed is None, -len(groups[bed]), bed or ""))
    return [Bench(testbed=bed, claims=groups[bed]) for bed in order]


def _measured(shelf: Shelf, name: str) -> list[str]:
    """Papers of a family with a verdict, cards first; at most `MOST_COMPARED`."""
    shipped = [id for id, card in shelf.cards.items() if card.family == name and _evidence(id)]
    found = dict.fromkeys(sorted(shipped, reverse=True))
    for verdict in marks.VERDICTS:
        for row in shelf.record.lists.papers(family=name, verdict=verdict, limit=MOST_COMPARED):
            found.setdefault(row.id)
    return list(found)[:MOST_COMPARED]
