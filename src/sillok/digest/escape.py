"""Titles and plain text in Markdown: what must be escaped so that it reads back as it was.

Digests print titles as the text of a link. Brackets that balance, dollars and TeX commands stand as they are;
only what would end the link, begin HTML or set type is escaped by a backslash, as CommonMark has it.
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_ACTIVE = re.compile(r"\\(?=[!-/:-@\[-`{-~]|\Z)|[*`]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|~(?=~)|(?<!\w)_|_(?!\w)")


def escape_title(title: str) -> str:
    """Return a title as the text of a Markdown link."""
    text = _ACTIVE.sub(r"\\\g<0>", title)
    if "](" in text or not _balanced(title):
        text = re.sub(r"[\[\]]", r"\\\g<0>", text)
    return text


def unescape_title(text: str) -> str:
    """Return what `escape_title` was given."""
    return _ESCAPED.sub(r"\1", text)


def one_line(text: str) -> str:
    """Return the text with every run of white space and control characters as one space."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "[") - (char == "]")
        if depth < 0:
            return False
    return depth == 0
