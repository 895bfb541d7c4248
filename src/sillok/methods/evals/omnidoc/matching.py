"""Which blocks of a prediction belong to which blocks of the gold page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sillok.methods.evals.omnidoc.lines import (
    Gold,
    Line,
    gold_lines,
    predicted_lines,
    single_columns,
    single_formulas,
)
from sillok.methods.evals.omnidoc.markdown import Block
from sillok.methods.evals.omnidoc.quick import costs, quick_pairs

Method = Literal["quick_match", "simple_match", "no_split"]
METHODS: tuple[Method, ...] = ("quick_match", "simple_match", "no_split")
IGNORED = frozenset(
    (
        *("figure_caption", "figure_footnote", "table_caption", "table_footnote", "code_algorithm"),
        *("code_algorithm_caption", "header", "footer", "page_footnote", "page_number", "equation_caption"),
    )
)


@dataclass(slots=True)
class Match:
    """Gold blocks and the predicted blocks set against them; either side may be empty, and then is "".

    ``gold`` and ``predicted`` are contents as written, ``norm_gold`` and ``norm_predicted`` as compared.
    ``orders`` are the gold blocks' places in the reading order (None where the page gives none), ``position`` is
    where the first predicted block begins (None without one).
    """

    gold_index: list[int]
    predicted_index: list[int]
    gold: str
    predicted: str
    norm_gold: str
    norm_predicted: str
    category: str = ""
    predicted_category: str = ""
    orders: list[float | None] = field(default_factory=list)
    position: int | None = None
    attributes: list[dict[str, Any]] = field(default_factory=list)

    def lengths(self) -> tuple[int, int]:
        """Edit distance and the longer length, of the compared forms, or of the written ones where those are empty."""
        from rapidfuzz.distance import Levenshtein

        gold, predicted = self.norm_gold or self.gold, self.norm_predicted or self.predicted
        return int(Levenshtein.distance(gold, predicted)), max(len(gold), len(predicted))


def _unmatched(index: int, line: Line) -> Match:
    return Match(
        [index], [], line.raw, "", line.norm, "", line.category, "", [line.order], None, [line.attribute]
    )


def _extra(lines: Sequence[Line], chosen: Sequence[int]) -> Match:
    first = lines[chosen[0]]
    raw, norm = "".join(lines[i].raw for i in chosen), "".join(lines[i].norm for i in chosen)
    return Match([], list(chosen), "", raw, "", norm, "", first.item_category, [], first.position, [{}])


def _stacked(lines: list[Line]) -> str:
    """Several formulas as one array, as the benchmark hands them to CDM."""
    rows = " \\\\ ".join("{" + line.raw.strip("$").strip("\n") + "}" for line in lines)
    return "\\begin{array}{l} " + rows + " \\end{array}"


def _paired(
    gold: list[Line], predicted: list[Line], gold_at: list[int], predicted_at: list[int], stack: bool
) -> Match:
    golds, found = [gold[i] for i in gold_at], [predicted[i] for i in predicted_at]
    counted = [line.category for line in golds if line.category not in IGNORED] or [
        line.category for line in golds
    ]
    category = max(counted, key=counted.count)  # the first of the most frequent
    kind = found[0].item_category if found else ""
    raw_gold = "".join(line.raw for line in golds)
    raw_predicted = "".join(line.raw for line in found)
    if stack and category == "equation_isolated" and len(golds) > 1:
        raw_gold = _stacked(golds)
    if stack and "equation" in kind and len(found) > 1:
        raw_predicted = _stacked(found)
    return Match(
        list(gold_at),
        list(predicted_at),
        raw_gold,
        raw_predicted,
        "".join(line.norm for line in golds),
        "".join(line.norm for line in found),
        category,
        kind,
        [line.order for line in golds],
        found[0].position if found else None,
        [line.attribute for line in golds],
    )


def _simple(gold: list[Line], predicted: list[Line], strict: bool) -> list[Match]:
    """One gold block to one predicted block by the least total distance; what is left over is one match."""
    if not gold:
        return [_extra(predicted, range(len(predicted)))] if predicted else []
    if not predicted:
        return [_unmatched(i, line) for i, line in enumerate(gold)]
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(
        costs([line.norm for line in gold], [line.norm for line in predicted])
    )
    partner = {int(row): int(column) for row, column in zip(rows, columns, strict=True)}
    matches = []
    for i, line in enumerate(gold):
        j = partner.get(i)
        if j is None:
            matches.append(_unmatched(i, line))
            continue
        match = _paired(gold, predicted, [i], [j], stack=False)
        match.category = line.category
        if j == 0 and not strict:  # as published, where block 0 is taken for none
            match.predicted_category, match.position = "", None
        matches.append(match)
    left = sorted(set(range(len(predicted))) - set(partner.values()))
    return [*matches, _extra(predicted, left)] if left else matches


def _no_split(gold: list[Line], predicted: list[Line]) -> list[Match]:
    """The whole page in one match, both sides in their order."""
    golds = sorted((line for line in gold if line.order), key=lambda line: line.order or 0)
    found = sorted(predicted, key=lambda line: line.span)
    norm, norm_predicted = "\n\n".join(x.norm for x in golds), "\n\n".join(x.norm for x in found)
    if not norm and not norm_predicted:
        return []
    raw, raw_predicted = "\n\n".join(x.raw for x in golds), "\n\n".join(x.raw for x in found)
    return [
        Match([0], [0], raw, raw_predicted, norm, norm_predicted, "text_merge", "text_merge", [], None, [{}])
    ]


def _quick(gold: list[Line], predicted: list[Line], version: str, strict: bool) -> list[Match]:
    if not gold:
        return [_extra(predicted, [j]) for j in range(len(predicted))]
    if not predicted:
        return [_unmatched(i, line) for i, line in enumerate(gold)]
    if len(gold) == len(predicted) == 1:
        return [_paired(gold, predicted, [0], [0], stack=False)]
    if version == "1.0":
        pairs = quick_pairs(
            [x.norm for x in gold], [x.norm for x in predicted], by_length=True, twice=not strict
        )
        return [_match_of(gold, predicted, *pair, stack=False) for pair in pairs]
    kept = [i for i, line in enumerate(gold) if line.category not in IGNORED]
    others = [line.norm for line in gold if line.category in IGNORED]
    near = (costs(others, [line.norm for line in predicted]) < 0.25).any(axis=0) if others else []
    rest = [j for j in range(len(predicted)) if not (len(near) and near[j])]
    pairs = quick_pairs([gold[i].norm for i in kept], [predicted[j].norm for j in rest])
    matches = []
    for gold_at, predicted_at in pairs:
        if strict and not gold_at:  # an inline formula stands in its paragraph already
            predicted_at = [j for j in predicted_at if predicted[rest[j]].item_category != "equation_inline"]
        if not gold_at and not predicted_at:
            continue
        match = _match_of(
            gold, predicted, [kept[i] for i in gold_at], [rest[j] for j in predicted_at], stack=True
        )
        if match.gold_index or match.predicted_category != "equation_inline":
            matches.append(match)
    return matches


def _match_of(
    gold: list[Line], predicted: list[Line], gold_at: list[int], predicted_at: list[int], stack: bool
) -> Match:
    return (
        _paired(gold, predicted, gold_at, predicted_at, stack) if gold_at else _extra(predicted, predicted_at)
    )


def match_blocks(
    gold: Sequence[Gold],
    predicted: Sequence[Block],
    method: Method = "quick_match",
    *,
    kind: Literal["mixed", "text", "formula", "html_table", "latex_table"] = "mixed",
    version: str = "1.5",
    strict: bool = False,
) -> list[Match]:
    """Gold blocks and predicted blocks in matches, every block of either side in one of them.

    Of the three values of ``method``, ``quick_match`` merges neighbouring predicted blocks where that comes nearer to
    a gold block, assigns by the least total normalised edit distance, gives up pairs above 0.7, looks for what is left
    inside other predicted blocks (nearer than 0.4), and pairs the remainder by distance. ``simple_match`` assigns one
    to one; ``no_split`` compares the page as a whole. In version 1.5 text and formulas are matched together
    (``kind="mixed"``), and predicted blocks within 0.25 of an ignored class (captions, headers, footers ...) are set
    aside with it, so that neither is in a match; in 1.0 (``version``) each kind is matched on its own. ``strict``
    mends what the published code gets wrong, as `OmniDocBench` tells.

    There is no time limit here: the published code falls back to ``simple_match`` after 30 seconds, which makes its
    scores depend on the machine.

    Raises ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"method: unknown method {method!r}, one of {', '.join(METHODS)}")
    blocks = list(predicted)
    items = list(gold)
    if method == "quick_match" and version == "1.5" and kind == "mixed":
        items = single_formulas(items)
        # Inline formulas come last, so that they do not stand between two parts of a paragraph.
        blocks = single_columns(
            sorted(blocks, key=lambda block: (block.fine == "equation_inline", block.start))
        )
    gold_side = gold_lines(items, kind, version, strict)
    predicted_side = predicted_lines(blocks, kind, version, strict)
    if method == "simple_match":
        return _simple(gold_side, predicted_side, strict)
    if method == "no_split":
        return _no_split(gold_side, predicted_side)
    return _quick(gold_side, predicted_side, version, strict)
