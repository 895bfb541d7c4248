"""Names and metrics of a sentence against those that its figures stand with in the paper, wherever that is.

Which figure of a sentence belongs to which of its names is easily misread. What can be told without it: a name
with which none of the sentence's figures stands in the paper, beside a figure that in the paper always stands with
a rival of that name which the sentence does not mention.
"""

from __future__ import annotations

from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.terms import lexicon


def check_anchors(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Look for names and metrics that no figure of the sentence stands with."""
    telling = [n for n, m in enumerate(found) if m and _exact(claim, n)]
    if not telling:
        return
    near = set().union(*(_around(m) for n in telling for m in found[n]))
    said = claim.keys
    said = said | {alias for key in said for alias in paper.aliases.get(key, ())}
    loose = [
        t
        for t in claim.terms
        if (t.kind == "name" or t.key in paper.placed)
        and t.key not in paper.own
        and paper.rivals.get(t.key)
        and t.key not in near
        and not paper.aliases.get(t.key, set()) & near
    ]
    for term in {t.key: t for t in loose}.values():
        rivals = paper.rivals[term.key] - said
        name = claim.text[term.start : term.end]
        kind = "name" if term.kind == "name" else "concept"
        for number in telling:
            theirs = [_tight(m) & rivals for m in found[number]]
            if not theirs or not all(theirs):
                continue
            figure = claim.figures[number]
            held = sorted(set.union(*theirs), key=lambda key: (key in paper.own, key))
            own = "-own" if all(t <= paper.own for t in theirs) else ""
            there = paper.show(held[0].lstrip("~"))
            result.doubt(
                f"swap-{kind}{own}",
                "contradicted",
                f"{claim.text[figure.start : figure.end]}: in the paper it stands with {there}, not with {name}",
                1.0 if figure.digits > 2 else 0.6,
            )
            break
        else:
            if term.key in paper.placed:
                result.doubt(f"loose-{kind}", "not found", f"{name}: no figure of this sentence stands with it")
    _metrics(claim, near, paper, result)


def _metrics(claim: Statement, near: set[str], paper: Paper, result: Judgement) -> None:
    known = lexicon().concepts
    for term in {t.key: t for t in claim.terms if t.key in known and known[t.key].metric}.values():
        if term.key == "quality" or term.key in near:
            continue
        family = {k for k, c in known.items() if c.family == known[term.key].family}
        name = claim.text[term.start : term.end]
        if term.key not in paper.idf:
            result.doubt("metric-absent", "not found", f"{name}: nowhere in the paper")
        elif not family & near:
            result.doubt("metric-loose", "not found", f"{name}: no figure of this sentence stands with it")


def _exact(claim: Statement, index: int) -> bool:
    """Tell whether a figure is one that does not stand everywhere."""
    figure = claim.figures[index]
    return not figure.word and figure.digits > 1 and not figure.is_year


def _around(match: Match) -> set[str]:
    one = match.statement
    return one.bound[match.index] | one.context | one.shared if one.cell else one.keys | one.context


def _tight(match: Match) -> set[str]:
    one = match.statement
    return one.bound[match.index] | (set() if one.cell else one.near[match.index] | one.shared)
