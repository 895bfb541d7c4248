"""Comparisons and superlatives against a paper's tables, with or without figures: who is above whom, who is first.

A table is read both ways: what is compared may stand in rows or in columns. Where a sentence names the measure, or has
a figure from a line, only that line counts; else all do, and must tell the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from sillok.digest.check.compared import RESOURCE_UNITS, governing
from sillok.digest.check.comparisons import Direction
from sillok.digest.check.figures import Figure
from sillok.digest.check.grids import Grid, Line
from sillok.digest.check.grids import grids as grids_of
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.superlatives import Superlative, superlatives
from sillok.digest.check.turns import RESOURCES, is_difference

#: Characters within which a word of comparison goes with the name that it compares with.
_REACH = 70
#: Measures of which "better" does not speak where they are not named.
_AMOUNTS = frozenset(RESOURCES) | {"token", "parameter", "count", "step"}
_CUT = re.compile(
    r"[,;:](?![0-9])|\b(?:and|but|while|whereas|although|though)\b|(?<=지만)\s|(?<=[가-힣][고며])\s|(?<=으나)\s"
)


class _Told(NamedTuple):
    """Whether the tables agree with a word of the sentence, and the kind of doubt where they do not."""

    agrees: bool
    kind: str
    word: str


def check_ranks(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Doubt comparisons and superlatives that the tables contradict, and signal those which they bear out."""
    grids = list(grids_of(paper).values())
    said = paper.known_as(claim.keys)
    told = [*_compared(claim, found, said, grids, paper), *_extremes(claim, found, said, grids, paper)]
    for one in told:
        if not one.agrees:
            result.doubt(one.kind, "contradicted", f"{one.word}: the paper's table says the opposite")
    if told and all(one.agrees for one in told):
        result.signals["ranks-agree"] = 1.0


def _compared(
    claim: Statement, found: list[list[Match]], said: set[str], grids: list[Grid], paper: Paper
) -> Iterator[_Told]:
    for term in {t.key: t for t in claim.terms if t.key in claim.objects}.values():
        turn = governing(claim, term, _REACH)
        if turn is None:
            continue
        keys = paper.known_as((term.key,))
        signs: list[bool] = []
        both = False
        for grid in grids:
            theirs = _lines_of(grid, keys, said)
            if not theirs:
                continue
            mine = _subjects(claim, grid, said, theirs, paper)
            apart = _apart(claim, grid, mine, theirs)
            for line in apart or _measures(claim, found, grid, said):
                signs += _signs(grid.lines[line], mine, theirs, turn)
                both = both or (
                    _holds(claim, grid.lines[line], mine) and _holds(claim, grid.lines[line], theirs)
                )
        if signs and not 0.2 < sum(signs) / len(signs) < 0.8:
            kind = "rank-both" if both else "rank-compared"
            yield _Told(signs.count(True) > signs.count(False), kind, claim.text[turn.start : turn.end])


def _holds(claim: Statement, line: Line, side: set[int]) -> bool:
    """Tell whether a sentence has the value of a side as it is printed."""
    values = {line.values[entity] for entity in side if entity in line.values}
    return any(f.digits > 1 and (f.value in values or f.printed in values) for f in claim.figures)


def _lines_of(grid: Grid, keys: set[str], said: set[str]) -> set[int]:
    """The lines that a name stands for: those that have it, and of several those that the sentence tells best."""
    having = {line: tell for line, tell in grid.entities.items() if tell & keys}
    if not having:
        return set()
    shares = {line: len(tell & (said | keys)) / len(tell) for line, tell in having.items()}
    best = max(shares.values())
    return {line for line, share in shares.items() if share == best}


def _subjects(claim: Statement, grid: Grid, said: set[str], theirs: set[int], paper: Paper) -> set[int]:
    """The lines of what a sentence speaks of: the paper's own where it names nothing that a table has."""
    names = [
        t.key
        for t in claim.terms
        if t.key not in claim.objects and (t.kind == "name" or t.key in claim.subjects)
    ]
    first = [key for key in names if key in claim.subjects] or names
    for group in (first, names):
        lines: set[int] = set()
        for key in group:
            lines |= _lines_of(grid, paper.known_as((key,)), said)
        lines -= theirs
        if lines:
            return lines
    if any(key in paper.placed and not key.startswith("~") for key in first if key not in paper.data):
        return set()
    return set(grid.own) - theirs


def _apart(claim: Statement, grid: Grid, mine: set[int], theirs: set[int]) -> list[int]:
    """The lines in which the two sides are apart by a figure that is said to be a difference or a ratio."""
    gaps = [
        f for n, f in enumerate(claim.figures) if (f.digits > 1 or f.decimals) and is_difference(claim, n)
    ]
    found = []
    for number, line in grid.lines.items():
        sides = [[line.values[entity] for entity in side if entity in line.values] for side in (mine, theirs)]
        if any(_is_gap(figure, *pair) for figure in gaps for pair in itertools.product(*sides)):
            found.append(number)
    return found


def _is_gap(figure: Figure, one: float, two: float) -> bool:
    low, high = sorted((abs(one), abs(two)))
    if not low or low == high:
        return False
    half = 0.51 * figure.step
    if figure.unit == "x":
        return abs(high / low - figure.value) <= half
    if figure.unit == "%":
        return any(abs(100 * (high - low) / base - figure.value) <= half for base in (low, high))
    return any(
        abs(scale * (high - low) - figure.value) <= half for scale in ((1.0, 100.0) if high <= 1 else (1.0,))
    )


def _measures(claim: Statement, found: list[list[Match]], grid: Grid, said: set[str]) -> list[int]:
    """The lines of measures that a sentence speaks of: those of its figures, else those that it names, else all."""
    axis = "column" if grid.axis == "row" else "row"
    telling = [n for n, f in enumerate(claim.figures) if (f.digits > 1 or f.decimals) and not f.word]
    held = {
        m.statement.line(axis)
        for n in telling
        for m in found[n]
        if m.statement.cell and m.statement.passage == grid.number
    }
    if telling and not held:
        return []  # its figures are of something else
    named = {line for line, tell in grid.measures.items() if _named(tell, said)}
    for chosen in (held & named, held, named) if telling else (named,):
        lines = [line for line in chosen if line in grid.lines]
        if lines:
            most = max(len(grid.measures.get(line, frozenset()) & said) for line in lines)
            return [line for line in lines if len(grid.measures.get(line, frozenset()) & said) == most]
    return [] if telling else [n for n in grid.lines if not grid.measures.get(n, frozenset()) & _AMOUNTS]


def _named(tell: frozenset[str], said: set[str]) -> bool:
    """Tell whether a sentence names a line: by a key of it, or by a name that has it as a part ("FLORES-Isle")."""
    parts = [key for key in tell if len(key) >= 4 and key.isalnum()]
    return bool(tell & said) or any(part in key for part in parts for key in said if not key.startswith("~"))


def _signs(line: Line, mine: set[int], theirs: set[int], turn: Direction) -> list[bool]:
    size = turn.size or turn.good * line.polarity
    if turn.pace:
        size = turn.pace * line.pace
    if not size:
        return []
    return [
        (line.values[a] > line.values[b]) == (size > 0)
        for a in mine
        for b in theirs
        if a in line.values and b in line.values and line.values[a] != line.values[b]
    ]


def _extremes(
    claim: Statement, found: list[list[Match]], said: set[str], grids: list[Grid], paper: Paper
) -> Iterator[_Told]:
    for one in superlatives(claim.text):
        if any(t.start < one.end and one.start < t.end and t.key in paper.heads for t in claim.terms):
            continue  # "worst ratio" is a column of its own
        verdicts = []
        for grid in grids:
            verdicts += _extreme(claim, one, found, grid, said, paper)
        if verdicts and (all(verdicts) or not any(verdicts)):
            yield _Told(verdicts[0], "rank-extreme", claim.text[one.start : one.end])


def _extreme(
    claim: Statement,
    word: Superlative,
    found: list[list[Match]],
    grid: Grid,
    said: set[str],
    paper: Paper,
) -> list[bool]:
    """Tell for each measure, where it can be told, whether what the superlative speaks of is that end of it."""
    axis = "column" if grid.axis == "row" else "row"
    verdicts = []
    figure = _figure_near(claim, word)
    if figure is not None and is_difference(claim, figure):
        return []
    cells = (
        []
        if figure is None
        else [
            m.statement
            for m in found[figure]
            if m.statement.cell and m.statement.passage == grid.number and not m.conflicts
        ]
    )
    if cells:
        pairs = {(one.line(grid.axis), one.line(axis)) for one in cells}
        pairs = {
            (entity, line)
            for entity, line in pairs
            if line in grid.lines and (entity in grid.own or grid.entities.get(entity, frozenset()) & said)
        }
    else:
        start, end = _clause(claim, word)
        named = [
            t
            for t in claim.terms
            if (t.kind == "name" or t.key in claim.subjects) and start <= t.start and t.end <= end
        ]
        lines: set[int] = set()
        for term in sorted(named, key=lambda t: max(t.start - word.end, word.start - t.end)):
            lines = _lines_of(grid, paper.known_as((term.key,)), said)
            if lines:
                break
        chosen = [line for line, tell in grid.measures.items() if _named(tell, said) and line in grid.lines]
        if not chosen and word.good:
            chosen = [n for n in grid.lines if not grid.measures.get(n, frozenset()) & _AMOUNTS]
        pairs = {(entity, line) for entity in lines for line in chosen}
    for entity, number in pairs:
        line = grid.lines[number]
        scarce = figure is not None and claim.figures[figure].unit in RESOURCE_UNITS
        sign = word.size or word.good * (-1 if scarce else line.polarity)
        if not sign or entity not in line.values or len(set(line.values.values())) < 3:
            continue
        value, rest = sign * line.values[entity], sorted(sign * v for v in line.values.values())
        above = sum(other > value for other in rest)
        if above == word.place - 1:
            verdicts.append(True)
        elif value < rest[len(rest) // 2] or (above == 0 and word.place == 2):
            verdicts.append(False)  # of a subset it may be the first, and is then hardly in the lower half
    return verdicts


def _clause(claim: Statement, word: Superlative) -> tuple[int, int]:
    """The stretch around a superlative up to the next comma or connective."""
    cuts = [m.end() for m in _CUT.finditer(claim.text)]
    start = max((cut for cut in cuts if cut <= word.start), default=0)
    return start, min((cut for cut in cuts if cut > word.end), default=len(claim.text))


def _figure_near(claim: Statement, word: Superlative) -> int | None:
    near = [
        (max(f.start - word.end, word.start - f.end), n)
        for n, f in enumerate(claim.figures)
        if (f.digits > 1 or f.decimals or f.unit) and not f.word
    ]
    gap, index = min(near, default=(_REACH + 1, 0))
    return index if gap <= _REACH else None
