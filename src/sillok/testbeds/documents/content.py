"""What stands on a page: prose of the standard library, tables, formulas with known LaTeX, in one column or two."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

WIDTH, HEIGHT = 1240, 1754  # A4 at 150 dots an inch

VARIABLES = ("x", "y", "z", "t", "n", "k", r"\alpha", r"\beta", r"\lambda", r"\sigma")
FORMULAS = (
    r"{a} = \frac{{{b}}}{{{c} + {d}}}",
    r"\sum_{{i=1}}^{{{b}}} {a}_{{i}} = {c} ({d} + 1)",
    r"{a}^{{2}} + {b}^{{2}} = {c}^{{2}}",
    r"\int_{{0}}^{{{b}}} {a} \, d{c} = \sqrt{{{d}}}",
    r"{a} = {b} e^{{-{c}}} + \frac{{1}}{{{d}}}",
    r"\frac{{\partial {a}}}{{\partial {b}}} = {c} - {d}",
)


@lru_cache(maxsize=1)
def _prose() -> tuple[str, ...]:
    from sillok.testbeds.texts import prose

    lines = {line for document in prose("val") for line in document.decode().splitlines()}
    return tuple(sorted(line for line in lines if line.isascii() and 40 <= len(line) <= 400))


def _words(rng: Random, count: int) -> str:
    line = rng.choice(_prose()).split()
    start = rng.randrange(max(1, len(line) - count))
    return " ".join(word.strip(".,:;()'\"`") for word in line[start : start + count])


def _formula(rng: Random) -> str:
    names = dict(zip("abcd", rng.sample(VARIABLES, 4), strict=True))
    return rng.choice(FORMULAS).format(**names)


def _cell(rng: Random) -> str:
    return rng.choice(
        (f"{rng.randrange(1000)}", f"{rng.random():.2f}", _words(rng, 1) or "none", _words(rng, 2) or "none")
    )


def _table(rng: Random) -> tuple[str, bool]:
    """A table as HTML, and whether cells of its head are joined."""
    columns, rows = rng.randrange(3, 5), rng.randrange(3, 6)
    joined = rng.randrange(3) == 0
    head = "".join(f"<td>{_words(rng, 1) or 'name'}</td>" for _ in range(columns - 2 * joined))
    head += f'<td colspan="2">{_words(rng, 2) or "both"}</td>' if joined else ""
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(rng)}</td>" for _ in range(columns)) + "</tr>" for _ in range(rows)
    )
    return f"<table><tr>{head}</tr>{body}</table>", joined


def _block(rng: Random, category: str) -> dict[str, Any]:
    if category == "table":
        html, joined = _table(rng)
        attribute = {
            "language": "table_en",
            "with_span": joined,
            "line": "full_line",
            "include_equation": False,
        }
        return {"html": html, "latex": "", "attribute": attribute}
    if category == "equation_isolated":
        return {"latex": f"$$\n{_formula(rng)}\n$$", "attribute": {"formula_type": "print"}}
    text = (
        rng.choice(_prose()) if category == "text_block" else _words(rng, rng.randrange(2, 6)) or "Untitled"
    )
    attribute = {"text_language": "text_english", "text_background": "white", "text_rotate": "normal"}
    return {"text": text, "attribute": attribute}


def _page(rng: Random, name: str) -> dict[str, Any]:
    columns = rng.randrange(1, 3)
    body = ["title", "text_block", "text_block", "text_block", "equation_isolated", "table_caption", "table"]
    if columns == 2:
        body += ["text_block", "title", "text_block", "text_block", "equation_isolated", "text_block"]
    blocks = [{"category_type": kind, **_block(rng, kind), "order": at} for at, kind in enumerate(body, 1)]
    taken: set[str] = set()
    for block in blocks:  # no paragraph stands twice, so that there is one right match
        while block.get("text") in taken and block["category_type"] == "text_block":
            block["text"] = rng.choice(_prose())
        taken.add(block.get("text", ""))
    blocks.append({"category_type": "header", **_block(rng, "header"), "order": None})
    blocks.append({"category_type": "page_number", **_block(rng, "page_number"), "order": None})
    blocks[-1]["text"] = str(rng.randrange(1, 400))
    for identifier, block in enumerate(blocks):
        block |= {"anno_id": identifier, "ignore": False, "poly": []}
    attribute = {
        "data_source": "book",
        "language": "english",
        "layout": "double_column" if columns == 2 else "single_column",
        "watermark": False,
        "fuzzy_scan": False,
        "colorful_backgroud": False,  # spelt as published
    }
    info = {
        "page_no": 0,
        "width": WIDTH,
        "height": HEIGHT,
        "image_path": f"{name}.png",
        "page_attribute": attribute,
    }
    return {"layout_dets": blocks, "extra": {"relation": []}, "page_info": info}


def page_truth(n: int, seed: int) -> list[dict[str, Any]]:
    """``n`` pages in OmniDocBench's format, without the places of their blocks (``poly`` is empty until drawn).

    The text is that of this Python's standard library, so that pages of a seed differ a little between versions.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    return [_page(Random(f"{seed}/{at}"), f"page_{seed}_{at}") for at in range(n)]


def page_written(page: dict[str, Any]) -> list[str]:
    """The contents of a page's blocks in reading order, as a perfect parser would write them."""
    blocks = sorted(
        (block for block in page["layout_dets"] if block["order"]), key=lambda block: block["order"]
    )
    return [block.get("text") or block.get("html") or block["latex"] for block in blocks]
