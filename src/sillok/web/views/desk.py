"""The digest desk: a digest that somebody hands in, read and matched, and nothing kept of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from sillok import digest
from sillok.digest import Digest, DigestError, Entry
from sillok.verify import library
from sillok.web.models import Lang, Summary
from sillok.web.shelf import Shelf
from sillok.web.views import marks, papers
from sillok.web.work import DeskDigest, DeskEntry, DeskView, DeskWarning

MOST_ENTRIES = 300  # that are shown; all are counted
MOST_WARNINGS = 500
_AT_ONCE = threading.BoundedSemaphore(2)  # a large digest takes seconds: the site goes on beside it


class BusyError(RuntimeError):
    """Too much is being read at this moment."""


def desk(shelf: Shelf, given: bytes | str, name: str, *, most_bytes: int, store: bool = False) -> DeskView:
    """Read a digest, match its entries, and keep it in the record where `store` says so.

    Raises:
        BusyError: others are being read.
        DigestError: this is no digest: too large, binary, no UTF-8.
        RecordError: the record cannot be read or written.
    """
    if not _AT_ONCE.acquire(timeout=20):
        raise BusyError("several digests are being read: try again in a minute")
    try:
        if isinstance(given, str):
            given = given.replace("\r\n", "\n").encode("utf-8", "surrogatepass")
        read = digest.read_bytes(given, name=name, max_bytes=most_bytes)
        digests = read if isinstance(read, list) else [read]
        if store:
            library.keep(shelf.record, digests, name, digest.write(read))
        return _view(shelf, digests, name, store)
    finally:
        _AT_ONCE.release()


def _view(shelf: Shelf, digests: Sequence[Digest], name: str, stored: bool) -> DeskView:
    every = [(one, entry, number) for one in digests for number, entry in enumerate(one.entries, 1)]
    ids = list(dict.fromkeys(entry.id for _, entry, _ in every if entry.id))
    titles: dict[str, tuple[str, str | None, str | None]] = {}
    for start in range(0, len(ids), 500):
        titles |= shelf.titles(ids[start : start + 500])
    shown = every[:MOST_ENTRIES]
    found = marks.of_papers(shelf, [entry.id for _, entry, _ in shown if entry.id in titles and entry.id])
    warnings = [warning for one in digests for warning in one.warnings]
    known = [_known(shelf, entry, titles) for _, entry, _ in every]
    return DeskView(
        name=name,
        stored=stored,
        digests=[
            DeskDigest(date=one.date.isoformat() if one.date else None, entries=len(one.entries))
            for one in digests
        ],
        total=len(every),
        counts={kind: known.count(kind) for kind in ("card", "record", "new", "no paper")},
        entries=[
            DeskEntry(
                date=one.date.isoformat() if one.date else None,
                position=number,
                line=entry.line,
                id=entry.id,
                title=entry.title,
                votes=entry.votes,
                authors=list(entry.authors),
                family=titles[entry.id][1] if entry.id and entry.id in titles else None,
                known=_known(shelf, entry, titles),
                claims=_claims(shelf, entry),
                marks=found.get(entry.id, []) if entry.id else [],
                summary=_words(entry),
            )
            for one, entry, number in shown
        ],
        warnings_total=len(warnings),
        warnings=[DeskWarning(line=one.line, message=one.message) for one in warnings[:MOST_WARNINGS]],
    )


def _known(shelf: Shelf, entry: Entry, titles: dict[str, tuple[str, str | None, str | None]]) -> str:
    if entry.id is None:
        return "no paper"
    if entry.id in shelf.cards:
        return "card"
    return "record" if entry.id in titles else "new"


def _claims(shelf: Shelf, entry: Entry) -> list[str]:
    card = shelf.cards.get(entry.id) if entry.id else None
    return [claim.id for claim in card.claims if claim.trial] if card else []


def _words(entry: Entry) -> Summary | None:
    return papers.words([{"name": one.name, "text": one.text} for one in entry.sections])


__all__ = ["BusyError", "DigestError", "Lang", "desk"]
