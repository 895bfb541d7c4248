"""Words of comparison beside those of the paper's sentences that say most nearly the same."""

from __future__ import annotations

import re

from sillok.digest.check.comparisons import Direction, directions, opposed
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.superlatives import SUPERLATIVES
from sillok.digest.check.terms import COMMON, Term

#: Part of a sentence's weight of terms that a sentence of the paper must have to be set beside it.
_ALIKE = 0.3
#: Sentences of the paper that are looked at.
_MOST = 3
#: Characters around a word of comparison whose terms tell what it speaks of.
_AROUND = 45
#: Words that are no comparisons and lean one way all the same.
_MORE: tuple[tuple[int, int, str], ...] = (
    (
        +1, 0,
        r"\b(?:most|double[sd]?|doubling|twice|inflat\w+|wid(?:er|est)|further|richer|extra|over half)\b"
        r"|두 배|2배|최고",
    ),
    (-1, 0, r"\b(?:halv\w+|half|deflat\w+|narrow(?:er|est)|lighter|thinner)\b|절반|완화"),
    (
        0, +1,
        r"\b(?:easier|safest|safer|won|first|robust|stable|succeed\w*|top|mild(?:er|est)?|well|helps?|helped|helpful"
        r"|important|essential)\b|안정|강하",
    ),
    (
        0, -1,
        r"\b(?:harder|riskier|dearer|loses|lost|last|fragile|unstable|vulnerable|fails?|badly|harmful|hopeless|useless"
        r"|negligible)\b|불안정|취약|약하|약했|무너",
    ),
)  # fmt: skip
_LEANING = [*SUPERLATIVES, *((size, good, re.compile(form, re.IGNORECASE)) for size, good, form in _MORE)]


def polar(text: str) -> list[Direction]:
    """Return words of comparison, superlatives and words of success or failure in a sentence, in order."""
    found = directions(text)
    for size, good, form in _LEANING:
        for match in form.finditer(text):
            if not any(one.start < match.end() and match.start() < one.end for one in found):
                found.append(Direction(match.start(), match.end(), size, good))
    return sorted(found)


def check_aligned(claim: Statement, paper: Paper, result: Judgement) -> None:
    """Doubt a word of comparison where those of the nearest sentences of the paper run against it."""
    words = polar(claim.text)
    if not words:
        return
    near = _nearest(claim, paper)
    against, along = 0.0, 0.0
    told = ""
    for turn in words:
        around = _around(claim.terms, turn)
        best: tuple[float, bool, str] | None = None
        for alike, one in near:
            for other in polar_of(one, paper):
                opposite = opposed(turn, other, 0)
                if opposite is None:
                    continue
                shared = around & _around(one.terms, other)
                weight = sum(paper.weight(key) for key in shared) / (
                    sum(paper.weight(key) for key in around) or 1.0
                )
                score = alike * weight
                if score > 0 and (best is None or score > best[0]):
                    best = (score, opposite, one.text[other.start : other.end])
        if best is None:
            continue
        if best[1]:
            if best[0] > against:
                told = f"{claim.text[turn.start : turn.end]}: the paper says {best[2]!r} there"
            against = max(against, best[0])
        else:
            along = max(along, best[0])
    if against:
        result.doubt("aligned", "contradicted", told, min(1.0, max(0.0, against - along)))


def polar_of(one: Statement, paper: Paper) -> list[Direction]:
    """The words of comparison of a sentence of the paper, looked for once."""
    known = paper.polar.get(id(one))
    if known is None:
        known = paper.polar[id(one)] = polar(one.text)
    return known


def _around(terms: list[Term], turn: Direction) -> set[str]:
    return {
        t.key
        for t in terms
        if t.key not in COMMON and t.start - turn.end < _AROUND and turn.start - t.end < _AROUND
        if not (t.start < turn.end and turn.start < t.end)
    }


def _nearest(claim: Statement, paper: Paper) -> list[tuple[float, Statement]]:
    wanted = {
        t.key: paper.weight(t.key) * (1.3 if t.kind == "name" else 1.0)
        for t in claim.terms
        if t.key not in COMMON
    }
    total = sum(wanted.values())
    if not total:
        return []
    scored: dict[int, float] = {}
    for key, weight in wanted.items():
        for number in paper.by_key.get(key, ()):
            one = paper.statements[number]
            if not one.cell:
                scored[number] = scored.get(number, 0.0) + weight * (1.0 if key in one.keys else 0.4)
    best = sorted(scored.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST]
    return [(score / total, paper.statements[n]) for n, score in best if score / total >= _ALIKE]
