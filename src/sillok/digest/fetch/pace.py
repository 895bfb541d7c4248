"""Politeness: requests to one site keep a distance in time, in this process and over all that share a cache."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path


class Pace:
    """At least `delay` seconds between two turns; `folder` holds the lock and the time of the last turn."""

    def __init__(self, delay: float, folder: Path, name: str = "arxiv") -> None:
        if delay < 0:
            raise ValueError(f"delay: {delay!r} is negative; seconds from 0 are accepted")
        self.delay = delay
        self._lock = folder / f"{name}.lock"
        self._last = folder / f"{name}.last"

    def turn(self) -> None:
        """Wait for the next turn and take it."""
        if not self.delay:
            return
        import filelock

        # A lock of its own for every turn: threads exclude each other as processes do.
        with filelock.FileLock(self._lock):
            last = 0.0
            with contextlib.suppress(OSError, ValueError):
                last = float(self._last.read_text())
            # A clock that was set back must not make anybody wait for longer than the delay.
            time.sleep(max(0.0, min(self.delay, last + self.delay - time.time())))
            self._last.write_text(repr(time.time()))
