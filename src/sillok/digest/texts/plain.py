"""Papers as plain text (what pdftotext writes, or what a person typed) and in Markdown."""

from __future__ import annotations

import re

from sillok.digest.text import PaperText
from sillok.digest.texts.passages import (
    CAPTION,
    KNOWN,
    LETTERS,
    NUMBERED,
    STAMP,
    Passages,
    clean,
    depth,
)


def parse(data: bytes, *, id: str, version: int | None, markdown: bool) -> PaperText:
    """Read a paper in text or Markdown; see `read_text_of`. Bytes that are not UTF-8 are read as Latin-1."""
    text, warnings = _decoded(data)
    stamp = STAMP.search(text[:20_000])
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    passages = _markdown(text) if markdown else _text(text)
    return passages.text_of(id, version, "text", warnings, stamp)


def _decoded(data: bytes) -> tuple[str, list[str]]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), []
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("latin-1"), ["the text is not UTF-8 and was read as Latin-1"]


def _markdown(text: str) -> Passages:
    from markdown_it import MarkdownIt

    passages = Passages()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[str]] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            passages.table(rows)
            rows = []
        elif token.type in ("fence", "code_block"):
            passages.add("paragraph", token.content)
        elif token.type == "inline":
            before = tokens[index - 1].type
            content = _inline(token.content)
            if before in ("td_open", "th_open"):
                rows[-1].append(content)
            elif before == "heading_open":
                level = int(tokens[index - 1].tag[1])
                if level == 1 and not passages.found and not passages.stack:
                    passages.title(content)
                else:
                    numbered = NUMBERED.fullmatch(content)
                    passages.heading(depth(numbered["number"]) + 1 if numbered else max(level, 2), content)
            else:
                passages.add("caption" if CAPTION.match(content) else "paragraph", content)
    return passages


def _inline(text: str) -> str:
    """Markdown's inline text without its marks; dollar signs around mathematics go too."""
    text = re.sub(r"!\[([^\]]*)\]\([^)\s]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\([^)\s]*\)", r"\1", text)
    text = re.sub(r"(\*{1,3}|(?<!\w)_{1,3}(?=\S))(\S(?:.*?\S)?)\1(?!\w)", r"\2", text)
    return re.sub(r"(?<![\\$])\${1,2}([^$\n]+)\${1,2}", r"\1", text.replace("`", ""))


def _text(text: str) -> Passages:
    passages = Passages()
    paged = "\f" in text
    first = True
    for page, sheet in enumerate(text.split("\f"), 1):
        for block in re.split(r"\n[ \t]*\n\s*", sheet):
            lines = [line for line in block.split("\n") if line.strip()]
            if lines and not (len(lines) == 1 and re.fullmatch(r"\s*[0-9]{1,4}\s*", lines[0])):
                _block(passages, lines, page if paged else None, first)
                first = False
    return passages


def _block(passages: Passages, lines: list[str], page: int | None, first: bool) -> None:
    head = clean(lines[0])
    short = len(lines) <= 3 and len(clean(" ".join(lines))) < 250 and not head.endswith((".", ":"))
    if first and short and not _level(head, False):
        passages.title(" ".join(lines), page)
        return
    level = _level(head, passages.lettered)
    if level:
        passages.heading(level, head)
        lines = lines[1:]
    while lines and (rows := _rows(lines)):
        passages.table(rows, page)
        lines = lines[len(rows) :]
    pending: list[str] = []
    for index, line in enumerate(lines):
        if CAPTION.match(line.strip()) or len(rows := _rows(lines[index:])) > 1:
            _paragraph(passages, pending, page)
            pending = []
            if not CAPTION.match(line.strip()):
                _block(passages, lines[index:], page, False)
                return
        pending.append(line)
    _paragraph(passages, pending, page)


def _paragraph(passages: Passages, lines: list[str], page: int | None) -> None:
    text = re.sub(r"(?<=[^\W\d_])-\n\s*(?=[a-z])", "", "\n".join(lines))
    passages.add("caption" if CAPTION.match(text.strip()) else "paragraph", text, page)


def _level(line: str, lettered: bool) -> int:
    """The level of a line that is a heading, or 0; `lettered`: whether "A Proofs" is one."""
    if marks := re.match(r"#{1,6}(?=\s)", line):
        return len(marks[0])
    if len(line) > 100 or line.endswith((".", ",", ";", ":", "!", "?")) or CAPTION.match(line):
        return 0
    if KNOWN.fullmatch(line):
        return 1
    match = NUMBERED.fullmatch(line)
    if match is None or len(match["words"].split()) > 12 or not match["words"][0].isupper():
        return 0
    return depth(match["number"]) if lettered or match["number"] not in LETTERS else 0


def _rows(lines: list[str]) -> list[list[str]]:
    """The rows of a table at the beginning of lines: cells parted by "|", tabs or wide gaps; [] for prose."""
    rows = []
    for line in lines:
        if line.count("|") >= 1 and not re.fullmatch(r"[\s|:+=-]+", line):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        else:
            cells = [cell for cell in re.split(r"\t+|\s{3,}", line.strip()) if cell]
        if len(cells) < 2:
            break
        rows.append(cells)
    return rows if len(rows) > 1 else []
