"""Counts: "17 models", "9개 언어". What is counted, and how many of it the paper counts."""

from __future__ import annotations

from sillok.digest.check.figures import matches
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement, counted, is_count


def check_counts(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Compare each count of a sentence with the paper's counts of the same thing."""
    for index, figure in enumerate(claim.figures):
        if not is_count(figure) or figure.value in paper.sizes:
            continue  # "the 7B model" is the size of one
        things = counted(claim, index)
        if not things:
            continue
        values = [f for key in things for f in paper.counts.get(key, ())]
        printed = claim.text[figure.start : figure.end]
        if any(matches(figure, other) for other in values):
            continue
        distinct = sorted({f.value for f in values})
        if distinct:
            shown = paper.show(sorted(things)[0].lstrip("~"))
            result.doubt(
                "count-other" if found[index] else "count",
                "contradicted",
                f"{printed}: the paper counts {', '.join(f'{v:g}' for v in distinct[:3])} ({shown})",
                1.0 / len(distinct),
            )
