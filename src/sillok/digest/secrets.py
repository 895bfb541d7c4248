"""Keeping secrets of the environment out of what people read: messages, logs, files."""

from __future__ import annotations

import os
import re

_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|WEBHOOK|CREDENTIAL", re.IGNORECASE)
_SHAPES = re.compile(
    r"\b(?:sk|xox[a-z]|xapp|hf|gsk|ghp|AIza)[-_][\w*.-]{6,}|hooks\.slack\.com/\S+|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"
)


def scrub(text: str) -> str:
    """Return the text without the values of the environment's secrets, and without what looks like a key."""
    values = sorted(
        (value for name, value in os.environ.items() if _NAMES.search(name) and len(value) >= 6),
        key=len,
        reverse=True,
    )
    for value in values:
        text = text.replace(value, "***")
    return _SHAPES.sub("***", text)


def brief(error: BaseException, limit: int = 160) -> str:
    """Return an error as one short line without secrets: its kind and its message."""
    message = scrub(" ".join(str(error).split()))
    kind = type(error).__name__
    line = f"{kind}: {message}" if message else kind
    return line if len(line) <= limit else line[: limit - 1] + "…"
