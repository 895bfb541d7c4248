"""Papers in PDF, through PyMuPDF: columns in reading order, headings by size and number, references dropped."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pymupdf

from sillok.digest.text import PaperText
from sillok.digest.texts import pages
from sillok.digest.texts.blocks import Block, Builder, Mender
from sillok.digest.texts.passages import KNOWN, NUMBERED, STAMP, Passages, clean, depth

_FLAGS = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE
_ABSTRACT = re.compile(r"abstract\s*[—–:.\-]+\s*(?=\S)", re.IGNORECASE)


def parse(data: bytes, *, id: str, version: int | None, name: str, max_pages: int) -> PaperText:
    """Read a paper in PDF; see `read_text_of`.

    Raises:
        ValueError: an encrypted or damaged file, or one without pages.
    """
    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    pymupdf.no_recommend_layout()
    warnings: list[str] = []
    try:
        with pymupdf.open(stream=data, filetype="pdf") as document:
            if document.needs_pass:
                raise ValueError(f"{name}: an encrypted PDF, which cannot be read without its password")
            if document.page_count == 0:
                raise ValueError(f"{name}: a PDF without pages")
            if document.page_count > max_pages:
                warnings.append(
                    f"{document.page_count} pages: pages {max_pages + 1} to {document.page_count} are left out"
                )
            sheets = _sheets(document, min(document.page_count, max_pages), warnings)
    except (RuntimeError, pymupdf.mupdf.FzErrorBase) as error:
        raise ValueError(f"{name}: a damaged PDF: {clean(str(error))[:200]}") from None
    finally:
        pymupdf.TOOLS.store_shrink(100)
    rotated = sheets[0].rotated if sheets else ""
    stamp = STAMP.search(rotated) or STAMP.search(" ".join(line.text for line in sheets[0].lines[:5]))
    passages = _passages(sheets)
    return passages.text_of(id, version, "pdf", warnings, stamp)


def _sheets(document: Any, count: int, warnings: list[str]) -> list[pages.Sheet]:
    sheets, damaged = [], []
    for number in range(count):
        try:
            sheets.append(pages.read(document[number], _FLAGS))
        except (RuntimeError, ValueError, pymupdf.mupdf.FzErrorBase):
            damaged.append(number + 1)
            sheets.append(pages.Sheet(number + 1, 612.0, 792.0, []))
    if damaged:
        warnings.append(f"{_named(damaged)} cannot be read")
    empty = [sheet.number for sheet in sheets if not sheet.lines and sheet.pictures]
    if empty:
        what = "has" if len(empty) == 1 else "have"
        warnings.append(f"{_named(empty)} {what} no text: scanned, it seems")
    return sheets


def _named(numbers: list[int]) -> str:
    """ "page 3", "pages 1-12, 14"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    spans = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"page{'s' if len(numbers) > 1 else ''} {spans}"


def _passages(sheets: list[pages.Sheet]) -> Passages:
    pages.tidy(sheets)
    pages.columns(sheets)
    weights: Counter[float] = Counter()
    for sheet in sheets:
        for line in sheet.lines:
            weights[round(line.size)] += len(line.text)
    body = float(weights.most_common(1)[0][0]) if weights else 10.0
    mender = Mender(line.text for sheet in sheets for line in sheet.lines)
    builder = Builder(body)
    title = _title(sheets, body)
    for sheet in sheets:
        for stretch in pages.stretches(sheet):
            builder.take(stretch)
    writer = _Writer(mender, body, builder.blocks)
    if title:
        writer.passages.title(title, 1)
    for block in _whole(builder.blocks):
        writer.take(block)
    return writer.passages


def _title(sheets: list[pages.Sheet], body: float) -> str:
    """The largest lines of the first page's upper half, taken out of it."""
    if not sheets:
        return ""
    first = sheets[0]
    upper = [line for line in first.lines if line.y0 < 0.5 * first.height and line.cells is None]
    size = max((line.size for line in upper), default=0.0)
    if size < 1.15 * body:
        return ""
    lines = sorted((line for line in upper if line.size > size - 0.5), key=lambda line: (line.y0, line.x0))
    text = " ".join(line.text for line in lines)
    if len(lines) > 6 or (NUMBERED.fullmatch(text) and text[0].isdigit()) or KNOWN.fullmatch(text):
        return ""
    first.lines = [line for line in first.lines if line not in lines]
    return text


def _whole(blocks: list[Block]) -> list[Block]:
    """Join paragraphs that a column's or page's end, or a float between, has cut in two."""
    result: list[Block] = []
    for block in blocks:
        joined = False
        if block.kind == "paragraph" and re.match(r"[a-z\u00df-\u00ff(]", block.pieces[0]):
            for before in reversed(result[-6:]):
                if before.kind == "heading":
                    break
                if before.kind != "paragraph" or abs(before.size - block.size) > 0.3:
                    continue
                unfinished = not before.pieces[-1].endswith((".", "!", "?", ":"))
                joined = unfinished and block.page - before.page <= 1
                if joined:
                    before.pieces += block.pieces
                break
        if not joined:
            result.append(block)
    return result


class _Writer:
    """Turns blocks into passages."""

    def __init__(self, mender: Mender, body: float, blocks: list[Block]) -> None:
        self.passages = Passages()
        self.mender = mender
        self.body = body
        self._references: tuple[float, bool] | None = None
        self._sizes: dict[float, int] = {}
        for block in blocks:
            match = NUMBERED.fullmatch(" ".join(block.pieces)) if block.kind == "heading" else None
            if match:
                level = depth(match["number"])
                self._sizes[block.size] = min(level, self._sizes.get(block.size, level))

    def take(self, block: Block) -> None:
        """Take the next block."""
        passages, page = self.passages, block.page
        if block.kind == "table":
            passages.table(block.cells, page)
            return
        text = clean(self.mender.join(block.pieces))
        if block.kind == "heading":
            self._heading(block, text)
            return
        if block.kind == "paragraph" and page == 1 and (match := _ABSTRACT.match(text)):
            self._abstract()
            text = text[match.end() :]
        if sum(c.isalnum() for c in text) >= 2:
            passages.add(block.kind, text, page)

    def _abstract(self) -> None:
        """What stands before the abstract on the first page are names and addresses."""
        self.passages.found = [passage for passage in self.passages.found if passage.kind == "title"]
        self.passages.heading(1, "Abstract")

    def _heading(self, block: Block, text: str) -> None:
        passages = self.passages
        numbered = NUMBERED.fullmatch(text)
        known = KNOWN.fullmatch(text) is not None
        if passages.dropped is not None and self._references is not None:
            size, bold = self._references
            if (
                abs(block.size - size) > 0.4
                or block.bold != bold
                or not (numbered or known or block.size > self.body)
            ):
                return
        if page_one_abstract(text, block):
            self._abstract()
            return
        if numbered:
            level = depth(numbered["number"])
        elif known:
            level = 1
        else:
            level = self._sizes.get(block.size, 1 if block.size > 1.15 * self.body else 4)
        passages.heading(level, text)
        self._references = (block.size, block.bold) if passages.dropped is not None else None


def page_one_abstract(text: str, block: Block) -> bool:
    """Whether a heading is that of the abstract."""
    return block.page <= 2 and re.fullmatch(r"abstract\W*|요약|초록", text, re.IGNORECASE) is not None
