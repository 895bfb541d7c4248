"""Pages and predictions made up to try a scorer of document parsing, hostile ones included; equal for equal seeds.

The words are made here and not taken from any text of the machine, so that the cases of a seed are the same with every
version of Python and of its documentation: recorded scores of another scorer can then be compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

SYLLABLES = ("ka", "tor", "mi", "ren", "sol", "va", "pli", "den", "os", "qua", "th", "ing", "er", "al", "ex")
HANZI = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动"
    "同工也能下过子说产种面而方后多定行学法所民得经"
)
SYMBOLS = (
    "\\alpha",
    "\\beta",
    "x_{i}",
    "y^{2}",
    "\\frac{a}{b}",
    "\\sqrt{n}",
    "\\sum_{k=1}^{n} k",
    "\\mathbf{W}",
)
SYMBOLS = (
    *SYMBOLS,
    "e^{-x}",
    "\\left( a+b \\right)",
    "\\text{if } x",
    "\\hat{y}",
    "10\\%",
    "\\partial t",
    "12",
)
BROKEN = (
    "$",
    "$$",
    "\\[",
    "\\]",
    "\\(",
    "\\)",
    "<table>",
    "</table>",
    "<td>",
    "|",
    "||",
    "```",
    "\\begin{tabular}",
)
BROKEN = (
    *BROKEN,
    "\\end{tabular}",
    "\\begin{table}",
    "\\end{table}",
    "\n\n",
    "![",
    "](",
    ")",
    "\\title{",
    "}",
    "{",
)
BROKEN = (
    *BROKEN,
    "<thead>",
    "</tr>",
    "&amp;",
    "&",
    "<html>",
    "____",
    "\\text{",
    "\\section{",
    "#",
    "\t",
    "\u3000",
    "\r",
)


def _word(rng: Random) -> str:
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randrange(1, 4)))


def _sentence(rng: Random, words: int) -> str:
    return " ".join(_word(rng) for _ in range(words)).capitalize() + rng.choice((".", ".", "?", ";", ""))


def _formula(rng: Random) -> str:
    return rng.choice((" = ", " + ", " - ", "")).join(rng.choice(SYMBOLS) for _ in range(rng.randrange(1, 6)))


def _paragraph(rng: Random) -> str:
    pieces: list[str] = []
    for _ in range(rng.randrange(1, 5)):
        choice = rng.randrange(10)
        if choice < 6:
            pieces.append(_sentence(rng, rng.randrange(3, 12)))
        elif choice < 8:
            pieces.append("".join(rng.choice(HANZI) for _ in range(rng.randrange(4, 40))) + "。")
        else:
            left, right = rng.choice((("$", "$"), ("\\(", "\\)"), ("$ ", " $")))
            pieces.append(left + _formula(rng) + right)
    return " ".join(pieces)


def _table(rng: Random) -> str:
    head = rng.randrange(3) == 0
    rows, columns = rng.randrange(1, 7), rng.randrange(1, 6)
    out = ["<table>"]
    for row in range(rows):
        tag = "th" if head and row == 0 else "td"
        cells, column = [], 0
        while column < columns:
            span = 2 if rng.randrange(8) == 0 and column + 2 <= columns else 1
            extra = ' colspan="2"' if span == 2 else ' rowspan="2"' if rng.randrange(15) == 0 else ""
            text = rng.choice((_word(rng), f"{rng.randrange(1000)}", "$" + _formula(rng) + "$", ""))
            cells.append(f"<{tag}{extra}>{text}</{tag}>")
            column += span
        line = "<tr>" + rng.choice(("", "\n", " ")).join(cells) + "</tr>"
        out.append(f"<thead>{line}</thead>" if head and row == 0 else line)
    return rng.choice(("", "\n")).join((*out, "</table>"))


def _latex_table(rng: Random) -> str:
    rows = (" & ".join(_word(rng) for _ in range(3)) + " \\\\" for _ in range(rng.randrange(1, 5)))
    return "\\begin{tabular}{lll}\n" + "\n".join(rows) + "\n\\end{tabular}"


def _displayed(rng: Random) -> str:
    if rng.randrange(6) == 0:
        rows = " \\\\ ".join(_formula(rng) for _ in range(rng.randrange(1, 4)))
        columns = rng.choice(("l", "c", "{l}", "ll", " r|"))
        return f"$$\n\\begin{{array}}{{{columns}}} {rows} \\end{{array}}\n$$"
    return "$$\n" + _formula(rng) + rng.choice(("", "\\tag{3}", "\\qquad (2)", ".")) + "\n$$"


def _block(rng: Random, identifier: int, category: str) -> dict[str, Any]:
    block: dict[str, Any] = {"category_type": category, "anno_id": identifier, "ignore": False}
    top = 100 * identifier
    block["poly"] = [100, top, 900, top, 900, top + 80, 100, top + 80]
    if category == "table":
        block["html"], block["latex"] = _table(rng), _latex_table(rng)
        block["attribute"] = {
            "line": rng.choice(("full_line", "less_line")),
            "with_span": bool(rng.randrange(2)),
        }
    elif category == "equation_isolated":
        block["latex"], block["attribute"] = _displayed(rng), {"formula_type": "print"}
    else:
        short = category not in ("text_block", "code_txt", "reference")
        block["text"] = _sentence(rng, rng.randrange(1, 5)) if short else _paragraph(rng)
        if rng.randrange(40) == 0:
            block["text"] = rng.choice(("***", "。。。", "", "- -"))  # nothing is left of it to compare
        block["attribute"] = {"text_language": rng.choice(("text_english", "text_en_ch_mixed"))}
    return block


def made_page(rng: Random, name: str) -> dict[str, Any]:
    """A page in the published format: text, formulas, tables, captions, headers, some paragraphs cut in two."""
    blocks: list[dict[str, Any]] = []
    body = ("text_block",) * 8 + ("title",) * 2 + ("equation_isolated",) * 3 + ("table",) * 2
    body = (*body, "figure_caption", "table_caption", "reference", "code_txt", "equation_caption", "figure")
    for identifier in range(rng.randrange(1, 13)):
        blocks.append(_block(rng, identifier, rng.choice(body)))
        blocks[-1]["order"] = identifier + 1
    for category in ("header", "footer", "page_number", "page_footnote", "abandon"):
        if rng.randrange(3) == 0:
            blocks.append({**_block(rng, len(blocks), category), "order": None})
    text = [block["anno_id"] for block in blocks if block["category_type"] == "text_block"]
    relations = []
    if len(text) > 2 and rng.randrange(4) == 0:
        at = rng.randrange(len(text) - 2)
        ends = [(text[at], text[at + 1])] + ([(text[at + 1], text[at + 2])] if rng.randrange(3) == 0 else [])
        relations = [
            {"source_anno_id": a, "target_anno_id": b, "relation_type": "truncated"} for a, b in ends
        ]
    if len(blocks) > 1 and rng.randrange(5) == 0:
        relations.append({"source_anno_id": 0, "target_anno_id": 1, "relation_type": "parent_son"})
    attribute = {
        "data_source": rng.choice(("book", "note", "newspaper", "academic_literature")),
        "language": rng.choice(("english", "simplified_chinese", "en_ch_mixed")),
        "layout": rng.choice(("single_column", "double_column", "other_layout")),
        "special_issue": rng.choice(([], ["watermark"], ["fuzzy_scan", "table_full_line"])),
    }
    info = {
        "page_no": 0,
        "height": 2000,
        "width": 1000,
        "image_path": f"{name}.jpg",
        "page_attribute": attribute,
    }
    return {"layout_dets": blocks, "extra": {"relation": relations}, "page_info": info}


def written(page: dict[str, Any]) -> list[str]:
    """The contents of a page in reading order, as a perfect parser would write them."""
    blocks = [block for block in page["layout_dets"] if block.get("order")]
    contents = (block.get("text") or block.get("html") or block.get("latex") or "" for block in blocks)
    return [content for content in contents if content]


def _noise(rng: Random, text: str) -> str:
    rate = rng.choice((0.02, 0.1, 0.4))
    letters = "abcdefghijklmnopqrstuvwxyz$\\|"
    return "".join(rng.choice(letters) if rng.random() < rate else letter for letter in text)


def _pipes(table: str, rng: Random) -> str:
    rows = [row.split("</td>")[:-1] for row in table.replace("th>", "td>").split("</tr>")[:-1]]
    lines = ["| " + " | ".join(cell.split(">")[-1].strip() for cell in row) + " |" for row in rows]
    lines[1:1] = ["|" + "---|" * len(rows[0])] if rows and rng.randrange(4) else []
    return "\n".join(lines)


def _retabled(rng: Random, block: str) -> str:
    if not block.startswith("<table"):
        return block
    choice = rng.randrange(11)
    ways: tuple[Callable[[], str], ...] = (
        lambda: _pipes(block, rng),
        lambda: _latex_table(rng),
        lambda: block.replace("</table>", ""),
        lambda: block.replace("</td>", "", 1).replace("<tr>", "", 1),
        lambda: block.replace("<td>", "<td><table><tr><td>in</td></tr></table>", 1),
        lambda: "<table>no table at all</table>",
        lambda: block.replace("<table>", '<table class="x" style="a:b"><colgroup><col></colgroup><tbody>'),
        lambda: block.replace("<td>", '<td colspan="many">', 1),
        lambda: block.replace("<td>", "<td><b>bold</b> <sup>2</sup>&lt; ", 2),
        lambda: block + block,
        lambda: "<html><body>" + block.replace("</tr>", "</tr><!-- note -->") + "</body></html>",
    )
    return ways[choice]()


def _reformed(rng: Random, block: str) -> str:
    if not block.startswith("$$"):
        return block
    inside = block.strip("$").strip()
    return rng.choice(
        ("\\[{}\\]", "${}$", "\\({}\\)", "$$ {}", "{}", "```latex\n{}\n```", "\\[\n{}\n\\]\n", "$$$$ {}")
    ).format(inside)


def _fuse(rng: Random, blocks: list[str]) -> list[str]:
    out: list[str] = []
    for block in blocks:
        if out and rng.randrange(3) == 0:
            out[-1] += rng.choice((" ", "\n", "")) + block
        else:
            out.append(block)
    return out


def _cut(rng: Random, blocks: list[str]) -> list[str]:
    out: list[str] = []
    for block in blocks:
        while len(block) > 20 and rng.randrange(2):
            at = rng.randrange(5, len(block) - 5)
            out.append(block[:at])
            block = block[at:]
        out.append(block)
    return out


def _shuffled(rng: Random, blocks: list[str]) -> list[str]:
    out = list(blocks)
    for at in range(len(out) - 1, 0, -1):
        other = rng.randrange(at + 1)
        out[at], out[other] = out[other], out[at]
    return out


def _soup(rng: Random, blocks: list[str]) -> list[str]:
    return ["".join(rng.choice((*BROKEN, _word(rng), " ", "1")) for _ in range(rng.randrange(1, 80)))]


def _sprinkled(rng: Random, blocks: list[str]) -> list[str]:
    out = []
    for block in blocks:
        at = rng.randrange(len(block) + 1)
        out.append(block[:at] + rng.choice(BROKEN) + block[at:] if rng.randrange(2) else block)
    return out


CHANGES: dict[str, Callable[[Random, list[str]], list[str]]] = {
    "noise": lambda rng, blocks: [_noise(rng, block) for block in blocks],
    "drop": lambda rng, blocks: [block for block in blocks if rng.randrange(4)],
    "twice": lambda rng, blocks: [block for block in blocks for _ in range(1 + (rng.randrange(4) == 0))],
    "shuffle": _shuffled,
    "columns": lambda rng, blocks: blocks[len(blocks) // 2 :] + blocks[: len(blocks) // 2],
    "merge": _fuse,
    "split": _cut,
    "tables": lambda rng, blocks: [_retabled(rng, block) for block in blocks],
    "formulas": lambda rng, blocks: [_reformed(rng, block) for block in blocks],
    "extra": lambda rng, blocks: [_paragraph(rng), *blocks, _table(rng), _displayed(rng)],
    "headings": lambda rng, blocks: ["# " + block if rng.randrange(3) == 0 else block for block in blocks],
    "marks": _sprinkled,
    "code": lambda rng, blocks: [*blocks, "```python\n" + _sentence(rng, 5) + "\n```  end"],
    "fence": lambda rng, blocks: ["```markdown", *blocks, "```"],
    "soup": _soup,
    "blank": lambda rng, blocks: [rng.choice(("", " ", "\n\n \n", "***", "$$", "\u200b"))],
    "image": lambda rng, blocks: ["![a picture](x.png)" + block for block in blocks],
    "many": lambda rng, blocks: [
        block for _ in range(rng.randrange(3, 12)) for block in _shuffled(rng, blocks)
    ][:150],
    "upper": lambda rng, blocks: [block.upper() for block in blocks],
}


def made_prediction(rng: Random, page: dict[str, Any]) -> tuple[str, str]:
    """A prediction for a page, and the changes that lie between it and the page's own content."""
    blocks, kinds = written(page), []
    for _ in range(rng.randrange(4)):
        kind = rng.choice(tuple(CHANGES))
        blocks = CHANGES[kind](rng, blocks)
        kinds.append(kind)
    gap = rng.choice(("\n\n", "\n\n", "\n\n", "\n", "\n\n\n", "\r\n\r\n"))
    return gap.join(blocks), "+".join(kinds) or "gold"


def made_cases(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """``count`` cases: ``page`` (published format), ``prediction`` (Markdown) and ``kind`` (what was changed)."""
    rng = Random(seed)
    for at in range(count):
        page = made_page(rng, f"page_{at}")
        prediction, kind = made_prediction(rng, page)
        yield {"page": page, "prediction": prediction, "kind": kind}
