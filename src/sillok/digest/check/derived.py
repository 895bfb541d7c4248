"""Figures that a paper does not print but that follow from two which it does: differences, ratios, changes in %."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.grids import cells_of
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.tables import differs
from sillok.digest.check.terms import COMMON
from sillok.digest.check.turns import is_difference, pair_sign

#: Figures of one sentence of a paper that are tried in pairs at most.
_MOST = 14


_DIFFERS = re.compile(
    r"\b(?:gaps?|leads?|margins?|differences?|gains?|los(?:s|es|ing)|drops?|advantages?|improv\w+|sav(?:es?|ings?)|adds?"
    r"|extra|costs?|more|less|fewer|faster|slower|higher|lower|ahead|behind|above|below)\b"
    r"|격차|차이|폭|이득|손실|하락|향상|개선|상승|감소|증가|늘|줄|오르|올[라랐]|내리|떨어|앞서|뒤|더|덜|추가|빠르|느리"
)


def follows(claim: Statement, index: int, paper: Paper, *, printed: bool = False) -> bool:
    """Tell whether a figure is the difference, the ratio or the relative change of two figures that belong together.

    They are two that the sentence itself compares; or two of a table's column or row, or of a sentence of the
    paper, both of which the sentence names. `printed` says that the paper has the figure, with something else: then
    only a table's column will do.
    """
    figure = claim.figures[index]
    if figure.digits < 2 and not figure.decimals and figure.unit not in ("x", "point", "pp"):
        return False
    if not (is_difference(claim, index) or figure.unit in ("point", "pp") or _DIFFERS.search(claim.text)):
        return False
    rest = [f for n, f in enumerate(claim.figures) if n != index and not f.word]
    for number, (one, two) in enumerate(itertools.pairwise(claim.figures)):
        sign = pair_sign(claim, number, claim.text[one.end : two.start])
        told = sign == 1 or (sign and figure.unit != "%")  # a relative change only of "from A to B"
        if told and figure not in (one, two) and differs(figure, one, two):
            return True
    found: _Pairs = _rows(claim, paper)
    if not printed:
        found = itertools.chain(found, _columns(claim, paper), _prose(claim, paper))
    return any(
        _fits(figure, one, two) and (told == 2 or (told == 1 and (_among(one, rest) or _among(two, rest))))
        for one, two, told in found
    )


def _fits(figure: Figure, one: Figure, two: Figure) -> bool:
    scores = figure.unit in ("point", "pp") and {one.unit, two.unit} <= {"%", "?", "", "point", "pp"}
    if (
        figure.unit not in ("x", "%")
        and not scores
        and not (comparable(figure, one) and comparable(figure, two))
    ):
        return False
    return (one.unit == two.unit or "?" in (one.unit, two.unit)) and differs(figure, one, two)


def _among(figure: Figure, rest: list[Figure]) -> bool:
    return any(comparable(other, figure) and matches(other, figure) for other in rest)


#: Two figures and how far the sentence names them: 2 both, 1 one of them.
_Pairs = Iterator[tuple[Figure, Figure, int]]


def _rows(claim: Statement, paper: Paper) -> _Pairs:
    """Pairs of cells of one column; told where the sentence names both rows and, if it names any, the column."""
    said = claim.keys - COMMON
    for (number, label, cells), (number_, label_, cells_) in itertools.combinations(paper.rows, 2):
        if number != number_:
            continue
        mine, theirs = (label - label_, label_ - label) if label != label_ else (label, label_)
        named = [
            bool(keys & said) or bool(keys & paper.own) or whole in paper.bases
            for keys, whole in ((mine, label), (theirs, label_))
        ]
        if not any(named):
            continue
        columns = {key for head, _ in cells for key in head} & said
        for (head, one), (head_, two) in itertools.product(cells, cells_):
            if head == head_:
                yield one, two, 2 if all(named) else int(bool(head & said) or not columns)


def _columns(claim: Statement, paper: Paper) -> _Pairs:
    """Pairs of cells of one row; told where the sentence names both columns and the row is named or the paper's own."""
    said = claim.keys - COMMON
    given = {
        (axis, number): {id(cell) for cell in cells_of(paper, axis, number, claim.figures)}
        for number in {number for number, _, _ in paper.rows}
        for axis in ("row", "column")
    }
    for number, label, cells in paper.rows:
        here = any(id(figure) in given["row", number] for _, figure in cells)
        if not (label & said or label & paper.own or here):
            continue
        for (head, one), (head_, two) in itertools.combinations(cells, 2):
            mine, theirs = (head - head_) & said, (head_ - head) & said
            either = (label & said or here) and ((mine or theirs) or (head | head_) & paper.own)
            by_setting = id(one) in given["column", number] and id(two) in given["column", number]
            yield one, two, 2 if (mine and theirs) or either or by_setting else 0


def _prose(claim: Statement, paper: Paper) -> _Pairs:
    """Pairs of figures of one sentence of the paper; told where they share two terms or a name."""
    said = claim.keys - COMMON
    for one in paper.statements:
        if one.cell or not 2 <= len(one.figures) <= _MOST:
            continue
        common = one.keys & said
        told = 2 if any(not key.startswith("~") for key in common) else int(bool(common))
        for first, second in itertools.combinations(one.figures, 2):
            if not (first.word or second.word):
                yield first, second, told
