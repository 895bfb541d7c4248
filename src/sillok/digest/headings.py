"""Where digests and entries begin: a file's headings, found in one pass without building its whole tree.

markdown-it-py's tree of a large archive takes many times the file's memory. Only headings that start a line,
outside fenced code and comments, can begin an entry: they are found first, and each entry is parsed alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date as Date
from typing import Literal, NamedTuple

from sillok.digest.escape import unescape_title
from sillok.digest.model import arxiv_id

_START = r"(?<![^\r\n])"  # the start of a line, whatever its line ending (re.M knows "\n" alone)
_MARK = re.compile(
    _START + r"(?:(?P<level>#{1,6})(?:[ \t]+(?P<text>[^\r\n]*)|(?P<tight>\[[^\r\n]*)|(?=[\r\n]|\Z))"
    r"|(?P<fence>`{3,}(?=[^`\r\n]*(?:[\r\n]|\Z))|~{3,})(?P<info>[^\r\n]*)|(?P<comment><!--))"
)
_LINK = re.compile(
    r'(?<!\\)(?P<slashes>(?:\\\\)*)\]\(\s*<?(?P<url>[^\s()<>]+)>?(?:\s+"[^"]*")?\s*\)|(?<!\\)\]\(\s*\)'
)
_BARE = re.compile(r"<?(?P<url>https?://[^\s<>()]+)>?")
_DATE = re.compile(r"(?<![0-9])([0-9]{4})[-./]([0-9]{1,2})[-./]([0-9]{1,2})(?![0-9])")
_LICENCE_HEADING = re.compile(
    r"\W*(?:licen[sc]e|copyright|citation|라이선스|라이센스|저작권)\b", re.IGNORECASE
)

Role = Literal["digest", "paper", "plain"]


class Heading(NamedTuple):
    """A heading at the start of a line: its offset, line, level, text, and what it can begin."""

    offset: int
    line: int
    level: int
    text: str
    role: Role


class Link(NamedTuple):
    """What an entry's heading says; `beside` is text that is neither title nor link."""

    title: str
    url: str | None
    id: str | None
    version: int | None
    beside: str


def parse_link(text: str) -> Link:
    """Read the title and the link of an entry's heading; the first link to a paper wins over other links."""
    opening = text.find("[")
    if opening >= 0:
        found: list[tuple[re.Match[str], tuple[str, int | None] | None]] = []
        for match in _LINK.finditer(text, opening):
            found.append((match, arxiv_id(match["url"] or "")))
            if found[-1][1] is not None:
                break
        if found:
            match, paper = found[-1] if found[-1][1] is not None else found[0]
            beside = re.sub(r"[\s*_#]|^[0-9]+[.)]", "", text[:opening].strip() + text[match.end() :])
            end = match.end("slashes") if match["slashes"] else match.start()
            title = unescape_title(text[opening + 1 : end].strip())
            id, version = paper or (None, None)
            return Link(title, match["url"], id, version, beside)
    for match in _BARE.finditer(text):
        paper = arxiv_id(match["url"])
        if paper is not None:
            return Link(text[: match.start()].strip(" \t(-–:"), match["url"], paper[0], paper[1], "")
    return Link(closed(text), None, None, None, "")


def closed(text: str) -> str:
    """Remove the closing marks of a heading ("### Title ###")."""
    stripped = text.rstrip()
    bare = stripped.rstrip("#")
    return bare.rstrip() if bare != stripped and (not bare or bare[-1] in " \t") else stripped


def parse_date(text: str) -> tuple[Date | None, bool]:
    """Return the date in a heading and whether something that looks like a date is there."""
    match = _DATE.search(text)
    if match is None:
        return None, False
    try:
        return Date(int(match[1]), int(match[2]), int(match[3])), True
    except ValueError:
        return None, True


def replace_date(heading: str, date: Date | None) -> str:
    """Return the heading line with another date in the place of its own."""
    wanted = date.isoformat() if date is not None else ""
    if _DATE.search(heading):
        changed = _DATE.sub(wanted, heading, count=1)
        return changed if date is not None else re.sub(r"\s*\(\s*\)", "", changed).rstrip()
    return f"{heading.rstrip()} ({wanted})" if date is not None else heading


def _role(level: int, text: str) -> Role:
    if parse_link(text).id is not None:
        return "paper"
    named = re.search(r"daily\s+papers", text, re.IGNORECASE) is not None
    dated = parse_date(text)[1]
    # "# Daily Papers" alone is the title of an archive's README, not a digest.
    if level <= 3 and named and (dated or (level == 2 and "[" not in text)):
        return "digest"
    return "digest" if level <= 2 and re.fullmatch(rf"\W*{_DATE.pattern}\W*", text) else "plain"


def is_licence(text: str) -> bool:
    """Tell whether a heading opens the licence or the citation at the end of a file."""
    return _LICENCE_HEADING.match(text) is not None


class _Fences:
    """Finds the end of fenced code; remembers what has no end, so that a file is read in linear time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._endless: dict[str, int] = {}
        self._closing: dict[tuple[str, int], re.Pattern[str]] = {}

    def end(self, mark: str, start: int) -> int | None:
        """Return the offset after the line that closes a fence, or None where nothing does."""
        char, length = (
            mark[0],
            min(len(mark), 8),
        )  # no more than six searches to the end of the file per character
        if length >= self._endless.get(char, 99):
            return None
        closing = self._closing.get((char, length))
        if closing is None:
            closing = re.compile(rf"{_START} {{0,3}}{char}{{{length},}}[ \t]*(?:\r\n|\n|\r|\Z)")
            self._closing[char, length] = closing
        match = closing.search(self._text, start)
        if match is None:
            self._endless[char] = length
            return None
        return match.end()


def count_lines(text: str, start: int, end: int) -> int:
    """Count the line ends in text[start:end]; \\r\\n, \\n and \\r end a line."""
    newlines = text.count("\n", start, end)
    returns = text.count("\r", start, end)
    return newlines + returns - text.count("\r\n", start, end) if returns else newlines


def headings(text: str, problems: list[tuple[int, str]]) -> Iterator[Heading]:
    """Yield the headings of a file in order; what hides headings is appended to `problems` with its line."""
    fences = _Fences(text)
    offset, line, position = 0, 1, 0
    comments = True
    while (match := _MARK.search(text, position)) is not None:
        line += count_lines(text, offset, match.start())
        offset, position = match.start(), match.end()
        if match["level"]:
            content = match["text"] or match["tight"] or ""
            yield Heading(offset, line, len(match["level"]), content, _role(len(match["level"]), content))
            continue
        end: int | None = None
        if match["comment"] and comments:
            end = text.find("-->", position) + 3
            comments, end = end > 2, end if end > 2 else None
        elif match["fence"]:
            end = fences.end(match["fence"], position)
        if end is None:
            continue
        position = max(end - 1, position) if text[end - 1 : end] in ("\n", "\r") else end
        hidden = [m for m in _MARK.finditer(text, match.end(), end) if m["level"]]
        papers = sum(1 for m in hidden if parse_link(m["text"] or m["tight"] or "").id is not None)
        if papers:
            what = "a comment" if match["comment"] else "fenced code"
            problems.append(
                (line, f"{what} holds {papers} headings that link to papers; they are not entries")
            )
