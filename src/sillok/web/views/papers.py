"""A paper's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sillok.digest import arxiv_url
from sillok.papers import Card
from sillok.record import StoredPaper
from sillok.record.lists import Mention as MentionRow
from sillok.verify import library
from sillok.web.models import Lang, Mention, PaperView, Part, Reference, Summary
from sillok.web.shelf import Shelf
from sillok.web.views import claims
from sillok.web.views.marks import NotFound

MOST_MENTIONS = 20


def paper(shelf: Shelf, id: str, lang: Lang) -> PaperView:
    """What is known of a paper. Raises NotFound where neither a card nor the record has it."""
    card = shelf.cards.get(id)
    stored = None if card else shelf.record.paper(id)
    if card is None and stored is None:
        raise NotFound(f"no paper {id!r} is known here")
    rows = shelf.record.lists.mentions(id, MOST_MENTIONS)
    mentions = _mentions(rows, card)
    summaries = _summaries(shelf, card, stored, rows)
    chosen = next((one for one in summaries if one.lang == lang), summaries[0] if summaries else None)
    facts = _of_card(card) if card else _of_record(stored)
    return PaperView(
        id=id,
        url=arxiv_url(id),
        pdf=f"https://arxiv.org/pdf/{id}",
        card=card is not None,
        summary=chosen,
        others=[one for one in summaries if one is not chosen],
        claims=claims.of_paper(shelf, id, card, lang),
        mentions=mentions,
        **facts,
    )


def _of_card(card: Card) -> dict[str, Any]:
    name = card.reference.repository
    link = name if name is None or name.startswith("https://") else f"https://github.com/{name}"
    return {
        "title": card.title,
        "authors": list(card.authors),
        "authors_note": "" if card.authors_source == "unverified" else card.authors_source,
        "published": card.published,
        "family": card.family,
        "kind": card.kind,
        "host": card.host,
        "methods": list(card.methods),
        "install": f"pip install 'sillok[{card.install}]'" if card.methods else None,
        "usage": card.usage.code.strip() if card.usage else None,
        "reference": Reference(name=name or "", url=link, licence=card.reference.licence),
        "differs": list(card.differs),
        "checked": list(card.checked),
    }


def _of_record(stored: StoredPaper | None) -> dict[str, Any]:
    assert stored is not None
    return {
        "title": stored.title,
        "authors": list(stored.authors),
        "authors_note": "",
        "published": stored.published,
        "family": stored.family,
        "kind": None,
        "host": None,
        "methods": [],
        "install": None,
        "usage": None,
        "reference": None,
        "differs": [],
        "checked": [],
    }


def _mentions(rows: Sequence[MentionRow], card: Card | None) -> list[Mention]:
    """Where digests list the paper: those in the record, and those that its card names."""
    found = [Mention(date=row.date, digest=row.date or row.digest, votes=row.votes) for row in rows]
    read = {mention.date for mention in found}
    if card is not None:
        for said in card.digests:
            date = said.date.isoformat()
            if date not in read:
                found.append(Mention(date=date, digest=date, votes=said.votes))
    return found


def _summaries(
    shelf: Shelf, card: Card | None, stored: StoredPaper | None, rows: Sequence[MentionRow]
) -> list[Summary]:
    """Sillok's own summaries, then the words of the newest digest that lists the paper, else of the record."""
    found = list(own(card)) if card else []
    said = _digests_words(shelf, rows)
    if said is not None:
        found.append(said)
    elif stored is not None:
        known: list[Lang] = ["en", "ko"]
        found += [
            Summary(source="digest", lang=code, parts=[Part(name="", text=stored.summaries[code])])
            for code in known
            if code in stored.summaries
        ]
    return found


def own(card: Card) -> list[Summary]:
    """Sillok's own summaries of a paper."""
    languages: tuple[tuple[Lang, dict[str, str]], ...] = (("en", card.summary.en), ("ko", card.summary.ko))
    return [
        Summary(
            source="sillok",
            lang=code,
            parts=[Part(name=name, text=text.strip()) for name, text in sections.items()],
        )
        for code, sections in languages
        if sections
    ]


def _digests_words(shelf: Shelf, rows: Sequence[MentionRow]) -> Summary | None:
    for row in rows[:1]:
        for entry in shelf.record.lists.entries(row.digest, offset=row.position - 1, limit=1):
            if entry.paper == row.paper:
                return words(entry.sections)
    return None


def words(sections: object) -> Summary | None:
    """A digest's words as they were read; None where it has none."""
    parts = []
    for section in sections if isinstance(sections, list) else []:
        if isinstance(section, dict) and isinstance(section.get("text"), str) and section["text"].strip():
            parts.append(Part(name=str(section.get("name") or ""), text=section["text"]))
    if not parts:
        return None
    lang: Lang = "ko" if library.language_of(" ".join(part.text for part in parts)) == "ko" else "en"
    return Summary(source="digest", lang=lang, parts=parts)
