"""Where the views read: the record, the catalogue of cards, the shipped results and the pages' pictures.

What counts over the whole record is kept until the record changes, whoever changes it.
"""

from __future__ import annotations

import re
import struct
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sillok
from sillok import papers
from sillok.papers import Card
from sillok.record import Record
from sillok.verify import fingerprint, library, results

AGE = 20.0  # seconds after which the site looks again at what is installed
MOST_KEPT = 500
T = TypeVar("T")


@dataclass(frozen=True)
class Drawn:
    """A picture that a trial made for its paper's page."""

    name: str
    caption: str
    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Listed:
    """A day's papers as the cards know them: (id, votes), most votes first."""

    date: str
    papers: tuple[tuple[str, int | None], ...]


class Shelf:
    """What the site knows. Safe to read from several threads."""

    def __init__(self, record: Record) -> None:
        self.record = record
        library.sync_if_possible(record)
        fingerprint.machine()
        self.cards: Mapping[str, Card] = {card.id: card for card in papers.catalogue().values()}
        self.days = _days(self.cards.values())
        self.pictures = _pictures(_pages())
        self._values: dict[Hashable, tuple[object, Any]] = {}
        self._locks: dict[Hashable, threading.RLock] = {}

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives of the record as it now is."""
        # The connection before the lock: who waits for a lock may hold the last connection that its holder needs.
        with self.record.at_once() as version:
            return self._kept(key, make, version)

    def for_a_while(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives of this machine, at most `AGE` seconds old."""
        return self._kept(key, make, time.monotonic() // AGE)

    def _kept(self, key: Hashable, make: Callable[[], T], stamp: object) -> T:
        found = self._values.get(key)
        if found is None or found[0] != stamp:
            if len(self._values) > MOST_KEPT:
                self._values.clear()
            with self._locks.setdefault(key, threading.RLock()):  # one thread counts, the others wait for it
                found = self._values.get(key)
                if found is None or found[0] != stamp:
                    found = self._values[key] = (stamp, make())
        value: T = found[1]
        return value

    def machine_name(self, id: str) -> str:
        """What to call a machine; several that worked together are named by their ids."""
        return self.machines().get(id, {}).get("name") or id

    def machines(self) -> dict[str, dict[str, Any]]:
        """Machine -> its description: the record's, and those that the shipped results come from."""

        def read() -> dict[str, dict[str, Any]]:
            shipped = {bundle.machine.id: bundle.machine.data for bundle in results.shipped()}
            return shipped | {machine.id: machine.data for machine in self.record.machines()}

        return self.kept("machines", read)

    def titles(self, ids: Iterable[str]) -> dict[str, tuple[str, str | None, str | None]]:
        """Paper -> title, family, date, from the cards, else the record."""
        wanted = dict.fromkeys(ids)
        found: dict[str, tuple[str, str | None, str | None]] = {
            id: (card.title, card.family, card.published)
            for id in wanted
            if (card := self.cards.get(id)) is not None
        }
        missing = [id for id in wanted if id not in found]
        if missing:
            rows = self.record.lists.titles(missing)
            found |= {id: (row.title, row.family, row.published) for id, row in rows.items()}
        return found


def _days(cards: Iterable[Card]) -> tuple[Listed, ...]:
    """The days of the digests that the cards name, the newest first."""
    days: dict[str, list[tuple[str, int | None]]] = {}
    for card in cards:
        for mention in card.digests:
            days.setdefault(mention.date.isoformat(), []).append((card.id, mention.votes))
    return tuple(
        Listed(date, tuple(sorted(listed, key=lambda one: (-(one[1] if one[1] is not None else -1), one[0]))))
        for date, listed in sorted(days.items(), reverse=True)
    )


def _pages() -> Path:
    """Where the papers' pages lie: in the installed package, or in the documentation of a checkout."""
    package = Path(sillok.__file__).resolve().parent
    installed = package / "_pages"
    return installed if installed.is_dir() else package.parents[1] / "docs" / "papers"


_SHOWN = re.compile(r"!\[([^\]]+)\]\(([\w.-]+\.png)\)\n\n\*([^\n]+)\*")


def _pictures(folder: Path) -> dict[str, Drawn]:
    """The pictures of the papers' pages by file name, read once: no request reaches the disk."""
    found: dict[str, Drawn] = {}
    for page in sorted(folder.glob("*.md")):
        for name, file, caption in _SHOWN.findall(page.read_text(encoding="utf-8")):
            path = folder / file
            data = path.read_bytes() if path.is_file() else b""
            if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24:
                width, height = struct.unpack(">II", data[16:24])
                found[file] = Drawn(name, caption, data, width, height)
    return found
