"""Names of a sentence that the paper's sentences on the same matter do not have, but another one in their place."""

from __future__ import annotations

from sillok.digest.check.anchors import anchored
from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.findings import Verdict
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.terms import COMMON

#: Part of the weight of a sentence's other terms and figures that a sentence of the paper must have.
_ALIKE = 0.3
#: Sentences of the paper that come as close to the best one as this are of the same matter too.
_NEAR = 0.75


def check_replaced(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Doubt a name that none of the paper's sentences with the rest of the sentence has."""
    names = {t.key: t for t in claim.terms if t.kind == "name" and t.key in paper.idf}
    weights = {t.key: paper.weight(t.key) for t in claim.terms if t.key not in COMMON}
    figures = [f for f in claim.figures if not f.word and (f.digits > 1 or f.decimals or f.unit)]
    stands = anchored(claim, found)
    for key, term in names.items():
        if key in stands or paper.aliases.get(key, set()) & stands:
            continue
        rest = {k: w for k, w in weights.items() if k != key}
        near, alike = _matter(rest, figures, paper)
        if not near:
            continue
        keys = paper.known_as((key,))
        if any(keys & (one.keys | one.context) for one in near):
            continue
        there = {t.key for t in near[0].terms if t.kind == "name"} - claim.keys - paper.own
        kind = "replaced" if there else "displaced"
        if key in paper.own | paper.fore:
            kind += "-own" if key in paper.own else "-fore"  # what an abstract names may be meant throughout
        name = claim.text[term.start : term.end]
        told = f", but {paper.show(sorted(there)[0])}" if there else ""
        verdict: Verdict = "contradicted" if there else "not found"
        result.doubt(kind, verdict, f"{name}: not in what the paper says of this{told}", alike)


def _matter(rest: dict[str, float], figures: list[Figure], paper: Paper) -> tuple[list[Statement], float]:
    """The sentences of the paper with most of some terms and figures, the best first, and its share of them."""
    total = sum(rest.values()) + paper.rarest * len(figures)
    if not total:
        return [], 0.0
    scores: dict[int, float] = {}
    for key, weight in rest.items():
        for number in paper.by_key.get(key, ()):
            one = paper.statements[number]
            if not one.cell and key in one.keys:
                scores[number] = scores.get(number, 0.0) + weight
    for number in scores:
        held = paper.statements[number].figures
        scores[number] += paper.rarest * sum(
            any(comparable(f, g) and matches(f, g) for g in held) for f in figures
        )
    ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    if not ranked or ranked[0][1] / total < _ALIKE:
        return [], 0.0
    best = ranked[0][1]
    return [paper.statements[n] for n, score in ranked if score >= _NEAR * best], best / total
