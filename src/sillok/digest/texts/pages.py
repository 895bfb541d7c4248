"""Pages of a PDF as lines in reading order: columns found, headers, footers and page numbers removed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sillok.digest.texts.passages import TABLE_CAPTION, clean

_NUMBER = re.compile(r"\W*(?:page\s*)?(?:[0-9]{1,4}|[ivxlc]{1,6})(?:\s*(?:of|/)\s*[0-9]{1,4})?\W*", re.I)
_MARGIN = 0.09  # of the page's height: where running headers and footers stand
_RULES = 3000  # strokes on a page, beyond which it holds a drawing and no ruled table is looked for


@dataclass(slots=True)
class Line:
    """A run of text on one baseline, or a ruled table (`cells`); lengths in points, y downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float = 0.0
    bold: bool = False
    marked: bool = False
    cells: list[list[str]] | None = None
    base: float = 0.0

    @property
    def width(self) -> float:
        return self.x1 - self.x0


@dataclass(slots=True)
class Sheet:
    """One page: its lines, the marks beside the text (arXiv's stamp), and whether it holds pictures."""

    number: int
    width: float
    height: float
    lines: list[Line]
    rotated: str = ""
    pictures: bool = False
    gutter: float | None = None


@dataclass(slots=True)
class Stretch:
    """Lines of one column between two full-width stretches."""

    page: int
    height: float
    lines: list[Line] = field(default_factory=list)


def read(page: Any, flags: int) -> Sheet:
    """Read one page of PyMuPDF."""
    found = page.get_text("dict", flags=flags)
    sheet = Sheet(page.number + 1, found["width"], found["height"], [])
    for block in found["blocks"]:
        for line in block.get("lines", ()):
            if abs(line["dir"][0] - 1) > 0.01:
                sheet.rotated += " " + "".join(span["text"] for span in line["spans"])
            elif (made := _line(line)) is not None:
                sheet.lines.append(made)
    _ruled(page, sheet)
    sheet.pictures = not sheet.lines and bool(page.get_images())
    return sheet


def _line(line: dict[str, Any]) -> Line | None:
    spans = [span for span in line["spans"] if span["text"]]
    letters = sum(len(span["text"].strip()) for span in spans)
    if not letters:
        return None
    size = max((len(span["text"].strip()), span["size"]) for span in spans)[1]
    text, marked = "", False
    for index, span in enumerate(spans):
        piece = span["text"]
        raised = span["flags"] & 1 and span["size"] < 0.9 * size and piece.strip()
        if raised and re.fullmatch(r"[-−–+]?[0-9,*†‡§]+", piece.strip()):
            if not text.strip():
                marked = True  # a footnote begins with its number
                piece = ""
            elif text[-1:].isdigit() or re.search(r"(?<![^\W\d_])[^\W\d_]{1,3}$", text):
                piece = "^" + piece.strip()  # 10^5, m^2
            else:
                piece = ""  # the mark of a footnote behind a word
        elif index and span["bbox"][0] - spans[index - 1]["bbox"][2] > 0.2 * size:
            piece = " " + piece
        text += piece
    bold = sum(len(s["text"].strip()) for s in spans if s["flags"] & 16 or "bold" in s["font"].lower())
    text = clean(text)
    if not text:
        return None
    box = line["bbox"]
    base = max((len(span["text"].strip()), span["origin"][1]) for span in spans)[1]
    return Line(
        text, box[0], box[1], box[2], box[3], round(size, 1), bold > 0.9 * letters, marked, None, base
    )


def _ruled(page: Any, sheet: Sheet) -> None:
    """Replace the lines of tables with horizontal and vertical rules by the tables' cells."""
    if not any(TABLE_CAPTION.match(line.text) for line in sheet.lines):
        return
    strokes = [box for kind, box in page.get_bboxlog() if kind.endswith("-path")]
    upright = sum(box[2] - box[0] < 2 and box[3] - box[1] > 8 for box in strokes)
    level = sum(box[3] - box[1] < 2 and box[2] - box[0] > 20 for box in strokes)
    if upright < 2 or level < 2 or len(strokes) > _RULES:
        return
    for table in page.find_tables(strategy="lines_strict").tables:
        cells = [[clean(cell or "") for cell in row] for row in table.extract()]
        filled = sum(bool(cell) for row in cells for cell in row)
        if table.row_count < 2 or table.col_count < 2 or filled < 4:
            continue
        x0, y0, x1, y1 = table.bbox
        inside = [
            line for line in sheet.lines if x0 - 2 < _middle(line)[0] < x1 + 2 and y0 < _middle(line)[1] < y1
        ]
        merged = len(list(rows(inside))) > 1.5 * table.row_count  # rules around groups of rows only
        if merged or any(line.cells for line in inside):
            continue
        sheet.lines = [line for line in sheet.lines if line not in inside]
        sheet.lines.append(Line("", x0, y0, x1, y1, cells=cells))


def _middle(line: Line) -> tuple[float, float]:
    return (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2


def tidy(sheets: list[Sheet]) -> None:
    """Remove page numbers, running headers and footers, and line numbers beside the text."""

    def key(line: Line) -> str:
        return re.sub(r"[0-9]+", "#", line.text.lower())

    def marginal(sheet: Sheet) -> Iterator[Line]:
        for line in sheet.lines:
            if line.cells is None and (
                line.y1 < _MARGIN * sheet.height or line.y0 > (1 - _MARGIN) * sheet.height
            ):
                yield line

    seen = Counter(k for sheet in sheets for k in {key(line) for line in marginal(sheet)})
    wanted = max(2, round(0.3 * len(sheets)))
    for sheet in sheets:
        gone = {
            id(line) for line in marginal(sheet) if seen[key(line)] >= wanted or _NUMBER.fullmatch(line.text)
        }
        wide = [line for line in sheet.lines if line.width > 0.3 * sheet.width]
        if wide:
            left, right = min(line.x0 for line in wide), max(line.x1 for line in wide)
            gone |= {
                id(line)
                for line in sheet.lines
                if line.text.isdigit() and (line.x1 < left - 2 or line.x0 > right + 2)
            }
        sheet.lines = [line for line in sheet.lines if id(line) not in gone]


def columns(sheets: list[Sheet]) -> None:
    """Find the gutter of pages in two columns; a single page that looks so in a paper of one column is none."""
    found = [gutter for sheet in sheets if (gutter := _gutter(sheet)) is not None]
    full = sum(len(sheet.lines) >= 20 for sheet in sheets)
    if found and len(found) >= 0.4 * max(full, 1):
        usual = median(found)
        for sheet in sheets:
            sheet.gutter = _gutter(sheet) or usual  # where every line crosses it, it changes nothing


def _gutter(sheet: Sheet) -> float | None:
    lines = [line for line in sheet.lines if line.cells is None]
    if len(lines) < 12:
        return None
    left, right = min(line.x0 for line in lines), max(line.x1 for line in lines)
    width, total = right - left, sum(len(line.text) for line in lines)
    candidates = [left + width * (0.4 + 0.005 * step) for step in range(41)]

    def crossing(x: float) -> int:
        return sum(len(line.text) for line in lines if line.x0 < x < line.x1)

    x = min(candidates, key=lambda x: (crossing(x), abs(x - left - width / 2)))
    if crossing(x) > 0.4 * total:
        return None
    for side in ([line for line in lines if line.x1 <= x], [line for line in lines if line.x0 >= x]):
        wide = sum(line.width > 0.35 * width for line in side)
        if wide < 5 or sum(len(line.text) for line in side) < 0.12 * total:
            return None
    return x


def stretches(sheet: Sheet) -> list[Stretch]:
    """The page's lines in reading order: full-width lines part the page into bands, each left, then right."""
    if sheet.gutter is None:
        return [Stretch(sheet.number, sheet.height, sheet.lines)] if sheet.lines else []
    gutter, tolerance = sheet.gutter, 4.0
    across = {
        id(line) for line in sheet.lines if line.x0 < gutter - tolerance and line.x1 > gutter + tolerance
    }
    across |= _full_width_rows(sheet, across, gutter)
    full = sorted((line for line in sheet.lines if id(line) in across), key=lambda line: line.y0)
    bands: list[tuple[list[Line], list[Line], list[Line]]] = [([], [], [])]
    others = sorted((line for line in sheet.lines if id(line) not in across), key=lambda line: line.y0)
    index = 0
    for line in full:
        while index < len(others) and _middle(others[index])[1] < line.y0:
            bands[-1][1 if _middle(others[index])[0] < gutter else 2].append(others[index])
            index += 1
        if bands[-1][1] or bands[-1][2]:
            bands.append(([], [], []))
        bands[-1][0].append(line)
    for line in others[index:]:
        bands[-1][1 if _middle(line)[0] < gutter else 2].append(line)
    return [Stretch(sheet.number, sheet.height, part) for band in bands for part in band if part]


def _full_width_rows(sheet: Sheet, across: set[int], gutter: float) -> set[int]:
    """The cells of tables that reach over both columns, next to a caption that does so."""
    found: set[int] = set()
    levels = [list(row) for row in rows(sheet.lines)]
    narrow = 0.3 * sheet.width
    for at, row in enumerate(levels):
        if not any(id(line) in across and TABLE_CAPTION.match(line.text) for line in row):
            continue
        for step in (1, -1):
            last, index = row, at + step
            while 0 <= index < len(levels):
                here = levels[index]
                gap = max(here[0].y0 - last[0].y1, last[0].y0 - here[0].y1)
                crossing = all(id(line) in across for line in here)
                cells = len(here) >= 3 and all(line.width < narrow for line in here)
                both = min(line.x0 for line in here) < gutter < max(line.x1 for line in here)
                if gap > 2.5 * max(here[0].size, 6.0) or not ((cells and both) or (crossing and step == 1)):
                    break
                found |= {id(line) for line in here}
                last, index = here, index + step
    return found


def rows(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines that share a baseline, from left to right; rows from top to bottom."""
    row: list[Line] = []
    for line in sorted(lines, key=lambda line: (line.base or line.y1, line.x0)):
        if row:
            first = row[0]
            apart = abs(line.base - first.base) > 0.4 * max(first.size, line.size)
            if apart or line.cells or first.cells:
                yield sorted(row, key=lambda line: line.x0)
                row = []
        row.append(line)
    if row:
        yield sorted(row, key=lambda line: line.x0)
