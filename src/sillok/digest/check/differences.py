"""Differences and ratios to a named baseline: whether any of the paper's values bears them out."""

from __future__ import annotations

import re

from sillok.digest.check.figures import Figure
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.tables import differs
from sillok.digest.check.terms import COMMON

_GAP_AFTER = re.compile(
    r"\s(?:\w+ )?(?:more|less|fewer|higher|lower|better|worse|faster|slower|quicker|cheaper|larger|smaller"
    r"|longer|shorter|above|below|ahead|behind|over|short of)\b"
)
_NO_GAP_BEFORE = re.compile(r"(?:\bof|,)\s*\Z")
_GAP_BEFORE = re.compile(
    r"\b(?:by|(?:margin|gap|lead|advantage|improvement|gain|reduction|increase|drop)s? of)\s(?:\w+ )?\Z"
)
_GAP_KOREAN = re.compile(r"(?:보다|대비|에 비해|비교해|비교하여)\s(?:[^\s0-9,]+(?<!의)\s){0,2}(?:약\s)?\Z")
_LEVEL_KOREAN = re.compile(r"\s?(?:의|을|를|로|으로)(?=\s)")


def check_differences(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Doubt "2.2 points above X" where no column has two rows that far apart of which one is X's.

    It stands where a sentence of the paper has the figure and the name too.
    """
    for index, figure in enumerate(claim.figures):
        if figure.word or not (figure.digits > 1 or figure.decimals):
            continue
        key = _object(claim, index, paper)
        if key is None:
            continue
        keys = paper.known_as((key,))
        told = _told(found[index], keys, paper)
        if told is not None:
            if told not in keys:
                printed = claim.text[figure.start : figure.end]
                result.doubt(
                    "object",
                    "contradicted",
                    f"{printed}: the paper says it of {paper.show(told)}, not of {paper.show(key)}",
                )
            continue
        tables = {number for number, label, _ in paper.rows if label & keys}
        if not tables:
            continue
        if not any(_borne(claim, figure, keys, number, paper) for number in tables):
            printed = claim.text[figure.start : figure.end]
            result.doubt(
                "underived",
                "contradicted",
                f"{printed}: no value of {paper.show(key)} in the paper is that far from another",
                1.0 if found[index] else 0.5,
            )


def _object(claim: Statement, index: int, paper: Paper) -> str | None:
    """The name to which a figure is said to be a difference or a ratio; None where it is none, or to no name."""
    figure = claim.figures[index]
    before, after = claim.text[: figure.start], claim.text[figure.end :]
    theirs = [t for t in claim.terms if t.kind == "name" and t.key in claim.objects - paper.own]
    if claim.korean:
        if not _GAP_KOREAN.search(before) or _LEVEL_KOREAN.match(after):
            return None
        behind = [t.key for t in theirs if t.end <= figure.start]
        return behind[-1] if behind else None
    if _GAP_BEFORE.search(before):
        behind = [t.key for t in theirs if t.end <= figure.start]
        if behind:
            return behind[-1]
    elif not _GAP_AFTER.match(after) or _NO_GAP_BEFORE.search(before):
        return None
    ahead = [t for t in theirs if t.start >= figure.end]
    return ahead[0].key if ahead and ahead[0].start - figure.end < 60 else None


def _borne(claim: Statement, figure: Figure, keys: set[str], number: int, paper: Paper) -> bool:
    """Tell whether a row of a name and another one of its table are a figure apart in some column."""
    rows = [(label, cells) for number_, label, cells in paper.rows if number_ == number]
    mine = [cells for label, cells in rows if label & keys]
    rest = [(label, cells) for label, cells in rows if not label & keys]
    said = claim.keys
    subjects = {t.key for t in claim.terms if t.kind == "name" and t.key not in claim.objects} | paper.own
    rest = [one for one in rest if one[0] & subjects or one[0] in paper.bases] or rest
    heads = {frozenset(head) for cells in mine for head, _ in cells if head & said - COMMON}
    for cells in mine:
        for head, value in cells:
            if heads and frozenset(head) not in heads:
                continue
            for _, others in rest:
                for head_, other in others:
                    if head == head_ and differs(figure, value, other):
                        return True
    return False


def _told(found: list[Match], keys: set[str], paper: Paper) -> str | None:
    """The name that the paper's sentences tell this figure of as a difference; one of `keys` where any does."""
    named = None
    for match in found:
        if match.statement.cell:
            continue
        theirs = _object(match.statement, match.index, paper)
        if theirs is None:
            if match.statement.keys & keys and not match.conflicts:
                return min(keys)
        elif theirs in keys:
            return theirs
        else:
            named = theirs
    return named
