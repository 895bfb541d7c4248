"""Papers in HTML: LaTeXML's pages, as arXiv and ar5iv serve them, and plain HTML."""

from __future__ import annotations

import re
from typing import Any

import lxml.etree
import lxml.html

from sillok.digest.text import PaperText
from sillok.digest.texts.passages import STAMP, Passages, clean


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED_TAGS = _words(
    "script style noscript template nav header footer button form input select textarea iframe object embed "
    "head meta link svg canvas audio video"
)
_DROPPED_CLASSES = _words(
    "ltx_page_header ltx_page_footer ltx_page_navbar ltx_page_logo ltx_TOC ltx_toclist ltx_bibliography "
    "ltx_authors ltx_dates ltx_creator ltx_ERROR ltx_listing_data ltx_role_footnotemark ltx_index "
    "package-alerts ar5iv-footer katex-html sr-only"
)
_BLOCK_TAGS = _words(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure h1 h2 "
    "h3 h4 h5 h6 hr li main ol p pre section summary table tbody td tfoot th thead tr ul"
)
_BLOCK_CLASSES = _words(
    "ltx_tabular ltx_para ltx_p ltx_inline-block ltx_caption ltx_title ltx_figure ltx_table ltx_float "
    "ltx_listing ltx_item ltx_itemize ltx_enumerate ltx_equation ltx_equationgroup ltx_abstract"
)
_LEVELS = {
    "ltx_part": 0,
    "ltx_chapter": 0,
    "ltx_section": 1,
    "ltx_appendix": 1,
    "ltx_acknowledgements": 1,
    "ltx_subsection": 2,
    "ltx_subsubsection": 3,
    "ltx_paragraph": 4,
    "ltx_subparagraph": 5,
}
_SPAN = 64  # cells that one cell may stand for


def parse(data: bytes, *, id: str, version: int | None, name: str) -> PaperText:
    """Read a paper in HTML; see `read_text_of`.

    Raises:
        ValueError: no HTML, or nested too deeply to be a paper.
    """
    try:
        root = lxml.html.document_fromstring(data, parser=_parser(data))
    except (lxml.etree.LxmlError, ValueError) as error:
        raise ValueError(f"{name}: no HTML that can be read: {clean(str(error))}") from None
    marks = root.xpath("//*[@id='watermark-tr']") or root.xpath("//title")
    stamp = STAMP.search(marks[0].text_content()) if marks else None
    warnings = []
    broken = len(_with_class(root, "ltx_ERROR"))
    if broken:
        places = "a place" if broken == 1 else f"{broken} places"
        warnings.append(f"the conversion to HTML left {places} that it could not read")
    heads = root.xpath("//head/title")
    fallback = re.sub(r"^\s*\[[^\]]*\]\s*", "", heads[0].text_content()) if heads else ""
    _prepare(root)
    articles = _with_class(root, "ltx_document") or root.xpath("//article") or root.xpath("//main")
    articles = [article for article in articles if article.tag in ("article", "main")] or articles
    walk = _Walk()
    try:
        walk.flow(articles[0] if articles else root)
    except RecursionError:
        raise ValueError(f"{name}: HTML nested too deeply to be a paper") from None
    passages = walk.passages
    if passages.found and not any(passage.kind == "title" for passage in passages.found):
        passages.title(fallback)
    return passages.text_of(id, version, "html", warnings, stamp)


def _parser(data: bytes) -> lxml.html.HTMLParser:
    try:
        data.decode("utf-8")
        return lxml.html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True)
    except UnicodeDecodeError:
        return lxml.html.HTMLParser(huge_tree=True, remove_comments=True)


def _classes(element: Any) -> list[str]:
    return (element.get("class") or "").split()


def _with_class(element: Any, name: str) -> list[Any]:
    found: list[Any] = element.xpath(f".//*[contains(concat(' ', normalize-space(@class), ' '), ' {name} ')]")
    return found


def _replace(element: Any, text: str) -> None:
    """Put text into an element's place, what follows it kept."""
    for child in list(element):
        element.remove(child)
    element.text = text
    element.drop_tag()


def _prepare(root: Any) -> None:
    """Turn mathematics into LaTeX and superscripts into "^", and drop what is no text of the paper."""
    for element in list(root.iter(*_DROPPED_TAGS)):
        if element.getparent() is not None:
            element.drop_tree()
    for element in list(root.iter()):
        if isinstance(element.tag, str) and _DROPPED_CLASSES.intersection(_classes(element)):
            if element.getparent() is not None:
                element.drop_tree()
        elif not isinstance(element.tag, str) and element.getparent() is not None:
            element.drop_tree()
    for math in list(root.iter("math")):
        _replace(math, _latex(math))
    for sup in list(root.iter("sup")):
        if sup.getparent() is not None and not _within_note(sup):
            _superscript(sup)
    for br in list(root.iter("br")):
        _replace(br, " ")


def _latex(math: Any) -> str:
    latex = math.get("alttext")
    if latex is None:
        sources = math.xpath(".//*[local-name()='annotation'][contains(@encoding, 'tex')]")
        latex = sources[0].text_content() if sources else math.text_content()
    latex = re.sub(r"%\s*\n\s*", "", latex)  # LaTeXML breaks long formulas behind a comment sign
    return clean(re.sub(r"\\(?:displaystyle|textstyle)\b\s*", "", latex))


def _within_note(element: Any) -> bool:
    return "ltx_note_mark" in _classes(element)


_CELL_MARK = re.compile(r"[a-e*†‡§¶](?:\s?,?\s?[a-e*†‡§¶])?")


def _superscript(sup: Any) -> None:
    content = sup.text_content().strip()
    if sup.xpath(".//a[starts-with(@href, '#')]") and re.fullmatch(r"\[?[0-9*†‡§]{1,3}\]?", content):
        sup.drop_tree()  # the mark of a footnote
        return
    if _CELL_MARK.fullmatch(content) and any(True for _ in sup.iterancestors("td", "th")):
        sup.drop_tree()  # the mark of a note below the table
        return
    previous = sup.getprevious()
    before = (previous.tail if previous is not None else sup.getparent().text) or ""
    exponent = re.match(r"[-−–+0-9]", content) is not None and before[-1:].isdigit()
    sup.text = ("^" if exponent else "") + (sup.text or "")


class _Walk:
    """Walks the blocks of a page; inline text between two blocks is a paragraph of its own."""

    def __init__(self) -> None:
        self.passages = Passages()
        self._around: dict[Any, bool] = {}

    def _is_block(self, element: Any) -> bool:
        return element.tag in _BLOCK_TAGS or not _BLOCK_CLASSES.isdisjoint(_classes(element))

    def _has_blocks(self, element: Any) -> bool:
        """Whether an inline element has blocks inside (LaTeXML sets tables within spans)."""
        known = self._around.get(element)
        if known is None:
            known = any(self._is_block(child) or self._has_blocks(child) for child in element)
            self._around[element] = known
        return known

    def flow(self, element: Any) -> None:
        """Take an element's text and children in order."""
        run: list[str] = []
        notes: list[Any] = []

        def flush() -> None:
            self._text("".join(run), element)
            run.clear()
            for note in notes:
                self._note(note)
            notes.clear()

        run.append(element.text or "")
        for child in element:
            if "ltx_note" in _classes(child):
                notes.append(child)
            elif self._is_block(child):
                flush()
                self._block(child)
            elif self._has_blocks(child):
                flush()
                self.flow(child)
            elif not (child.get("class") or "").startswith("ltx_tag ltx_tag_item"):
                nested = _with_class(child, "ltx_note")
                notes += nested
                run.append(_without(child, nested))
            run.append(child.tail or "")
        flush()

    def _text(self, text: str, element: Any) -> None:
        text = clean(text)
        if re.search(r"\w", text):
            self.passages.add("paragraph", text)

    def _note(self, note: Any) -> None:
        content = (_with_class(note, "ltx_note_content") or [note])[0]
        marks = [
            mark
            for name in ("ltx_note_mark", "ltx_tag_note", "ltx_note_type")
            for mark in _with_class(content, name)
        ]
        self.passages.add("footnote", _without(content, marks))

    def _block(self, block: Any) -> None:
        classes, tag = _classes(block), block.tag
        if "ltx_title" in classes or re.fullmatch("h[1-6]", tag):
            self._heading(block, classes)
        elif tag in ("figcaption", "caption") or "ltx_caption" in classes:
            self._leaf(block, "caption")
        elif "ltx_eqn_table" in classes or "ltx_equation" in classes or "ltx_equationgroup" in classes:
            self.passages.add("paragraph", _spaced(block))
        elif (tag == "table" or "ltx_tabular" in classes) and block.get("role") != "presentation":
            self._table(block)
        elif tag in ("section", "aside", "li") and _is_footnotes(block):
            self._footnotes(block)
        elif tag in ("section", "article", "div") and (
            "ltx_abstract" in classes or "abstract" in [*classes, (block.get("id") or "").lower()]
        ):
            kept = self.passages.kind
            self.passages.kind = "abstract"
            self.flow(block)
            self.passages.kind = kept
        elif tag == "section" or any(name in _LEVELS for name in classes):
            state = (list(self.passages.stack), self.passages.dropped, self.passages.kind)
            self.flow(block)
            self.passages.stack, self.passages.dropped, self.passages.kind = state
        else:
            self.flow(block)

    def _leaf(self, block: Any, kind: Any) -> None:
        notes = _with_class(block, "ltx_note")
        self.passages.add(kind, _without(block, notes))
        for note in notes:
            self._note(note)

    def _heading(self, block: Any, classes: list[str]) -> None:
        notes = _with_class(block, "ltx_note")
        text = clean(_without(block, notes))
        titled = any(passage.kind == "title" for passage in self.passages.found)
        if "ltx_title_abstract" in classes or not text:
            pass
        elif "ltx_title_document" in classes or (
            block.tag == "h1" and not titled and "ltx_title" not in classes and not self.passages.stack
        ):
            self.passages.title(text)
        elif "ltx_title_theorem" in classes or "ltx_title_proof" in classes:
            self.passages.add("paragraph", text)
        else:
            level = next(
                (
                    _LEVELS[key]
                    for name in classes
                    if (key := name.replace("ltx_title_", "ltx_")) in _LEVELS and name != "ltx_title"
                ),
                int(block.tag[1]) if re.fullmatch("h[1-6]", block.tag) else 5,
            )
            self.passages.heading(level, text)
        for note in notes:
            self._note(note)

    def _footnotes(self, block: Any) -> None:
        items = block.xpath(".//li") or [block]
        for item in items:
            text = re.sub(r"\s*(?:↩︎?|\^)\s*$", "", _spaced(item))
            self.passages.add("footnote", text)

    def _table(self, table: Any) -> None:
        captions = [*table.xpath("./caption"), *_with_class(table, "ltx_caption")]
        for caption in dict.fromkeys(captions):
            self._leaf(caption, "caption")
            caption.drop_tree()
        notes = _with_class(table, "ltx_note")
        rows = _rows(table)
        if rows:
            self.passages.table(rows)
        else:
            self._text(_spaced(table), table)
        for note in notes:
            self._note(note)


def _is_footnotes(block: Any) -> bool:
    return "footnotes" in _classes(block) or block.get("role") in ("doc-footnote", "doc-endnotes")


def _spaced(element: Any) -> str:
    """The text of an element with a space between its blocks."""
    return clean(" ".join(element.itertext()))


def _without(element: Any, left_out: list[Any]) -> str:
    """The text of an element without some of its descendants."""
    if not left_out:
        return str(element.text_content())
    skipped = set(left_out)
    pieces: list[str] = []

    def take(node: Any) -> None:
        pieces.append(node.text or "")
        for child in node:
            if child not in skipped:
                take(child)
            pieces.append(child.tail or "")

    take(element)
    return "".join(pieces)


def _is_row(element: Any) -> bool:
    return element.tag == "tr" or "ltx_tr" in _classes(element)


def _is_cell(element: Any) -> bool:
    return element.tag in ("td", "th") or "ltx_td" in _classes(element) or "ltx_th" in _classes(element)


def _number(text: str | None) -> int:
    return min(_SPAN, int(text)) if text and text.isdigit() and int(text) > 0 else 1


def _rows(table: Any) -> list[list[str]]:
    """The cells of a table; one that spans rows or columns stands in each of them, so that columns line up."""
    rows: list[list[str]] = []
    pending: dict[int, tuple[int, str]] = {}
    for row in _own(table, _is_row):
        line: list[str] = []
        cells = _own(row, _is_cell)
        total = sum(_number(cell.get("colspan")) for cell in cells)
        for cell in [*cells, None]:
            while pending.get(len(line), (0, ""))[0] > 0 or (
                cell is None and len(line) < max(pending, default=-1)
            ):
                left, text = pending.pop(len(line), (0, ""))
                if left > 1:
                    pending[len(line)] = (left - 1, text)
                line.append(text)
            if cell is None:
                break
            text = clean(_spaced_cell(cell))
            width, height = _number(cell.get("colspan")), _number(cell.get("rowspan"))
            for _ in range(1 if width == total and len(cells) == 1 else width):
                if height > 1:
                    pending[len(line)] = (height - 1, text)
                line.append(text)
        if any(line):
            rows.append(line)
    return rows


def _spaced_cell(cell: Any) -> str:
    notes = _with_class(cell, "ltx_note")
    return _without(cell, notes) if notes or not len(cell) else _joined(cell)


def _joined(cell: Any) -> str:
    """The text of a cell; blocks inside it are parted by a space, inline marks are not."""
    if any(element is not cell and element.tag in _BLOCK_TAGS for element in cell.iter()):
        return " ".join(cell.itertext())
    return str(cell.text_content())


def _own(element: Any, wanted: Any) -> list[Any]:
    """The nearest descendants of a kind: the rows of this table and not those of one inside it."""
    found: list[Any] = []
    for child in element:
        if wanted(child):
            found.append(child)
        else:
            found += _own(child, wanted)
    return found
