"""At a glance: what came out for each claim of a paper, or whether it can be measured here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sillok.papers import Claim
from sillok.record import Hit
from sillok.record.lists import PaperRow
from sillok.verify import needs, results
from sillok.web.models import Lang, Mark, PaperRef
from sillok.web.shelf import Shelf

VERDICTS = ("upheld", "not upheld", "inconclusive", "out of reach", "failed")


class NotFound(LookupError):
    """There is no such page; one line that says what is missing."""


class _Said(NamedTuple):
    claim: str
    verdict: str
    scale: str
    shipped: bool
    decided: datetime

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Smaller is shown: evidence before rehearsals, the record before what was shipped, the newest first."""
        return (self.scale == "smoke", self.shipped, -self.decided.timestamp())


def of_papers(shelf: Shelf, ids: Iterable[str]) -> dict[str, list[Mark]]:
    """The marks of each paper, its claims in the order of its card."""
    wanted = list(dict.fromkeys(ids))
    said: dict[str, list[_Said]] = {}
    for row in shelf.record.lists.marks(wanted):
        said.setdefault(row.paper, []).append(_Said(row.claim, row.verdict, row.scale, False, row.decided))
    for id in wanted:
        for verdict in results.of_paper(id).verdicts:
            if verdict.mode == "trial":
                one = _Said(verdict.claim, verdict.verdict, verdict.scale, True, verdict.decided)
                said.setdefault(id, []).append(one)
    return {id: _marks(shelf, id, said.get(id, [])) for id in wanted}


def _marks(shelf: Shelf, id: str, every: list[_Said]) -> list[Mark]:
    best: dict[str, list[_Said]] = {}
    for one in sorted(every, key=lambda one: one.rank):
        best.setdefault(one.claim, []).append(one)
    card = shelf.cards.get(id)
    claims = [claim for claim in card.claims if claim.trial] if card else []
    known = {claim.id for claim in claims}
    found = [
        _of(said) if (said := best.get(claim.id)) is not None else unmeasured(shelf, claim)
        for claim in claims
    ]
    return found + [_of(said) for claim, said in best.items() if claim not in known]


def _of(said: list[_Said]) -> Mark:
    first = said[0]
    return measured(first.claim, first.verdict, first.scale, [(one.verdict, one.scale) for one in said[1:]])


def measured(claim: str, verdict: str, scale: str, others: Iterable[tuple[str, str]] = ()) -> Mark:
    """The mark of a claim that has a verdict, and others (verdict, scale); rehearsals contradict nothing."""
    differ = {said for said, at in others if said != verdict and at != "smoke"}
    elsewhere = [name for name in VERDICTS if name in differ]
    return Mark(claim=claim, state="measured", verdict=verdict, scale=scale, elsewhere=elsewhere)


def unmeasured(shelf: Shelf, claim: Claim) -> Mark:
    """The mark of a claim that has a trial and no verdict: whether this machine could measure it."""
    asked = needs.declared(claim.trial or "") or ()
    missing = shelf.for_a_while(("lacking", asked), lambda: _lacking(asked))
    return Mark(claim=claim.id, state="blocked" if missing else "open", needs=missing)


def _lacking(asked: tuple[str, ...]) -> list[str]:
    try:
        return needs.lacking(asked)
    except ValueError:  # a need that a later Sillok knows
        return []


def words(claim: Claim, lang: Lang) -> tuple[str, Lang]:
    """A claim's text in the reader's language where there is one, and the language that it is in."""
    return (claim.text_ko, "ko") if lang == "ko" and claim.text_ko else (claim.text, "en")


def refs(shelf: Shelf, found: Iterable[PaperRow | Hit]) -> list[PaperRef]:
    """Papers in a list, in the order given; a card's words go before the record's."""
    rows = {row.id: row for row in found}
    marks = of_papers(shelf, rows)
    refs = []
    for id, row in rows.items():
        card = shelf.cards.get(id)
        title, family, published = (
            (card.title, card.family, card.published) if card else (row.title, row.family, row.published)
        )
        snippet = row.snippet if isinstance(row, Hit) else ""
        refs.append(
            PaperRef(id=id, title=title, family=family, published=published, marks=marks[id], snippet=snippet)
        )
    return refs
