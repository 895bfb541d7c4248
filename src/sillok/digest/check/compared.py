"""Comparisons checked by the values that the paper has for both sides, and superlatives by their column or passage."""

from __future__ import annotations

from sillok.digest.check.comparisons import Direction
from sillok.digest.check.figures import Figure
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement, is_count
from sillok.digest.check.superlatives import Superlative, superlatives
from sillok.digest.check.terms import Term
from sillok.digest.check.turns import is_difference, known_sign, size_of

#: Of what is measured in them, less is better.
RESOURCE_UNITS = frozenset(("s", "byte", "$", "J"))
#: Characters within which a word of comparison goes with the name that it compares with.
_REACH = 60


def check_compared(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Compare "more than X" and "better than X" with the values that the paper has for both sides."""
    for term in claim.terms:
        if term.key not in claim.objects or term.key in paper.own:
            continue
        turn = governing(claim, term)
        if turn is None:
            continue
        signs = []
        for index, matches in enumerate(found):
            figure = claim.figures[index]
            if figure.word or figure.digits < 2 or is_count(figure) or is_difference(claim, index):
                continue
            for match in matches:
                for theirs in _values_of(term.key, match, paper):
                    size = _size(turn, figure.unit, match, paper)
                    if theirs.value != match.figure.value and size:
                        signs.append((match.figure.value > theirs.value) == (size > 0))
        if signs and 4 * sum(signs) <= len(signs):
            word = claim.text[turn.start : turn.end]
            name = claim.text[term.start : term.end]
            result.doubt("compared", "contradicted", f"{word}: the paper's values of {name} say the opposite")


def governing(claim: Statement, term: Term, reach: int = _REACH) -> Direction | None:
    """The word of comparison whose object a name is: in Korean the next one after it, in English the last before it."""
    if claim.korean:
        near = next((d for d in claim.directions if d.start >= term.end), None)
    else:
        near = next((d for d in reversed(claim.directions) if d.start < term.start), None)
    if near is None or max(near.start - term.end, term.start - near.end) > reach:
        return None
    return near


def _size(turn: Direction, unit: str, match: Match, paper: Paper) -> int:
    """Whether a word of comparison means more (+1) or less (-1) of what is measured; 0 where that is unknown."""
    if turn.size:
        return turn.size
    leaning = paper.leaning(match.statement) if match.statement.cell else 0
    if turn.pace and unit not in ("s", "fps"):
        return turn.good * leaning
    return size_of(turn, unit, match.statement.bound[match.index], paper) or turn.good * leaning


def _values_of(name: str, match: Match, paper: Paper) -> list[Figure]:
    """What the paper has for a name in the column of a cell; nothing where the cell is the name's own."""
    one = match.statement
    if name in one.bound[match.index] or (match.conflicts and match.metric):
        return []
    if not one.cell:
        figures = zip(one.figures, one.bound, strict=True)
        return [f for f, bound in figures if name in bound and f.unit == match.figure.unit and not f.word]
    column = one.line("column")
    lines = paper.lines["row", one.passage]
    rows = {line for line, label in lines.items() if name in label}
    if column < 1 or len(rows) != 1:
        return []
    return [
        other.figures[0]
        for other in paper.cells[one.passage, column]
        if other.line("row") in rows and other.figures[0].unit == match.figure.unit
    ]


def check_extremes(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Doubt "the highest" of what is the lowest of its column, row or passage, and the other way round."""
    for word in superlatives(claim.text):
        index = _nearest(claim, word)
        if word.place > 1 or index is None or not found[index]:
            continue
        sign = word.size or word.good
        ranks = [
            rank
            for match in found[index]
            for rank in _ranks(claim.figures[index], match, paper, word.good != 0)
        ]
        if ranks and sign not in ranks and -sign in ranks:
            told = f"{claim.text[word.start : word.end]}: among the paper's values it is the other end"
            result.doubt("extreme", "contradicted", told)


def _nearest(claim: Statement, word: Superlative) -> int | None:
    """The figure that a superlative goes with: the nearest one within reach."""
    near = [
        (max(f.start - word.end, word.start - f.end), n)
        for n, f in enumerate(claim.figures)
        if (f.digits > 1 or f.unit) and not f.word and not is_count(f)
    ]
    gap, index = min(near, default=(_REACH + 1, 0))
    return index if gap <= _REACH else None


def _ranks(claimed: Figure, match: Match, paper: Paper, good: bool) -> list[int]:
    """+1 where a figure is the highest of a group of three or more, -1 where the lowest, 0 between; or by goodness."""
    one, figure = match.statement, match.figure
    sign = 1
    if good and claimed.unit in RESOURCE_UNITS:
        sign = -1
    elif good:
        sign = (paper.leaning(one) if one.cell else 0) or known_sign(
            one.bound[match.index], claimed.unit, paper
        )
        sign = sign or (-1 if figure.unit in RESOURCE_UNITS else 0)
    ranks = []
    for place in one.places:
        if place[1] == "section":
            continue
        group = [f.value for f in paper.beside[place] if f.unit in (figure.unit, "?") and not f.word]
        if len(set(group)) > 2 and sign:
            ranks.append(sign * ((figure.value >= max(group)) - (figure.value <= min(group))))
    return ranks
