"""What a person may name: a digest file, a date, a paper, a claim."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sillok import digest, papers
from sillok.papers import Card, Claim

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SITE = r"https?://(?:www\.)?(?:arxiv\.org/(?:abs|pdf)|huggingface\.co/papers)/"
_ID = re.compile(rf"(?:{_SITE})?(?P<id>\d{{4}}\.\d{{4,5}})(?:v\d+)?(?:/(?P<claim>[\w.-]+))?/?")


class TargetError(ValueError):
    """A name that stands for nothing here: one line that says what is accepted."""


@dataclass
class Chosen:
    """Cards and claims that targets stand for, and remarks about what they do not."""

    claims: list[tuple[Card, Claim]] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, card: Card, claims: Sequence[Claim]) -> None:
        if card.id not in {known.id for known in self.cards}:
            self.cards.append(card)
        known = {(c.id, claim.id) for c, claim in self.claims}
        self.claims += [(card, claim) for claim in claims if (card.id, claim.id) not in known]


def measured(card: Card) -> list[Claim]:
    """The claims of a card that a trial measures."""
    return [claim for claim in card.claims if claim.trial]


def resolve(targets: Sequence[str]) -> Chosen:
    """Find the papers and claims that are meant; without targets, everything that has a trial.

    Raises:
        TargetError: an unknown id, claim or date, or a file that is not there.
        sillok.digest.DigestError: a file that is no digest.
    """
    chosen = Chosen()
    if not targets:
        for card in papers.catalogue().values():
            if measured(card):
                chosen.add(card, measured(card))
    for target in targets:
        if _DATE.fullmatch(target):
            _by_date(target, chosen)
        elif match := _ID.fullmatch(target):
            _by_id(match["id"], match["claim"] or "", chosen)
        else:
            _by_file(target, chosen)
    return chosen


def _by_id(paper: str, claim: str, chosen: Chosen) -> None:
    try:
        card = papers.load(paper)
    except KeyError as error:
        raise TargetError(str(error)) from None
    claims = measured(card)
    if claim:
        claims = [item for item in card.claims if item.id == claim]
        if not claims:
            there = ", ".join(item.id for item in card.claims) or "none"
            raise TargetError(f"{paper} has no claim {claim!r}; its claims: {there}")
    elif not claims:
        chosen.remarks.append(f"{paper}: no trial measures it yet ({card.title})")
    chosen.add(card, claims)


def _by_date(date: str, chosen: Chosen) -> None:
    found = [
        card
        for card in papers.catalogue().values()
        if any(str(mention.date) == date for mention in card.digests)
    ]
    if not found:
        days = sorted({str(m.date) for card in papers.catalogue().values() for m in card.digests})
        raise TargetError(f"no digest of {date}; there are {', '.join(days)}")
    _several(found, date, chosen)


def _by_file(target: str, chosen: Chosen) -> None:
    path = Path(target)
    if not path.exists():
        raise TargetError(
            f"{target!r} is no file, no date (YYYY-MM-DD) and no arXiv id (like 2411.19870, or 2411.19870/CLAIM)"
        )
    read = digest.read(path)
    catalogue = papers.catalogue()
    found = []
    for one in read if isinstance(read, list) else [read]:
        for entry in one.entries:
            if entry.id is None:
                continue
            if entry.id in catalogue:
                found.append(catalogue[entry.id])
            else:
                chosen.remarks.append(f"{entry.id}: no card ({entry.title})")
    _several(found, path.name, chosen)


def _several(found: Sequence[Card], where: str, chosen: Chosen) -> None:
    unmeasured = 0
    for card in found:
        claims = measured(card)
        if claims:
            chosen.add(card, claims)
        else:
            unmeasured += 1
    if unmeasured:
        chosen.remarks.append(f"{where}: {unmeasured} of {len(found)} papers have no trial yet")
