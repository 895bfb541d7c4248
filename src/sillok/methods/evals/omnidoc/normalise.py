"""What OmniDocBench compares: text, formulas and tables in a form where spacing and mark-up no longer count."""

from __future__ import annotations

import html as entities
import re
import unicodedata
from functools import lru_cache
from typing import Any

from sillok.methods.evals.omnidoc.scan import inline

ESCAPED = re.compile(r"\\([\\_&%^])")
WORDS = re.compile(r"[\w\u4e00-\u9fff]+")
DROPPED = ("\\t", "\\n", "\t", "\n", "/t", "/n")

# What is taken out of a formula, in this order: a later entry sees what the earlier ones left.
COMMANDS_10 = (
    *(f"\\math{name}" for name in ("bf", "rm", "normal", "it", "bb", "cal", "scr", "frak", "sf", "tt")),
    *(
        "\\textbf",
        "\\text",
        "\\boldmath",
        "\\boldsymbol",
        "\\operatorname",
        "\\bm",
        "\\symbfit",
        "\\mathbfcal",
    ),
    *("\\symbf", "\\scriptscriptstyle", "\\notag", "\\setlength", "\\coloneqq", "\\space", "\\thickspace"),
    *("\\thinspace", "\\medspace", "\\nobreakspace", "\\negmedspace", "\\quad", "\\qquad", "\\enspace"),
    *("\\substackw", " "),
)
COMMANDS_15 = (*COMMANDS_10, "$$", "\\left", "\\right", "\\displaystyle", "\\text")
BRACKETED = re.compile(r"\\\[(.+?)(?<!\\)\\\]")
SILENT = re.compile(r"\\tag\{.*?\}"), re.compile(r"\\hspace\{.*?\}"), re.compile(r"\\begin\{.*?\}")
SILENT = (*SILENT, re.compile(r"\\end\{.*?\}"), re.compile(r"\\arraycolsep.*?\}"))

BODY = re.compile(r"<table\b[^>]*>(.*)</table>", re.DOTALL | re.IGNORECASE)
ATTRIBUTES = tuple(re.compile(f'( {name}=".*?")') for name in ("style", "height", "width", "align", "class"))
TBODY = re.compile("</?tbody>")
SPACES = re.compile(r"\s+")
COLGROUP = re.compile("<colgroup>.*?</colgroup>")
INNER = tuple(f"<{slash}{tag}>" for tag in ("sup", "sub", "span", "div", "p") for slash in ("", "/"))
PLAIN_CELL = re.compile(r"<td[^>]*>([^<]*)</td>")
PLAIN_TAG = re.compile(r'<(/?)(table|tbody|tr|td|th|thead)((?: (?:row|col)span="\d+")*| border="\d+")>')


@lru_cache(maxsize=1)
def _contexts() -> tuple[Any, Any]:
    """What pylatexenc knows of macros, for reading and for writing; it would make both anew for every formula."""
    from pylatexenc import latex2text, latexwalker

    return latexwalker.get_default_latex_context_db(), latex2text.get_default_latex_context_db()


@lru_cache(maxsize=65536)
def latex_to_unicode(latex: str) -> str:
    """LaTeX as plain characters, by pylatexenc, which the benchmark uses too."""
    from pylatexenc.latex2text import LatexNodes2Text

    reading, writing = _contexts()
    return str(LatexNodes2Text(latex_context=writing).latex_to_text(latex, latex_context=reading))


def inline_to_unicode(text: str) -> str:
    """Text whose inline formulas that hold a backslash, ``^`` or ``_`` have become plain characters."""
    if "$" not in text and "\\(" not in text:
        return text
    pieces: list[str] = []
    end = 0
    for start, after, inside in inline(text):
        inside = ESCAPED.sub("", inside)
        if not ("\\" in inside or "^" in inside or "_" in inside):
            continue
        try:
            plain = latex_to_unicode(inside + " " if inside.endswith("\\") else inside)
        except Exception:  # as published: a formula that pylatexenc cannot read stays as it is
            continue
        pieces += (text[end:start], plain.strip())
        end = after
    return "".join((*pieces, text[end:]))


def clean(text: str) -> str:
    """Word characters and CJK only."""
    for gone in DROPPED:
        text = text.replace(gone, "")
    return "".join(WORDS.findall(text))


@lru_cache(maxsize=16384)
def _short_text(text: str) -> str:
    return clean(inline_to_unicode(text))


def normalise_text(text: str) -> str:
    """A paragraph as it is compared: inline formulas as characters, then word characters alone."""
    # Gold paragraphs come back with every prediction of their page; the longest are not kept.
    return _short_text(text) if len(text) < 4096 else clean(inline_to_unicode(text))


def normalise_formula(latex: str, version: str = "1.5") -> str:
    """A displayed formula as it is compared: no delimiters, fonts, spacing, tags or environments; lower case."""
    if version == "1.5":
        latex = latex.strip().strip("$").strip("\n")
    if found := BRACKETED.search(latex):
        latex = found.group(1).strip()
    for silent in SILENT:
        latex = silent.sub("", latex)
    latex = latex.strip(".")
    for command in COMMANDS_15 if version == "1.5" else COMMANDS_10:
        latex = latex.replace(command, "")
    return latex.lower()


def _plain(table: str) -> str | None:
    """What the parser below would make of a table whose tags are well nested and bare, or None."""
    if "&" in table or "<!" in table or "<?" in table:
        return None
    depth: list[str] = []
    end = 0
    pieces: list[str] = []
    for found in PLAIN_TAG.finditer(table):
        text = table[end : found.start()]
        if "<" in text:
            return None
        if text and not text.strip(
            " \n\t\f\r"
        ):  # the parser makes one line end or one space of such a stretch
            text = "\n" if "\n" in text else " "
        closing, tag, rest = found.groups()
        if closing:
            if rest or not depth or depth.pop() != tag:
                return None
        else:
            if rest.count("rowspan") > 1 or rest.count("colspan") > 1:
                return None
            depth.append(tag)
        tag = "td" if tag == "th" else tag
        pieces += (text, "" if tag == "thead" else f"<{closing}{tag}{rest}>")
        end = found.end()
    if depth or table[end:]:
        return None
    return "".join(pieces)


def _parsed(table: str) -> str:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(table, "html.parser")
    for cell in soup.find_all("th"):
        cell.name = "td"
    for head in reversed(soup.find_all("thead")):  # inner ones first, which is linear for nested ones
        head.unwrap()
    for formula in soup.find_all("math"):
        formula.replace_with(f"${formula.get('alttext', '')}$")
    for span in reversed(soup.find_all("span")):
        span.unwrap()
    return str(soup)


def cell_texts(table: str) -> list[str]:
    """What stands in the ``td`` cells of an HTML table that hold text alone."""
    if _plain(table) is not None:
        texts = [text for text in PLAIN_CELL.findall(table) if text]
    else:
        from bs4 import BeautifulSoup

        cells = BeautifulSoup(table, "html.parser").find_all("td")
        try:
            texts = [str(cell.string) for cell in cells if cell.string]
        except RecursionError:  # thousands of tags in one another
            texts = []
    return [text.replace("$\\cdot$", "").strip() for text in texts]


def normalise_table(table: str) -> str:
    """An HTML table as it is compared: ``th`` as ``td``, no ``thead``, styles or inner mark-up; "" if it is none.

    Several tables in one string are joined into one, as in the benchmark.
    """
    if "<table" not in table.replace(" ", ""):
        return ""
    plain = _plain(table)
    table = _parsed(table) if plain is None else plain
    table = unicodedata.normalize("NFKC", entities.unescape(table).replace("\n", "")).strip()
    table = "".join(BODY.findall(table))
    for attribute in ATTRIBUTES:
        table = attribute.sub("", table)
    table = SPACES.sub(" ", TBODY.sub("", table))
    table = f'<html><body><table border="1" >{table}</table></body></html>'
    for tag in INNER:
        table = table.replace(tag, "")
    return COLGROUP.sub("", table.replace('<spandata-span-identity="">', ""))


@lru_cache(maxsize=2048)
def normalise_gold_table(table: str) -> str:
    """:func:`normalise_table`, remembered: the same gold table meets many predictions."""
    return normalise_table(table)
