"""Blocks as lines to be matched: raw and normalised content beside what the score needs to know of a block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sillok.methods.evals.omnidoc.markdown import Block
from sillok.methods.evals.omnidoc.normalise import normalise_formula, normalise_text

ARRAY = re.compile(r"\\begin\{array\}\{(?P<columns>[^}]*)\}(?P<body>.*?)\\end\{array\}", re.DOTALL)
DECORATION = (re.compile(r"\s+|\|"), re.compile(r"@{[^}]*}"), re.compile(r"!{[^}]*}"))


@dataclass(frozen=True, slots=True)
class Gold:
    """One annotated block of a page.

    ``category`` is the published class, ``content`` its text, LaTeX or HTML (``latex`` beside it for a table),
    ``order`` its place in reading order, None where it has none (headers, page numbers).
    """

    category: str
    content: str
    order: float | None = None
    attribute: dict[str, Any] = field(default_factory=dict)
    latex: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One side of a match. ``order`` belongs to gold lines, ``span`` and ``item_category`` to predicted ones."""

    raw: str
    norm: str
    category: str
    order: float | None = None
    attribute: dict[str, Any] = field(default_factory=dict)
    span: tuple[int, int] = (0, 0)
    item_category: str = ""

    @property
    def position(self) -> int:
        return self.span[0]


def _rows(latex: str) -> tuple[list[str], int] | None:
    """The rows of an array of a single column and where its body begins, None if the formula holds no such array."""
    if "\\begin{array" not in latex or (found := ARRAY.search(latex)) is None:
        return None
    columns = found.group("columns")
    for mark in DECORATION:
        columns = mark.sub("", columns)
    if columns not in ("l", "c", "r"):
        return None
    return [row.strip() for row in found.group("body").split("\\\\") if row.strip()], found.start("body")


def single_formulas(gold: Sequence[Gold]) -> list[Gold]:
    """Gold blocks with arrays of one column split into their rows, whose orders are 7.1, 7.2 ... for 7."""
    out: list[Gold] = []
    for item in gold:
        rows = _rows(item.content) if item.category == "equation_isolated" else None
        if rows is None:
            out.append(item)
            continue
        order = float(item.order or 0)
        out += [
            replace(item, content=f"\\[{row}\\]", order=round(order + i / 10, 1))
            for i, row in enumerate(rows[0], 1)
        ]
    return out


def single_columns(blocks: Sequence[Block]) -> list[Block]:
    """Predicted blocks with arrays of one column split into their rows."""
    out: list[Block] = []
    for block in blocks:
        rows = _rows(block.content) if block.kind == "formula" else None
        if rows is None:
            out.append(block)
            continue
        lines, offset = rows
        body = block.content[offset:]
        at = 0
        for row in lines:
            found = body.find(row, at)
            start = at if found < 0 else found
            at = start + len(row)
            place = block.start + offset + start
            out.append(replace(block, content=f"\\[{row}\\]", start=place, end=place + len(row) - 1))
    return out


def _gold_norm(item: Gold, kind: str, version: str) -> tuple[str, str]:
    if kind == "html_table":
        return item.content, item.content
    if kind == "latex_table":
        return item.content, item.latex
    formula = kind == "formula" or (kind == "mixed" and item.category == "equation_isolated")
    norm = normalise_formula(item.content, version) if formula else normalise_text(item.content)
    return item.content, norm


def gold_lines(gold: Sequence[Gold], kind: str, version: str, strict: bool) -> list[Line]:
    """Gold blocks as lines, those left out whose compared form is empty.

    As published, a line after one that was left out has the order and attributes of an earlier block; not so if
    ``strict``.
    """
    rules = (
        "1.5" if strict else version
    )  # in 1.0 gold formulas keep their delimiters, which predicted ones lose
    written = [(item, *_gold_norm(item, kind, rules)) for item in gold]
    kept = [(item, raw, norm) for item, raw, norm in written if raw and norm]
    owners = [item for item, _, _ in kept] if strict else list(gold)
    return [
        Line(raw, norm, item.category, owner.order or None, owner.attribute)
        for (item, raw, norm), owner in zip(kept, owners, strict=False)
    ]


def predicted_lines(blocks: Sequence[Block], kind: str, version: str, strict: bool) -> list[Line]:
    """Predicted blocks as lines; what :func:`gold_lines` says of ``strict`` holds for places and categories here."""
    kept: list[tuple[Block, str]] = []
    for block in blocks:
        if kind in ("html_table", "latex_table"):
            norm = block.content
        elif kind == "formula" or (kind == "mixed" and block.kind == "formula"):
            norm = normalise_formula(block.content, "1.5" if strict else version)
        else:
            norm = normalise_text(block.content)
        if block.content and norm:
            kept.append((block, norm))
    owners = [block for block, _ in kept] if strict else list(blocks)
    return [
        Line(block.content, norm, block.category, span=(owner.start, owner.end), item_category=owner.category)
        for (block, norm), owner in zip(kept, owners, strict=False)
    ]
