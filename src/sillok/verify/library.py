"""What the record knows of papers: the catalogue's cards and the digests that were read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from sillok import papers
from sillok.digest import Digest, Entry
from sillok.papers import Card
from sillok.record import Record
from sillok.verify import needs as requirements
from sillok.verify import results


def _facts(card: Card) -> dict[str, Any]:
    shipped = [v for v in results.of_paper(card.id).verdicts if v.mode == "trial" and v.scale != "smoke"]
    needs = {
        need for verdict in shipped for need in verdict.declaration.get("needs", {}).get(verdict.scale, ())
    }
    facts = {
        "kind": card.kind,
        "host": card.host,
        "reference": card.reference.model_dump(mode="json"),
        "digests": [mention.model_dump(mode="json") for mention in card.digests],
        "methods": list(card.methods),
        "needs": sorted(
            needs | {need for trial in card.trials for need in requirements.declared(trial) or ()}
        ),
        "verdicts": sorted({verdict.verdict for verdict in shipped}),
    }
    text = card.model_dump_json() + json.dumps(facts, sort_keys=True)
    return facts | {"card": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _paper(card: Card, facts: dict[str, Any]) -> dict[str, Any]:
    """A card as the record takes a paper."""
    return {
        "id": card.id,
        "title": card.title,
        "authors": list(card.authors),
        "published": card.published,
        "family": card.family,
        "summaries": {
            language: "\n\n".join(f"{name}: {text}" for name, text in sections.items())
            for language, sections in (("en", card.summary.en), ("ko", card.summary.ko))
            if sections
        },
        "facts": facts,
    }


def sync(record: Record) -> int:
    """Bring the catalogue's cards into the record where they are new or have changed; how many were."""
    cards = papers.catalogue()
    known = record.lists.facts(cards)
    fresh = [
        (card, facts)
        for card in cards.values()
        if (facts := _facts(card))["card"] != known.get(card.id, {}).get("card")
    ]
    if not fresh:
        return 0
    record.add_papers(_paper(card, facts) for card, facts in fresh)
    for card, _ in fresh:
        if card.claims:
            data = [{"id": c.id, "text": c.text, "data": c.model_dump(mode="json")} for c in card.claims]
            record.set_claims(card.id, data)
    return len(fresh)


def sync_if_possible(record: Record) -> None:
    """`sync`, unless the record can only be read: then it is searched as it is."""
    if not record.read_only:
        sync(record)


def matched(digests: Iterable[Digest]) -> list[dict[str, Any]]:
    """One row an entry: what the digest says, and what Sillok has for it."""
    catalogue = papers.catalogue()
    rows = []
    for one in digests:
        for entry in one.entries:
            card = catalogue.get(entry.id) if entry.id else None
            rows.append(
                {
                    "date": one.date.isoformat() if one.date else None,
                    "line": entry.line,
                    "id": entry.id,
                    "title": entry.title,
                    "votes": entry.votes,
                    "sections": [section.name for section in entry.sections],
                    "card": card is not None,
                    "family": card.family if card else None,
                    "claims": [claim.id for claim in card.claims if claim.trial] if card else [],
                }
            )
    return rows


def keep(record: Record, digests: Iterable[Digest], source: str, text: str) -> int:
    """Store digests that were read; how many entries.

    Their summaries become searchable where no card has one of its own in that language.
    """
    count = 0
    catalogue = papers.catalogue()
    for one in digests:
        entries = [
            {
                "position": number,
                "paper": entry.id,
                "title": entry.title,
                "votes": entry.votes,
                "authors": list(entry.authors),
                "sections": [{"name": s.name, "text": s.text} for s in entry.sections],
            }
            for number, entry in enumerate(one.entries, 1)
        ]
        record.add_papers(
            _mentioned(entry, catalogue.get(entry.id)) for entry in one.entries if entry.id is not None
        )
        date = one.date.isoformat() if one.date else None
        record.add_digest(date, source, text, entries)
        count += len(entries)
    return count


def _mentioned(entry: Entry, card: Card | None) -> dict[str, Any]:
    """A digest's entry as the record takes a paper: the card's facts where there is one, else its own."""
    paper: dict[str, Any]
    if card is None:
        paper = {"id": entry.id, "title": entry.title, "authors": list(entry.authors), "summaries": {}}
    else:
        paper = _paper(card, _facts(card))
    text = "\n\n".join(section.text for section in entry.sections)
    if text and language_of(text) not in paper["summaries"]:
        paper["summaries"] = paper["summaries"] | {language_of(text): text}
    return paper


_HANGUL = re.compile("[가-힣]")


def language_of(text: str) -> str:
    """Korean ("ko") where a tenth of the letters is Hangul; else English ("en")."""
    hangul = len(_HANGUL.findall(text))
    return "ko" if hangul * 10 >= sum(map(str.isalpha, text)) > 0 else "en"
