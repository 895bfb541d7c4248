"""Rows and columns that a sentence names, against those that its figures stand in.

A sentence that names a column of a table (all the words of its header), has no figure from it, and has one from a
column of the same row that it does not name, has probably the wrong column; and so with rows.
"""

from __future__ import annotations

from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.terms import COMMON


def check_grid(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Look, table by table, for a named row or column without a figure beside a figure of an unnamed one."""
    said = paper.known_as(claim.keys)
    for axis in ("row", "column"):
        tables = {m.statement.passage for matches in found for m in matches if m.statement.cell}
        for number in sorted(tables):
            lines = paper.lines[axis, number]
            named = {line for line, label in lines.items() if label - COMMON and label <= said}
            named -= {0} if axis == "column" else set()
            if not named:
                continue
            taken = [
                {
                    m.statement.line(axis)
                    for m in matches
                    if m.statement.cell and m.statement.passage == number
                }
                for matches in found
            ]
            free = named - set().union(*taken)
            free = {line for line in free if not _in_prose(lines[line], found)}
            for index, places in enumerate(taken):
                figure = claim.figures[index]
                if not free or not places or places & named or figure.word or figure.digits < 2:
                    continue
                if axis == "row" and any(lines.get(line, set()) & paper.own for line in places):
                    continue
                if any(not m.statement.cell and not m.conflicts and m.score > 0.5 for m in found[index]):
                    continue
                there = paper.title_of(lines.get(min(places), set()))
                wrong = paper.title_of(lines[min(free)])
                printed = claim.text[figure.start : figure.end]
                result.doubt(
                    f"grid-{axis}",
                    "contradicted",
                    f"{printed}: in the paper's table it is {there}, not {wrong}",
                    1.0 if figure.digits > 2 else 0.6,
                )
                break


def _in_prose(label: set[str], found: list[list[Match]]) -> bool:
    """Tell whether a figure of the sentence stands in a sentence of the paper that has all of a label."""
    return any(not m.statement.cell and label <= m.statement.keys for matches in found for m in matches)


def check_together(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Signal which share of the sentence's figures stands beside none of the others in the paper.

    Beside means in the same sentence, row or column ("tight"), or in the same passage, table or section ("loose").
    """
    telling = [
        n for n, m in enumerate(found) if m and not claim.figures[n].word and claim.figures[n].digits > 1
    ]
    if len(telling) < 2:
        return
    tight = {n: set().union(*(_tight(m) for m in found[n])) for n in telling}
    loose = {n: set().union(*(_loose(m, paper) for m in found[n])) for n in telling}
    for name, places in (("tight", tight), ("loose", loose)):
        alone = sum(not any(places[n] & places[o] for o in telling if o != n) for n in telling)
        result.signals[f"apart-{name}"] = alone / len(telling)


def _tight(match: Match) -> set[tuple[int, str, int]]:
    one = match.statement
    return set(one.places) if one.cell else {(id(one), "sentence", 0)}


def _loose(match: Match, paper: Paper) -> set[tuple[int, str]]:
    number = match.statement.passage
    return {(number, ""), (0, paper.text.passages[number].section)}
