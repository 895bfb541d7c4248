"""Sentences of English and Korean Markdown, each with its place in the text."""

from __future__ import annotations

import re
from typing import NamedTuple


class Sentence(NamedTuple):
    """A sentence as it stands in the source, and its offset there."""

    text: str
    start: int


_ABBREVIATION = re.compile(
    r"(?:\b(?i:et al|e\.g|i\.e|vs|cf|figs?|eqs?|secs?|tabs?|approx|resp|vol|ca|w\.r\.t|a\.k\.a|incl|avg)"
    r"|\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|Inc|Ltd|Jr)|(?<![0-9] )\b[A-Z])\Z"
)
_END = re.compile(
    r"[.!?。！？…]+[\"'”’»)\]]*(?=\s|\Z|[가-힣A-Z(\[*])|\n\s*\n|\n(?=\s*(?:[-*+]|[0-9]{1,2}[.)])\s)"
)
_MARKER = re.compile(r"\s*(?:[-*+•]\s+|[0-9]{1,2}[.)]\s+|#{1,6}\s+|>\s+)+")
_NUMBERED = re.compile(r"(?:^|[\s.:])\(?[0-9]{1,2}\Z")
_KOREAN_END = re.compile(r"[다요음함됨임까죠](?:[\"'”’)]*)\Z")
_OPEN, _CLOSE = "([{（", ")]}）"


def sentences(text: str) -> list[Sentence]:
    """Divide Markdown text into sentences; list markers and numbers such as "1." belong to what follows them."""
    found: list[Sentence] = []
    start = 0
    for match in _END.finditer(text):
        if match.start() < start or not _ends(text, start, match):
            continue
        _add(found, text, start, match.end())
        start = match.end()
    _add(found, text, start, len(text))
    return found


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    mark = match[0]
    if mark[0] == "\n":
        return True
    before = text[max(start, match.start() - 60) : match.start()]
    after = text[match.end() : match.end() + 2]
    korean = _KOREAN_END.search(before) is not None
    if mark[0] == ".":
        if _NUMBERED.search(before) and not _KOREAN_END.search(before):
            # "1. First" numbers a list; "in 2024." ends a sentence of some length.
            number = re.search(r"[.:]\s+\(?[0-9]{1,2}\Z", before)
            if len(before.strip()) < 4 or (
                number and not _ABBREVIATION.search(before[: number.start()][-12:])
            ):
                return False
        if not korean and _ABBREVIATION.search(before[-12:]) and after.strip():
            return False
        if after[:1] and not after[:1].isspace() and not (korean and after[:1] not in "0123456789"):
            return False
        if after[1:2].islower() and not korean:
            return False
    if match.start() - start > 800:
        return True
    whole = text[start : match.start()]
    return sum(whole.count(c) for c in _OPEN) <= sum(whole.count(c) for c in _CLOSE)


def _add(found: list[Sentence], text: str, start: int, end: int) -> None:
    marker = _MARKER.match(text, start, end)
    first = marker.end() if marker else start
    piece = text[first:end]
    body = piece.strip()
    if re.search(r"\w", body):
        found.append(Sentence(body, first + len(piece) - len(piece.lstrip())))


_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")


def plain(text: str) -> str:
    """Return a sentence without Markdown's marks: emphasis, code, links, HTML tags."""
    text = _LINK.sub(r"\1", text)
    text = re.sub(r"</?[a-zA-Z][^<>]{0,200}>", " ", text)
    text = re.sub(r"(\*{1,3}|`+|~~)(?=\S)|(?<=\S)(\*{1,3}|`+|~~)", "", text)
    return re.sub(r"(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)", "", text)


def language_of(text: str) -> str:
    """Return "ko" where Hangul makes a fifth of the letters or more, else "en"."""
    hangul = len(re.findall(r"[가-힣]", text))
    return "ko" if hangul * 5 >= hangul + len(re.findall(r"[A-Za-z]", text)) and hangul else "en"
