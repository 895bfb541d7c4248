"""A prediction in Markdown as blocks: paragraphs, formulas and tables with their places in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sillok.methods.evals.omnidoc import scan

Kind = Literal["text", "formula", "html_table", "latex_table"]

REPEATED = re.compile(r"([^a-zA-Z0-9])\1{10,}")
DOLLARS = re.compile(r"\$\$(.*?)\$\$|\$(.*?)\$|\\\((.*?)\\\)", re.DOTALL)
LATEX_TABLE = re.compile(r"\\begin{table}(.*?)\\end{table}", re.DOTALL)
CODE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FENCES_10 = (re.compile(r"^```markdown\n?", re.MULTILINE),)
FENCES_15 = (*FENCES_10, re.compile(r"^```html\n?", re.MULTILINE), re.compile(r"^```latex\n?", re.MULTILINE))
CLOSING_FENCE = re.compile(r"```\n?$", re.MULTILINE)
COMMANDS = (
    (re.compile(r"\\title\{"), False, False),
    (re.compile(r"\\title\s*\{\s*"), True, True),
    (re.compile(r"\\text\s*\{\s*"), True, True),
    (re.compile(r"\\section\*?\{"), False, False),
    (re.compile(r"\\section\*?\{\s*"), True, True),
)
RULE = re.compile(r"-*?:|---")
TABLE_TAG = re.compile(r"</?t(able|head|body)>")
HTML_COMMENT = re.compile(r"<!--[\s\S]*?-->")
WHOLE_TABLE = re.compile(r"<table>[\s\S]*?</table>")


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a prediction.

    ``start`` and ``end`` are its place in characters of the prepared text; ``fine`` is the finer kind that the
    benchmark gives it: ``equation_inline``, ``text_block``, ``code``, ``md2html_table``, or "".
    """

    kind: Kind
    content: str
    start: int
    end: int
    fine: str = ""

    @property
    def category(self) -> str:
        """The benchmark's name for the kind, the finer one where there is one."""
        return self.fine or {"text": "text_all", "formula": "equation_isolated"}.get(self.kind, self.kind)


class Blocks(list[Block]):
    """The blocks of one prediction, by position."""

    def of(self, *kinds: Kind) -> list[Block]:
        return [block for block in self if block.kind in kinds]

    @property
    def text(self) -> list[str]:
        return [block.content for block in self if block.kind == "text"]

    @property
    def formulas(self) -> list[str]:
        return [block.content for block in self if block.kind == "formula"]

    @property
    def tables(self) -> list[str]:
        return [block.content for block in self if block.kind in ("html_table", "latex_table")]

    @property
    def positions(self) -> list[tuple[int, int]]:
        return [(block.start, block.end) for block in self]


def _prepared(md: str, version: str) -> str:
    text = scan.without_images(md.replace("\r\n", "\n").replace("\r", "\n"))  # as reading a file does
    for fence in FENCES_15 if version == "1.5" else FENCES_10:
        text = fence.sub("", text)
    text = CLOSING_FENCE.sub("", text)
    text = re.sub(" {4,}", "    ", re.sub("_{4,}", "____", text))
    if version == "1.0":
        return REPEATED.sub(r"\1\1\1\1", text)
    for tag in ("<html>", "</html>", "<body>", "</body>"):
        text = text.replace(tag, "")
    return text


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with spaces in the place of the spans, which are sorted by where they begin."""
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if end > at:
            start = max(start, at)
            pieces += (text[at:start], " " * (end - start))
            at = end
    return "".join((*pieces, text[at:]))


def _latex_tables(text: str) -> list[Block]:
    spans = [found.span() for found in LATEX_TABLE.finditer(text)] if "\\end{table}" in text else []
    rest = _blanked(text, spans)
    tables = [Block("latex_table", text[start:end], start, end) for start, end in spans]
    for start, end in scan.nested(rest, scan.TABULAR):
        tables.append(Block("latex_table", rest[start:end], start, min(end, len(text))))
    return sorted(tables, key=lambda block: block.start)


def _html_tables(text: str) -> list[Block]:
    return [Block("html_table", text[a:b], a, b) for a, b in scan.nested(text, scan.HTML_TABLE)]


def _formula(matched: str, start: int, version: str) -> tuple[Block, bool]:
    """The block of a formula and whether it stands on its own; an inline one stays in its paragraph too."""
    line = " ".join(matched.strip().split("\n")) if version == "1.5" else "".join(matched.split())
    inner = DOLLARS.search(line)
    end = start + len(matched)
    if inner is None:
        return Block("formula", line, start, end), True
    if inner.group(1):
        return Block("formula", DOLLARS.sub(r"\\[\1\\]", line), start, end), True
    return Block("formula", DOLLARS.sub(r"\\[\2\3\\]", line), start, end, "equation_inline"), False


def _row_html(row: str) -> str:
    """One stretch of a Markdown table as HTML; its first line becomes the head, its second is left out."""
    lines = [line.strip() for line in row.strip().split("\n")]
    head = "".join(f"      <th>{cell.strip()}</th>\n" for cell in lines[0].split("|")[1:-1])
    body = "".join(
        "    <tr>\n"
        + "".join(f"      <td>{cell.strip()}</td>\n" for cell in line.split("|")[1:-1])
        + "    </tr>\n"
        for line in lines[2:]
    )
    return (
        f"<table>\n  <thead>\n    <tr>\n{head}    </tr>\n  </thead>\n  <tbody>\n{body}  </tbody>\n</table>\n"
    )


def _merged(tables: str) -> str:
    """Adjacent one-row tables as a single one; those of two lines or fewer are lost."""
    lines: list[str] = []
    for block in WHOLE_TABLE.findall(HTML_COMMENT.sub("", tables)):
        rows = (
            line.replace("<th>", "<td>").replace("</th>", "</td>") if "<th>" in line else line
            for line in block.split("\n")
        )
        kept = [line for line in rows if not TABLE_TAG.search(line)]
        if len(kept) > 2:
            lines += kept
    return "\n\n<table>\n{}\n</table>\n\n".format("\n".join(lines))


def _joined_tables(text: str) -> str:
    """The text with each run of adjacent tables as one table."""
    out: list[str] = []
    run: list[str] = []
    inside = False
    last = ""
    for line in text.split("\n"):
        if "<table>" in line:
            inside = True
            run.append(last)
        elif inside:
            if not RULE.search(last) and "</thead>" not in last:
                run.append("\n" + last)
            if "</table>" in last:
                inside = False
                out.append(_merged("".join(run)))
                run = []
        else:
            out.append(last)
        last = line
    if last:
        if inside or "</table>" in last:
            out.append(_merged("".join((*run, "\n" + last))))
        else:
            out.append(last)
    return "\n".join(out)


def pipes_to_html(text: str) -> str:
    """Markdown tables in a text as HTML tables, every other line as it was."""
    text = text.replace("\r", "") + "\n"
    pieces: list[str] = []
    at = 0
    for start, end in scan.pipe_rows(text):
        pieces += (text[at:start], _row_html(text[start:end]))
        at = end
    text = _joined_tables("".join((*pieces, text[at:])))
    return text.replace("<table>", '<table border="1" >').replace("<td>", '<td colspan="1" rowspan="1">')


def _paragraphs(text: str, strict: bool) -> list[Block]:
    for opener, across, strip in COMMANDS:
        if "\\" in text:
            text = scan.braced(opener, text, str.strip if strip else str, across)
    parts, gap = text.split("\n\n"), 2
    if len(parts) == 1:
        parts, gap = text.split("\n"), 1
    blocks: list[Block] = []
    at = 0
    for part in parts:
        start, end = at, at + len(part)
        # As published, places leave out the separators, and drift from those of formulas and tables.
        at = end + (gap if strict else 0)
        content = "\n".join(line.strip() for line in part.strip().split("\n") if line.strip())
        if not content:
            continue
        if content.startswith("<table") and content.endswith("</table>"):
            blocks.append(Block("html_table", content, start, end))
        elif content.startswith("$") and content.endswith("$"):
            if content.replace("$", "").strip():
                blocks.append(Block("formula", content, start, end))
        else:
            blocks.append(Block("text", content, start, end, "text_block"))
    return blocks


def parse_markdown(md: str, version: str = "1.5", strict: bool = False) -> Blocks:
    """A page in Markdown (``md``) as blocks, sorted by where they begin, by the rules of ``version``.

    Images are dropped, fences of ``markdown`` (in 1.5 also ``html`` and ``latex``) opened. LaTeX tables are taken
    out first, then HTML tables, formulas on their own, Markdown tables (if there are two rows or more), code; what
    is left is cut at empty lines, or at line ends where there is no empty line. An inline formula is a block *and*
    stays in its paragraph. ``strict`` counts places in the text itself, which the published ones drift from.

    Rules as in the repository of arXiv 2412.07626 at 7bd6c2e (1.5) and 337cc26 (1.0). Raises ValueError if ``md`` is
    no text.
    """
    if not isinstance(md, str):
        raise ValueError(f"md: a prediction is text, got {type(md).__name__}")
    text = _prepared(md, version)
    blocks = Blocks()
    for finder in (_latex_tables, _html_tables):
        tables = finder(text)
        blocks += tables
        text = _blanked(text, [(table.start, table.end) for table in tables])
    alone: list[tuple[int, int]] = []
    for start, end in scan.formulas(text):
        block, displayed = _formula(text[start:end], start, version)
        blocks.append(block)
        alone += [(start, end)] if displayed else []
    text = _blanked(text, alone)
    rows = scan.pipe_rows(text + "\n")
    if next(rows, None) and next(rows, None):
        text = pipes_to_html(text)
        spans = _closed_tables(text)
        blocks += [Block("html_table", text[a:b], a, b, "md2html_table") for a, b in spans]
        text = _blanked(text, spans)
    spans = []
    for found in CODE.finditer(text) if "```" in text else ():
        blocks.append(Block("text", found.group(2).strip(), *found.span(), "code"))
        spans.append(found.span())
    blocks += _paragraphs(_blanked(text, spans), strict)
    blocks.sort(key=lambda block: block.start)
    return blocks


def _closed_tables(text: str) -> list[tuple[int, int]]:
    """Spans from ``<table`` to the nearest ``</table>``."""
    spans, at = [], 0
    while (start := text.find("<table", at)) >= 0 and (end := text.find("</table>", start)) >= 0:
        at = end + 8
        spans.append((start, at))
    return spans
