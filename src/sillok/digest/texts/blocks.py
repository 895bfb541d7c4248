"""Lines of a PDF put together: rows to paragraphs, captions, tables and headings, broken words mended."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sillok.digest.texts.pages import Line, Stretch, rows
from sillok.digest.texts.passages import CAPTION, KNOWN, NUMBERED, TABLE_CAPTION

BlockKind = Literal["paragraph", "caption", "table", "footnote", "heading"]
_BULLET = re.compile(r"(?:[•‣▪◦·–-]\s|\(?(?:[0-9]{1,2}|[a-z]|[ivx]{1,4})[.)]\s|\[[0-9]{1,3}\]\s)")
_END = (".", "!", "?", ":", ";")


@dataclass(slots=True)
class Block:
    """One paragraph, caption, footnote, heading (`text`) or table (`cells`)."""

    kind: BlockKind
    page: int
    size: float
    bold: bool = False
    pieces: list[str] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    top: float = 0.0


class Mender:
    """Joins lines; a hyphen at a line's end stays where the paper writes the word with it elsewhere."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.words: Counter[str] = Counter()
        for line in lines:
            inside = line.lower().rstrip("-\u2010")
            self.words.update(re.findall(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*", inside))

    def join(self, pieces: list[str]) -> str:
        """One text of a paragraph's lines."""
        text = ""
        for piece in pieces:
            hyphen = text.endswith(("-", "\u2010"))
            broken = re.search(r"([\w\u2010-]*[^\W\d_])[-\u2010]$", text[-60:]) if hyphen else None
            following = re.match(r"[a-z\u00df-\u00ff]+", piece)
            if broken is None or following is None:
                text += (" " if text and not text.endswith("-") else "") + piece
                continue
            whole, kept = broken[1] + following[0], broken[1] + "-" + following[0]
            compound = "-" in broken[1] or self.words[kept.lower()] > self.words[whole.lower()]
            text = (text if compound else text[:-1]) + piece
        return text


class Builder:
    """Divides stretches of lines into blocks; `body` is the size of the paper's running text."""

    def __init__(self, body: float) -> None:
        self.body = body
        self.blocks: list[Block] = []
        self._open: Block | None = None

    def take(self, stretch: Stretch) -> None:
        """Divide one stretch."""
        levels = list(rows(stretch.lines))
        left = min(line.x0 for line in stretch.lines)
        right = max(line.x1 for line in stretch.lines)
        self._open = None
        index = 0
        last: Line | None = None
        while index < len(levels):
            row = levels[index]
            if row[0].cells is not None:
                self._add(Block("table", stretch.page, 0, cells=row[0].cells))
                index, last = index + 1, None
                continue
            end = self._table_end(levels, index, right - left)
            if end > index:
                self._add(Block("table", stretch.page, 0, cells=_grid(levels[index:end])))
                index, last = end, None
                continue
            line = _joined(row)
            self._row(line, last, left, right, stretch)
            index, last = index + 1, line

    def _add(self, block: Block) -> None:
        self.blocks.append(block)
        self._open = block if block.kind != "table" else None

    def _row(self, line: Line, last: Line | None, left: float, right: float, stretch: Stretch) -> None:
        block = self._open
        kind = self._kind(line, stretch)
        fresh = (
            block is None
            or last is None
            or kind in ("caption", "footnote")
            or abs(line.size - last.size) > 0.6
            or (kind == "heading") != (block.kind == "heading")
            or _apart(line, last, left, right)
        )
        if kind == "heading" and not fresh and NUMBERED.fullmatch(line.text):
            fresh = True
        if not fresh and block is not None:
            block.pieces.append(line.text)
            return
        self._add(Block(kind, stretch.page, line.size, line.bold, [line.text], top=line.y0 / stretch.height))

    def _kind(self, line: Line, stretch: Stretch) -> BlockKind:
        if CAPTION.match(line.text):
            return "caption"
        if line.marked and line.size < 0.95 * self.body and line.y0 > 0.5 * stretch.height:
            return "footnote"
        return "heading" if self._is_heading(line) else "paragraph"

    def _is_heading(self, line: Line) -> bool:
        text = line.text
        if len(text) > 120 or len(re.findall(r"[^\W\d_]", text)) < 2 or line.size < 0.85 * self.body:
            return False
        large = line.size > 1.08 * self.body
        if large and line.size > 1.3 * self.body:
            return True
        if text.endswith((",", ";")) or (_BULLET.match(text) and not NUMBERED.fullmatch(text)):
            return False
        numbered = NUMBERED.fullmatch(text)
        if numbered and text.upper() == text and re.match(r"[IVX]+\.", text):
            return True
        if not (large or line.bold):
            return False
        if KNOWN.fullmatch(text) or (numbered and numbered["words"][0].isupper()):
            return True
        return text[0].isupper() and not text.endswith(".") and len(text) < 80

    def _goes_on(self, row: list[Line], following: list[list[Line]], width: float) -> bool:
        """Whether a row without cells stands within a table: a short line between rows that have some."""
        text = row[0].text
        headed = CAPTION.match(text) or (self._is_heading(row[0]) and NUMBERED.fullmatch(text))
        short = len(row) == 1 and row[0].width < 0.6 * width
        return short and not headed and bool(following) and _tabular(following[0])

    def _table_end(self, levels: list[list[Line]], start: int, width: float) -> int:
        """The row after a table that begins here, or `start` where none does."""
        if not _tabular(levels[start]):
            return start
        end, count, previous = start, 0, levels[start]
        for index in range(start, len(levels)):
            row = levels[index]
            gap = row[0].y0 - previous[0].y1
            if row[0].cells is not None or gap > 1.8 * max(row[0].size, 4.0):
                break
            if _tabular(row):
                end, count = index + 1, count + 1
            elif not self._goes_on(row, levels[index + 1 : index + 2], width):
                break
            previous = row
        captioned = any(
            TABLE_CAPTION.match("".join(block.pieces[:1]))
            for block in self.blocks[-1:]
            if block.kind == "caption"
        ) or (end < len(levels) and TABLE_CAPTION.match(levels[end][0].text) is not None)
        if captioned:
            return end if count >= 2 else start
        return end if count >= 3 and not _formulas(levels[start:end]) else start


def _formulas(levels: list[list[Line]]) -> bool:
    """Whether rows with gaps look like mathematics rather than a table: relations, or no common count of cells."""
    counts = Counter(len(row) for row in levels)
    related = sum(any(re.search(r"[=≤≥<>∥∑∫∈]", line.text) for line in row) for row in levels)
    return related > 0.3 * len(levels) or counts.most_common(1)[0][1] < 0.6 * len(levels)


def _tabular(row: list[Line]) -> bool:
    """Whether a row has cells: two or more runs of text with wide gaps between."""
    if row[0].cells is not None or len(row) < 2:
        return False
    return any(b.x0 - a.x1 > max(a.size, 4.0) for a, b in itertools.pairwise(row))


def _joined(row: list[Line]) -> Line:
    """One line of a row's pieces."""
    if len(row) == 1:
        return row[0]
    text = ""
    for index, line in enumerate(row):
        near = index and line.x0 - row[index - 1].x1 < 0.15 * max(line.size, 1.0)
        text += ("" if not text or near else " ") + line.text
    letters = sum(len(line.text) for line in row)
    bold = sum(len(line.text) for line in row if line.bold) > 0.9 * letters
    size = max((len(line.text), line.size) for line in row)[1]
    top, bottom = min(line.y0 for line in row), max(line.y1 for line in row)
    return Line(text, row[0].x0, top, row[-1].x1, bottom, size, bold, row[0].marked)


def _apart(line: Line, last: Line, left: float, right: float) -> bool:
    """Whether a line begins a paragraph: a gap, an indentation, a bullet, or a short last line before it."""
    size = max(line.size, 4.0)
    if line.y0 - last.y1 > 0.45 * size:
        return True
    ended = last.text.endswith(_END)
    if _BULLET.match(line.text) and (ended or last.x1 < right - 2 * size):
        return True
    indented = line.x0 - left > 0.8 * size and last.x0 - left < 0.5 * size
    if indented and (ended or last.x1 < right - size):
        return True
    return ended and last.x1 < right - 3 * size and abs(line.x0 - left) < 2 * size and line.text[:1].isupper()


def _grid(levels: list[list[Line]]) -> list[list[str]]:
    """The rows of a table; each cell stands under the column of the fullest row that it is nearest to."""
    widest = max(levels, key=len)
    columns = [[line.x0, line.x1] for line in widest]
    for row in levels:
        if len(row) == len(columns):
            for column, line in zip(columns, row, strict=True):
                if line.x0 < column[1] and line.x1 > column[0]:
                    column[:] = [min(column[0], line.x0), max(column[1], line.x1)]
    result = []
    for row in levels:
        if len(row) == 1 and len(columns) > 2:
            result.append([row[0].text])
            continue
        cells = [""] * len(columns)
        for line in row:
            best = max(range(len(columns)), key=lambda at: _nearness(columns[at], line))
            cells[best] = f"{cells[best]} {line.text}".strip()
        result.append(cells)
    return result


def _nearness(column: list[float], line: Line) -> tuple[float, float]:
    overlap = min(column[1], line.x1) - max(column[0], line.x0)
    return (max(overlap, 0.0), -abs((column[0] + column[1]) / 2 - (line.x0 + line.x1) / 2))
