"""The ledger of what was sent: one line of JSON for each message, so that a second run sends nothing twice.

A line is written before a message goes out ("sending") and another when its fate is known ("sent", "failed"). A
run that dies between the two leaves a message whose fate nobody knows: it is not sent again unless the user
says so, for a digest that comes twice cannot be taken back. Targets stand in it as digests of their addresses;
no secret does.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def fingerprint(*parts: str) -> str:
    """Return a short number for an address that is to be recognised and not told."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(slots=True)
class Ledger:
    """The ledger file; made by the first line."""

    path: Path
    _lines: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                found = json.loads(line)
                self._lines[found["key"]] = found
            except (ValueError, KeyError, TypeError):
                continue  # a line that a killed run left half written

    def state(self, key: str) -> str | None:
        """Return "sending", "sent", "failed", or None where nothing is known."""
        return self._lines[key]["state"] if key in self._lines else None

    def begin(self, key: str, again: bool = False) -> bool:
        """Note that a message goes out; return False where it was sent already.

        Raises:
            DeliveryError: an earlier run ended while it sent the message, and `again` is not asked for.
        """
        state = self.state(key)
        if state == "sent":
            return False
        if state == "sending" and not again:
            raise DeliveryError(
                "an earlier run ended while it sent this, and it may have arrived; --again sends it anew",
                unknown=True,
            )
        self.note(key, "sending")
        return True

    def value(self, key: str) -> str:
        """Return what was noted with a message that was sent, e.g. the number of a thread."""
        return str(self._lines.get(key, {}).get("value", ""))

    def note(self, key: str, state: str, value: str = "") -> None:
        """Add a line, and see it on the disk before going on."""
        line = {"key": key, "state": state, "value": value}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
                file.write(b"\n")
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._lines[key] = line


class DeliveryError(Exception):
    """A message that could not be sent; one line, without secrets.

    `unknown` says that it may have arrived all the same.
    """

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown
