"""Pages that were made already, kept until the record changes."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from sillok.web.shelf import AGE, Shelf

MOST = 400  # pages that are kept
MOST_BYTES = 256 * 1024  # of a page that is kept


@dataclass(frozen=True)
class Made:
    """A page as bytes, the same packed by gzip, and its entity tag."""

    data: bytes
    packed: bytes
    tag: str


def tag_of(data: bytes) -> str:
    """The entity tag of an answer."""
    return f'W/"{hashlib.blake2b(data, digest_size=9).hexdigest()}"'


class Pages:
    """The pages made last. Safe to use from several threads.

    A page is given again while the record is what it was when the page was made, and for `AGE` seconds at most,
    since pages also tell what is installed on this machine.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._record = shelf.record
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, tuple[tuple[str, float], Made]] = OrderedDict()

    def page(self, key: Hashable, make: Callable[[], str]) -> Made:
        """The page of a key, made by `make` from the record as of one moment where it is not there already."""
        tick = time.monotonic() // AGE
        stamp = (self._record.version(), tick)
        with self._lock:
            found = self._made.get(key)
            if found is not None and found[0] == stamp:
                self._made.move_to_end(key)
                return found[1]
        with self._record.at_once() as version:
            data = make().encode()
        made = Made(data, gzip.compress(data, 5, mtime=0), tag_of(data))
        if len(data) <= MOST_BYTES:
            with self._lock:
                self._made[key] = ((version, tick), made)
                self._made.move_to_end(key)
                while len(self._made) > MOST:
                    self._made.popitem(last=False)
        return made
