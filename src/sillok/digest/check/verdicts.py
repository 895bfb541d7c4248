"""Verdicts on one sentence of a summary: what of it is in the paper, and what speaks against it."""

from __future__ import annotations

import re
from dataclasses import replace

from sillok.digest.check.aligned import check_aligned
from sillok.digest.check.anchors import anchored, check_anchors, check_units
from sillok.digest.check.background import Background, background
from sillok.digest.check.compared import check_compared, check_extremes
from sillok.digest.check.counts import check_counts
from sillok.digest.check.derived import follows
from sillok.digest.check.differences import check_differences
from sillok.digest.check.explain import check_explained
from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.grid import check_grid, check_together
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match, candidates, corroborated, is_label, settles, tells
from sillok.digest.check.paper import Paper
from sillok.digest.check.ranks import check_ranks
from sillok.digest.check.replaced import check_replaced
from sillok.digest.check.signals import clarity, context, covered, margin, telling, weighs
from sillok.digest.check.statements import Statement
from sillok.digest.check.tables import other_column
from sillok.digest.check.terms import is_name, key_of, lexicon, sized, stem
from sillok.digest.check.turns import check_direction, check_pairs, check_sides, is_difference

#: A figure's context must share this part of the weight of the sentence's terms to count as the same context.
SAME_CONTEXT = 0.22
#: The same for a figure of three digits or more, which hardly stands in a paper by chance.
SAME_CONTEXT_LONG = 0.1
#: Another value in a context that is better by this factor and margin contradicts.
BETTER, MARGIN = 1.3, 0.12
#: Share of its context where another unit is told, and none beside the figure itself.
_BARE = 0.75


def judge(claim: Statement, paper: Paper) -> Judgement:
    """Check one sentence of a summary."""
    result = examine(claim, paper)
    result.decide()
    return result


def examine(claim: Statement, paper: Paper, papers: Background | None = None) -> Judgement:
    """Gather what speaks for and against a sentence, without a verdict; `papers` are Sillok's own counts by default."""
    result = Judgement(plain=not any(weighs(figure) for figure in claim.figures))
    _names(claim, paper, result)
    derived: set[int] = set()
    found = [_figure(claim, index, paper, result, derived) for index in range(len(claim.figures))]
    _rebind(claim, found, result)
    context(claim, found, paper, result)
    check_explained(claim, found, derived, paper, result)
    check_anchors(claim, found, paper, result)
    check_compared(claim, found, paper, result)
    check_differences(claim, found, paper, result)
    check_extremes(claim, found, paper, result)
    check_ranks(claim, found, paper, result)
    check_aligned(claim, paper, result)
    check_units(claim, result)
    check_replaced(claim, found, paper, result)
    check_grid(claim, found, paper, result)
    check_together(claim, found, paper, result)
    check_counts(claim, found, paper, result)
    check_pairs(claim, found, paper, result)
    if not claim.figures:
        check_sides(claim, paper, result)
    covered(claim, paper, papers or background(), result)
    return result


def _names(claim: Statement, paper: Paper, result: Judgement) -> None:
    seen = set()
    for term in claim.terms:
        if term.kind != "name" or term.key in seen:
            continue
        seen.add(term.key)
        result.checked += 1
        name = claim.text[term.start : term.end]
        if not (paper.has_name(term.key) or _of_words(name, paper) or _of_parts(name, paper)):
            kind = "name-plain" if re.fullmatch("[A-Z][a-z]+", name) else "name"
            if kind == "name-plain" and re.search(
                r"[가-힣]\s?\([A-Za-z ,-]*\Z|[A-Z]{2,}\([A-Za-z ,-]*\Z", claim.text[: term.start]
            ):
                continue  # an English term in brackets: "심방 조동(Atrial Flutter)"
            result.doubt(kind, "not found", f"{name}: nowhere in the paper")


def _of_words(token: str, paper: Paper) -> bool:
    """Tell whether a token that is capitalised words ("Flow Matching") is made of the paper's words."""
    if not re.fullmatch(r"[A-Z][a-z]+(?:-[A-Z]?[a-z]+)*", token):
        return False
    return all(stem(part) in paper.stems for part in token.split("-"))


def _of_parts(name: str, paper: Paper) -> bool:
    """Tell whether a name with a hyphen is one of the paper's with a plain word: "EnCodec-compressed"."""
    parts = name.split("-")
    plain = [part for part in parts if re.fullmatch("[a-z]{4,}", part)]
    return 0 < len(plain) < len(parts) and all(paper.has_name(key_of(p)) for p in parts if p not in plain)


def _figure(claim: Statement, index: int, paper: Paper, result: Judgement, derived: set[int]) -> list[Match]:
    """Check one figure; return where the paper has it."""
    figure = claim.figures[index]
    printed = claim.text[figure.start : figure.end]
    result.checked += 1
    if _of_a_name(claim, figure, paper) or (figure.printed == 1 and figure.unit in paper.single):
        return []
    if figure.printed in (0, 1) and not figure.unit:
        return []  # "one forward pass"
    coarse = figure.word and (figure.unit == "x" or (figure.unit and is_difference(claim, index)))
    coarse = coarse or (figure.word and _ALL_OF.search(claim.text[: figure.start]) is not None)
    if coarse or _PARTS.match(claim.text, figure.end):
        return []  # "more than doubles", "a third", "of the three": too coarse to be looked up
    same, unit_only, others = candidates(claim, index, paper)
    if same and _SETTING.match(claim.text, figure.end):
        return same  # "25-shot" is a setting that goes with many names
    if same and figure.value <= 1 and figure.unit == "" and figure.step >= 1:
        return []  # a bare 0 or 1 that the paper has too
    fitting = _fitting(claim, index, same, paper)
    there = {id(m.statement) for m in same}
    rest = [f for n, f in enumerate(claim.figures) if n != index]
    rival = next(
        (
            m
            for m in others
            if not m.conflicts
            and not is_label(m)
            and id(m.statement) not in there
            and not any(comparable(f, m.figure) and matches(f, m.figure) for f in rest)
            and (figure.unit or m.figure.unit or 1 / 30 < m.figure.value / (figure.value or 1) < 30)
        ),
        None,
    )
    margin(claim, index, (same, fitting, others), paper, result)
    other_unit = any(m.score >= SAME_CONTEXT and not m.conflicts for m in unit_only) and not same
    if not fitting and not other_unit and follows(claim, index, paper, printed=bool(same)):
        derived.add(index)
        result.reasons.append(f"{printed}: not printed in the paper, but follows from two of its figures")
        return same
    if not fitting:
        _unfound(claim, index, same, unit_only, rival, paper, result)
        return same
    _weigh(claim, index, fitting, rival, (unit_only, others), paper, result)
    return same


def _fitting(claim: Statement, index: int, same: list[Match], paper: Paper) -> list[Match]:
    """Of the paper's equal figures those that nothing speaks against and whose context is the sentence's."""
    figure = claim.figures[index]
    floor = SAME_CONTEXT if figure.digits < 3 else SAME_CONTEXT_LONG
    if not telling(claim, paper):
        floor = 0.0
    exact_unit = figure.unit if figure.unit not in ("", "%", "x", "point", "pp") else None
    fitting = [  # "18 frames per second" needs no more context where the paper says just that
        m
        for m in same
        if not m.conflicts
        and (
            m.score >= floor
            or m.figure.unit == exact_unit
            or is_label(m)
            or corroborated(claim, index, m, paper)
        )
    ]
    exact = max((m.score for m in same if m.conflicts and m.figure.value == figure.value), default=0.0)
    if any(is_label(m) for m in fitting):
        return fitting
    if fitting and exact > SAME_CONTEXT and not settles(claim, index, fitting[0], paper):
        # as printed it stands with another name, and with this one only rounded or in a worse context
        rounded = fitting[0].figure.value != figure.value
        if exact > (fitting[0].score if rounded else BETTER * fitting[0].score + MARGIN):
            fitting = []
    return fitting


def _weigh(
    claim: Statement,
    index: int,
    fitting: list[Match],
    rival: Match | None,
    rest: tuple[list[Match], list[Match]],
    paper: Paper,
    result: Judgement,
) -> None:
    """Look for what speaks against a figure that the paper has in such a context: another value, unit, column, turn.

    `rest` are the paper's figures of equal digits in another unit, and those of another value.
    """
    figure = claim.figures[index]
    printed = claim.text[figure.start : figure.end]
    unit_only, others = rest
    best = fitting[0]
    if (
        rival is not None
        and _outdone(figure, best, rival)
        and not settles(claim, index, best, paper)
        and tells(claim, index, rival, paper)
    ):
        result.cite(rival.statement.passage)
        told = f"{printed}: the paper says {_text(rival)} there"
        result.doubt("outdone", "contradicted", told, clarity(claim, paper))
        return
    # where the paper has the figure itself without a unit, one in as good a place tells it
    bare = figure.unit and all(m.figure.unit in ("", "?") for m in fitting)
    least = _BARE * best.score if bare else BETTER * best.score + MARGIN
    wrong_unit = next((m for m in unit_only if m.score > least and not m.conflicts), None)
    if wrong_unit is None and figure.unit and best.figure.printed != figure.printed:
        wrong_unit = next(  # "1.6 minutes" is 94 seconds, rounded; yet the paper says 1.6 seconds
            (m for m in others if m.figure.printed == figure.printed and m.score > best.score), None
        )
    if wrong_unit is not None and (best.figure.unit != figure.unit or wrong_unit in others):
        result.cite(wrong_unit.statement.passage)
        result.doubt("unit2", "contradicted", f"{printed}: the paper says {_text(wrong_unit)}")
        return
    if (other := other_column(claim, index, fitting, paper)) is not None:
        result.doubt("column", "contradicted", f"{printed}: {other}")
    result.cite(best.statement.passage)
    check_direction(claim, index, fitting, paper, result)


def _outdone(figure: Figure, best: Match, rival: Match) -> bool:
    """Tell whether another value stands in a clearly better context."""
    if rival.statement is best.statement or not 0.1 < rival.figure.value / (figure.value or 1.0) < 10:
        return False
    if rival.figure.unit != figure.unit and "?" not in (rival.figure.unit, figure.unit):
        return False
    if figure.unit == "" and figure.step >= 1 and figure.value < 1000:
        return rival.score > max(0.6, 1.6 * best.score + 0.2)  # counts of many things stand side by side
    if rival.statement.passage == best.statement.passage and not rival.statement.cell:
        return rival.score > 1.6 * best.score + 0.2  # sentences of one paragraph share their context
    return rival.score > BETTER * best.score + MARGIN


def _unfound(
    claim: Statement,
    index: int,
    same: list[Match],
    unit_only: list[Match],
    rival: Match | None,
    paper: Paper,
    result: Judgement,
) -> None:
    """Say what is wrong with a figure that no context of the paper bears out.

    Of an abstract alone, what stands there with another name or in another unit contradicts only where metric,
    data set and side are the same: the figure may well stand elsewhere in the paper.
    """
    figure = claim.figures[index]
    printed = claim.text[figure.start : figure.end]
    told = rival if rival is not None and rival.score > 0.5 and tells(claim, index, rival, paper) else None
    wrong_unit = next((m for m in unit_only if not m.conflicts and m.score >= SAME_CONTEXT), None)
    if wrong_unit is not None and (not paper.thin or tells(claim, index, wrong_unit, paper, unit=False)):
        result.cite(wrong_unit.statement.passage)
        result.doubt("unit", "contradicted", f"{printed}: the paper says {_text(wrong_unit)}")
        return
    if same and same[0].conflicts and not paper.thin:
        result.cite(same[0].statement.passage)
        there = f"; the paper says {_text(told)}" if told is not None else ""
        kind = (
            "conflict-metric"
            if same[0].metric
            else "conflict-own"
            if same[0].theirs <= paper.own
            else "conflict-said"
            if same[0].theirs & claim.keys
            else "conflict-concept"
            if all(key in lexicon().concepts for key in same[0].mine)
            else "conflict"
        )
        result.doubt(
            kind,
            "contradicted",
            f"{printed}: in the paper it stands with {same[0].conflicts[0]}{there}",
            about=same[0].mine,
        )
        return
    small = figure.value <= 10 and figure.unit == "" and (figure.word or figure.step >= 1)
    kind = "absent" if not same else "elsewhere"
    near = max((m.score for m in same if not m.conflicts), default=0.0) / SAME_CONTEXT
    near = min(max(near, 0.0), 0.8)
    kind += "-small" if small or figure.word else "-two" if figure.digits < 3 else ""
    if told is not None:
        result.cite(told.statement.passage)
        result.doubt(kind, "contradicted", f"{printed}: the paper says {_text(told)} there")
        result.signals["told" if not same else "told-other"] = 1.0
        return
    if figure.value in paper.sizes and not figure.unit and told is None:
        result.reasons.append(f"{printed}: the size of a model that the paper names")
        return
    result.doubt(
        kind,
        "not found",
        f"{printed}: " + ("in the paper in another context only" if same else "nowhere in the paper"),
        (1 - near) * clarity(claim, paper) if same else 1.0,
    )


def _rebind(claim: Statement, found: list[list[Match]], result: Judgement) -> None:
    """Drop conflicts about names that stand with another figure of the sentence: they are probably that one's."""
    loose, tight = anchored(claim, found), anchored(claim, found, tight=True)
    kept = []
    for one in result.doubts:
        if one.kind == "conflict" and one.about and one.about <= loose:
            if one.about <= tight:
                continue
            one = replace(one, kind="conflict-near")
        kept.append(one)
    result.doubts[:] = kept


_ALL_OF = re.compile(r"\b(?:of the|all|these|those)\s\Z", re.IGNORECASE)
_SETTING = re.compile(r"-?(?:shot|샷)")
#: "The 7B model" is named by its size.
_BY_SIZE = re.compile(
    r"\s?(?:-parameter )?(?:models?|variants?|backbones?|settings?|versions?|모델|설정|버전|백본)"
)
_PARTS = re.compile(r"[ -](?:quarters?|thirds?|fifths?|tenths?|halves)\b")


def _of_a_name(claim: Statement, figure: Figure, paper: Paper) -> bool:
    """Tell whether a figure is part of a name that the paper has too: the "2" and the "13B" of "Llama 2 13B"."""
    if figure.unit or figure.word:
        return False
    if any(
        start == figure.start and paper.has_name(key_of(name)) for name, start in sized(claim.text).items()
    ):
        return True
    if figure.value in paper.sizes and _BY_SIZE.match(claim.text, figure.end):
        return True
    before = re.search(r"(?:[A-Za-z][\w.+]*[ -])(?:[0-9][\w.]{0,4}[ -])?\Z", claim.text[: figure.start][-40:])
    if before is None or not is_name(before[0].split()[0].strip("-"), opens=False):
        return False
    return key_of(before[0] + claim.text[figure.start : figure.end]) in paper.names


def _text(match: Match) -> str:
    one = match.statement
    if one.cell:
        return " ".join(one.text.split()).replace(" | ", ": ")
    return one.text[match.figure.start : match.figure.end]
