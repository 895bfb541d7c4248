"""One entry of a digest: heading, picture, votes, authors, sections, on markdown-it-py's block structure."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from markdown_it import MarkdownIt

from sillok.digest.headings import closed, parse_link
from sillok.digest.model import Entry, Media, Part, Section, Warning_

# Only the block structure is wanted. Setext headings are off because digests write "---" under a paragraph as
# a separator; link definitions and indented code are off because they would swallow text of a summary.
_MARKDOWN = MarkdownIt("commonmark").disable(["inline", "text_join", "lheading", "reference", "code"])

_ITEM = re.compile(r"(?P<indent>[ \t]*)(?P<marker>[-*+]|[0-9]{1,9}[.)])(?P<space>[ \t]+|(?=[\r\n]|\Z))")
_NAME = re.compile(
    r"(?P<style>\*{3}|\*{2}|_{3}|_{2}|\*)(?P<name>(?![\s*_])[^\r\n]{1,160}?)(?P<in>\s*[:：])?(?P=style)"
    r"(?![*_])(?P<out>[ \t]*[:：])?"
)
_VOTES = re.compile(r"[*_]{0,3}votes?[*_]{0,3}[ \t]*[:：][*_]{0,3}[ \t]*(?P<count>.*)", re.IGNORECASE)
_AUTHORS = re.compile(r"[*_]{0,3}authors?[*_]{0,3}[ \t]*[:：][*_]{0,3}[ \t]*(?P<names>.*)", re.IGNORECASE)
_IMAGE = re.compile(r'!\[[^\]]*\]\(\s*<?(?P<url>[^\s()<>]+)>?(?:\s+"[^"]*")?\s*\)')
_WATCH = re.compile(r"\[[^\]]*video[^\]]*\]\(?[ \t]*(?P<url>[^\s()<>]+)[ \t]*\)?", re.IGNORECASE)
_TAGS = re.compile(
    r"(?:</?(?:div|p|a|center|figure|video|source|img|iframe|br)\b[^<>]*>[^<]*)+", re.IGNORECASE
)
_TAG = re.compile(r"<[^<>]*>")
_SOURCE = re.compile(
    r"""<(?P<tag>video|source|img|iframe)\b[^<>]*?\bsrc\s*=\s*["']?(?P<url>[^"'\s<>()]+)""", re.I
)
_LICENCE = re.compile(
    r"\blicen[sc]ed under\b|creativecommons\.org|\bCC[ -]BY\b|^\W*licen[sc]e\b", re.IGNORECASE
)
_USUAL_NAMES = ("what's new", "what’s new", "technical details", "performance highlights")


class _Start(NamedTuple):
    """Where a part begins (its place among the entry's lines), and what it is."""

    first: int
    kind: str
    value: Any


class _Fact(NamedTuple):
    kind: Literal["picture", "votes", "authors", "other"]
    value: Any
    end: int
    problem: str = ""


def _media_line(line: str) -> tuple[Literal["image", "video"], list[str]] | None:
    """Read one line that holds nothing but pictures or videos; None for any other line."""
    if len(line) > 4000:
        return None  # no picture's line, and long enough for a hostile one to be slow
    if line.startswith("!"):
        urls = [match["url"] for match in _IMAGE.finditer(line)]
        return ("image", urls) if urls and not _IMAGE.sub("", line).strip() else None
    if line.startswith("["):
        match = _WATCH.fullmatch(line)
        return ("video", [match["url"]]) if match else None
    if line.startswith("<") and _TAGS.fullmatch(line):
        sources = list(_SOURCE.finditer(line))
        is_video = re.search(r"<(?:/?video|source|iframe)\b", line, re.IGNORECASE) is not None
        if is_video or not _TAG.sub("", line).strip():
            return "video" if is_video else "image", [match["url"] for match in sources]
    return None


def _media(lines: list[str], start: int) -> _Fact | None:
    """Read the run of picture or video lines from `start` on: "[Watch Video]" and its <video> are one."""
    urls: dict[str, None] = {}
    kind: Literal["image", "video"] | None = None
    index, end = start, start
    while index < len(lines) and index < start + 20:
        line = lines[index].strip()
        read = _media_line(line) if line else None
        if read is None and line:
            break
        if read is not None:
            # A tag without an address (a lone <div>) belongs to the picture or video around it.
            if read[1] and kind not in (None, read[0]):
                break
            kind = read[0] if read[1] else kind
            urls.update(dict.fromkeys(read[1]))
            end = index + 1
        index += 1
    return _Fact("picture", Media(kind, tuple(urls)), end) if kind is not None else None


def _fact(lines: list[str], index: int) -> _Fact | None:
    """Read votes, authors, a picture or a video at a line; None where the line is something else."""
    line = lines[index].strip()
    if not line:
        return None
    if line[0] in "![<":
        return _media(lines, index)
    if line[0] in "vV*_" and (match := _VOTES.fullmatch(line)):
        count = match["count"].replace(",", "")
        if count in ("", "-", "–", "—", "−"):
            return _Fact("votes", None, index + 1)
        if re.fullmatch(r"[0-9]{1,9}", count):
            return _Fact("votes", int(count), index + 1)
        return _Fact("other", None, index + 1, f"votes: {_short(count)} is neither a number nor '-'")
    if line[0] in "aA*_" and (match := _AUTHORS.fullmatch(line)):
        names, end = match["names"], index + 1
        while names.endswith(",") and end < len(lines) and lines[end].strip():
            names, end = names + lines[end].strip(), end + 1
        authors = tuple(name for part in names.split(",") if (name := part.strip()) not in ("", "-"))
        return _Fact("authors", authors, end)
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class _Entry:
    """Divides the lines of one entry into parts."""

    def __init__(self, lines: list[str], line: int, level: int, last: bool) -> None:
        self.lines = lines
        self.line = line
        self.level = level
        self.last = last
        self.starts: list[_Start] = []
        self.warnings: list[Warning_] = []
        self.tail: int | None = None
        self.kinds: set[str] = set()
        self.last_known: int | None = None
        # What the open section takes in: "all" unnamed blocks, an "ordered" list, or nothing.
        self.takes: Literal["all", "ordered", ""] = ""

    def warn(self, index: int, message: str) -> None:
        self.warnings.append(Warning_(self.line + index, message))

    def other(self, index: int, problem: str) -> None:
        self.starts.append(_Start(index, "other", None))
        self.takes = ""
        if problem:
            self.warn(index, problem)

    def fact(self, index: int) -> int:
        """Take votes, authors or a picture at a line; return the line after it, or `index`."""
        fact = _fact(self.lines, index)
        if fact is None:
            return index
        problem = fact.problem
        if not problem and fact.kind in self.kinds:
            problem = f"a second {'line of ' if fact.kind != 'picture' else ''}{fact.kind} in one entry"
        if problem:
            self.other(index, problem + "; kept as it stands")
        else:
            self.starts.append(_Start(index, fact.kind, fact.value))
            self.kinds.add(fact.kind)
            self.takes = ""
        return fact.end

    def section(self, index: int, marker: str, text: str) -> bool:
        """Open a section at a line whose text (without marker) is given; tell whether it has a name."""
        name = _section_name(text)
        self.starts.append(_Start(index, "section", marker))
        alone = name is not None and not text[name.end() :].strip()
        self.takes = (
            "all" if name is not None and (alone or not marker) else "ordered" if marker in set("-*+") else ""
        )
        return name is not None

    def read(self) -> None:
        index = 1
        while index < len(self.lines):
            after = self.fact(index) if self.lines[index].strip() else index + 1
            if after == index:
                break
            index = after
        if index >= len(self.lines):
            return
        tokens = _MARKDOWN.parse(_skeleton(self.lines[index:]))
        for position, token in enumerate(tokens):
            if token.level or token.nesting < 0 or token.map is None:
                continue
            start, end = token.map[0] + index, token.map[1] + index
            if self.last and self.ends_entry(token.type, start, end):
                self.tail = start
                return
            if token.type in ("bullet_list_open", "ordered_list_open"):
                items = []
                for item in tokens[position + 1 :]:
                    if item.level == 0:
                        break
                    if item.level == 1 and item.type == "list_item_open" and item.map is not None:
                        items.append(item.map[0] + index)
                self.items(items, token.type == "ordered_list_open")
            elif token.type in ("paragraph_open", "html_block"):
                self.run(start, end, token.type == "html_block")
            elif token.type == "heading_open":
                self.heading(start)
            elif token.type == "hr":
                self.other(start, "")
            elif self.takes != "all":
                what = {"fence": "fenced code", "blockquote_open": "a quotation"}.get(token.type, token.type)
                self.other(start, f"{what} outside a section; kept as it stands")

    def ends_entry(self, kind: str, start: int, end: int) -> bool:
        """Tell whether a block of the last entry is where the file's tail (a licence) begins."""
        if not any(part.kind == "section" for part in self.starts):
            return False
        if kind == "hr":
            if self.last_known is None:
                known = (i for i, line in enumerate(self.lines) if _section_line(line) or _fact([line], 0))
                self.last_known = max(known, default=0)
            return start > self.last_known
        if kind in ("paragraph_open", "html_block"):
            return _LICENCE.search("".join(self.lines[start:end])) is not None
        return False

    def items(self, items: list[int], ordered: bool) -> None:
        if ordered and self.takes and self.starts[-1].value in set("-*+"):
            return  # steps 1, 2, 3 below "- ***Technical Details***:" belong to it
        inside = self.takes == "all" and self.starts[-1].value == ""
        for index in items:
            match = _ITEM.match(self.lines[index])
            if match is None:
                continue
            text = self.lines[index][match.end() :]
            name = _section_name(text)
            usual = name is not None and name["name"].strip().lower() in _USUAL_NAMES
            if self.takes == "all" and (name is None or (inside and not usual)):
                continue
            self.section(index, match["marker"], text)

    def run(self, start: int, end: int, html: bool) -> None:
        """Take a paragraph or HTML line by line: facts and named sections need no blank line between them."""
        index, open_here = start, False
        while index < end:
            after = self.fact(index)
            if after > index:
                index, open_here = after, False
                continue
            text = self.lines[index].strip()
            if text and _section_name(text) is not None:
                self.section(index, "", text)
                open_here = True
            elif text and not open_here and self.takes != "all":
                if html:
                    self.other(index, "HTML outside a section; kept as it stands")
                else:
                    self.section(index, "", text)
                open_here = True
            index += 1

    def heading(self, index: int) -> None:
        match = re.match(r"[ \t]*(#{1,6})[ \t]*(.*)", self.lines[index].rstrip("\r\n"))
        if match is None or len(match[1]) <= self.level or not _heading_name(match[2]):
            self.other(index, "a heading that begins no section; kept as it stands")
            return
        self.starts.append(_Start(index, "section", ""))
        self.takes = "all"

    def parts(self) -> list[tuple[int, Part]]:
        """Return the parts after the heading with their first line."""
        result: list[tuple[int, Part]] = []
        if not self.starts:
            return result
        ends = [start.first for start in self.starts[1:]] + [
            len(self.lines) if self.tail is None else self.tail
        ]
        for start, end in zip(self.starts, ends, strict=True):
            raw = "".join(self.lines[start.first : end])
            body = raw.rstrip()
            value = start.value
            if start.kind == "section":
                value = parse_section(body, value, self.line + start.first)
            elif start.kind == "other":
                value = body
            result.append((start.first, Part(start.kind, body, raw[len(body) :], value)))
        return result


def _section_name(text: str) -> re.Match[str] | None:
    match = _NAME.match(text)
    if match is None or not (match["in"] or match["out"] or not text[match.end() :].strip()):
        return None  # "**Foo** is a model" is a sentence
    return match


def _section_line(line: str) -> bool:
    match = _ITEM.match(line)
    return _section_name(line[match.end() :] if match else line.strip()) is not None


def _heading_name(text: str) -> str:
    return closed(text).strip("*_ \t").rstrip(":： \t").rstrip("*_ \t")


def _skeleton(lines: list[str]) -> str:
    """Return the lines for markdown-it, long ones cut: a block is known by how its lines begin.

    markdown-it looks at every character in Python, and summaries are long lines; only HTML and comments can
    end in the middle of a line, so lines with angle brackets stay whole.
    """

    def cut(line: str) -> str:
        if len(line) < 100:
            return line
        whole = "<" in line or ">" in line or "`" in line
        return (line if len(line) < 4000 else line[:2000] + line[-2000:]) if whole else line[:80]

    return "\n".join(cut(line.rstrip("\r\n")) for line in lines)


def parse_section(body: str, marker: str, line: int) -> Section:
    """Read a section from its source text; `marker` is its list marker, or "" for a paragraph or heading."""
    first, *rest = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not marker and (match := re.match(r"[ \t]*(#{1,6})[ \t]*(.*)", first)) and _heading_name(match[2]):
        return Section(_heading_name(match[2]), "\n".join(rest).strip(), line, match[1], "")
    if marker and (match := _ITEM.match(first)) is not None:
        space = match["space"]
        offset = len(match["indent"]) + len(match["marker"]) + (len(space) if len(space) <= 4 else 1)
        first = first[match.end() :]
        rest = [_dedent(text, offset) for text in rest]
    elif not marker:
        first = first.lstrip()
    name = _section_name(first)
    if name is None:
        return Section(None, "\n".join([first, *rest]).strip(), line, "", marker)
    text = "\n".join([first[name.end() :], *rest]).strip()
    return Section(name["name"].strip(), text, line, name["style"], marker)


def _dedent(text: str, offset: int) -> str:
    if text.startswith("\t"):
        return text[1:]
    return text[min(offset, len(text) - len(text.lstrip(" "))) :]


def parse_entry(
    lines: list[str], line: int, level: int, last: bool
) -> tuple[Entry, list[Warning_], int | None]:
    """Read one entry.

    Args:
        lines: its lines with their line ends, the heading first.
        line: the heading's line in the file, from 1.
        level: the level of the digest's entry headings (usually 3).
        last: whether no entry of the same digest follows, so that a licence may.

    Returns:
        The entry, warnings, and the index of the line where the file's tail begins (None where it has none).
    """
    body = _Entry(lines, line, level, last)
    body.read()
    parts = body.parts()
    end = parts[0][0] if parts else body.tail if body.tail is not None else len(lines)
    raw = "".join(lines[:end])
    text = raw.rstrip()
    link = parse_link(re.sub(r"^#{1,6}[ \t]*", "", text))
    if link.id is None:
        missing = "has no link" if link.url is None else f"links to {_short(link.url)}, which is no paper"
        body.warnings.insert(0, Warning_(line, f"the heading {_short(link.title)} {missing}"))
    elif link.beside:
        body.warnings.insert(0, Warning_(line, f"text beside the link in the heading: {_short(link.beside)}"))
    heading = Part("heading", text, raw[len(text) :], (link.id, link.version, link.title, link.url))
    values: dict[str, Any] = {part.kind: part.value for _, part in parts}
    stop = len(lines) if body.tail is None else body.tail
    while stop > 1 and not lines[stop - 1].strip():
        stop -= 1
    entry = Entry(
        id=link.id,
        title=link.title,
        version=link.version,
        url=link.url,
        picture=values.get("picture"),
        votes=values.get("votes"),
        authors=values.get("authors", ()),
        sections=tuple(part.value for _, part in parts if part.kind == "section"),
        other=tuple(part.value for _, part in parts if part.kind == "other"),
        line=line,
        end_line=line + stop - 1,
        source=(heading, *(part for _, part in parts)),
    )
    return entry, body.warnings, body.tail
