"""How well the paper explains a sentence's figures: by a cell whose row and column it names, or by prose."""

from __future__ import annotations

from sillok.digest.check.figures import Figure
from sillok.digest.check.grids import grids, set_by
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement


def check_explained(
    claim: Statement, found: list[list[Match]], derived: set[int], paper: Paper, result: Judgement
) -> None:
    """Signal how well the best reading of each figure agrees with what the sentence names, on average and at worst."""
    said = paper.known_as(claim.keys)
    values = []
    for index, matches in enumerate(found):
        figure = claim.figures[index]
        if (
            figure.word
            or not (figure.digits > 1 or figure.decimals or figure.unit)
            or (figure.printed <= 1 and not figure.decimals)
        ):
            continue
        if index in derived:
            values.append(0.8)
            continue
        rest = [f for n, f in enumerate(claim.figures) if n != index]
        values.append(max((_explained(m, said, rest, paper) for m in matches), default=0.0))
    if values:
        result.signals["explain-mean"] = 1 - sum(values) / len(values)
        result.signals["explain-worst"] = 1 - min(values)


def _explained(match: Match, said: set[str], rest: list[Figure], paper: Paper) -> float:
    one = match.statement
    if not one.cell:
        return max(0.0, min(1.0, 1.4 * match.score)) * (0.5 if match.conflicts else 1.0)
    row, column = one.line("row"), one.line("column")
    value = 0.5 * _axis("row", one.passage, row, said, rest, paper) if row >= 0 else 0.25
    return value + (0.5 * _axis("column", one.passage, column, said, rest, paper) if column > 0 else 0.25)


def _axis(axis: str, number: int, line: int, said: set[str], rest: list[Figure], paper: Paper) -> float:
    """1 where a sentence names this row or column, 0 where it names others of the table only, else in between."""
    told = grids(paper)[number, axis].entities
    mine = told.get(line, frozenset())
    if mine & said:
        return min(1.0, 0.5 + 0.5 * len(mine & said) / max(1, min(2, len(mine))))
    given = set_by(paper, axis, number, rest)
    if line in given:
        return 1.0
    own = axis == "row" and bool(paper.lines[axis, number].get(line, set()) & paper.own)
    named = bool(given) or any(keys & said for other, keys in told.items() if other != line)
    if own:
        return 0.5 if named else 0.8
    return 0.0 if named else 0.5
