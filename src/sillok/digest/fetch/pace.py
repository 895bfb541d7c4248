"""Politeness: one request at a time to a site, with a pause between two, over all that share a cache."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path


class Pace:
    """At least `delay` seconds from one answer to the next request; `folder` holds the lock and the time."""

    def __init__(self, delay: float, folder: Path, name: str = "arxiv") -> None:
        if delay < 0:
            raise ValueError(f"delay: {delay!r} is negative; seconds from 0 are accepted")
        self.delay = delay
        self._lock = folder / f"{name}.lock"
        self._last = folder / f"{name}.last"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everybody else from asking, this process's threads too; call `turn` before each request."""
        if not self.delay:
            yield
            return
        import filelock

        with filelock.FileLock(self._lock):  # a lock of its own for every call: threads exclude each other
            try:
                yield
            finally:
                self.done()

    def turn(self) -> None:
        """Wait until the site may be asked again."""
        last = 0.0
        with contextlib.suppress(OSError, ValueError):  # nobody has asked yet, or a kill left no number
            last = float(self._last.read_text())
        # A clock that was set back must not make anybody wait for longer than the delay.
        time.sleep(max(0.0, min(self.delay, last + self.delay - time.time())))

    def done(self) -> None:
        """Note that the site has just answered."""
        if self.delay:
            self._last.write_text(repr(time.time()))
