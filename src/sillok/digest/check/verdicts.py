"""Verdicts on one sentence of a summary: its figures, names, comparisons and words against the paper."""

from __future__ import annotations

import itertools
import re

from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import COMMON, Match, candidates, corroborated, settles, tells
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.tables import differs, other_column, table_sign
from sillok.digest.check.terms import is_name, key_of
from sillok.digest.check.turns import check_direction, check_pairs, check_sides, pair_sign

#: A figure's context must share this part of the weight of the sentence's terms to count as the same context.
SAME_CONTEXT = 0.22
#: The same for a figure of three digits or more, which hardly stands in a paper by chance.
SAME_CONTEXT_LONG = 0.1
#: Another value in a context that is better by this factor and margin contradicts.
BETTER, MARGIN = 1.3, 0.12
#: Part of the weight of a sentence without figures that its best passages must cover.
COVERED_ONE, COVERED_THREE = 0.42, 0.62
#: The reason of a sentence that shares too few words with the paper; only this one a model may overrule.
UNCOVERED = "no passage of the paper covers this sentence"


def judge(claim: Statement, paper: Paper) -> Judgement:
    """Check one sentence of a summary."""
    result = Judgement()
    _names(claim, paper, result)
    for index in range(len(claim.figures)):
        _figure(claim, index, paper, result)
    check_pairs(claim, paper, result)
    if not claim.figures:
        check_sides(claim, paper, result)
        _covered(claim, paper, result)
    return result


def _names(claim: Statement, paper: Paper, result: Judgement) -> None:
    seen = set()
    for term in claim.terms:
        if term.kind != "name" or term.key in seen:
            continue
        seen.add(term.key)
        result.checked += 1
        if not (paper.has_name(term.key) or paper.has_words(claim.text[term.start : term.end])):
            result.fail("not found", f"{claim.text[term.start : term.end]}: nowhere in the paper")


def _figure(claim: Statement, index: int, paper: Paper, result: Judgement) -> None:
    figure = claim.figures[index]
    printed = claim.text[figure.start : figure.end]
    result.checked += 1
    if _of_a_name(claim, figure, paper) or (figure.printed == 1 and figure.unit in paper.single):
        return
    same, unit_only, others = candidates(claim, index, paper)
    if same and figure.value <= 1 and figure.unit == "" and figure.step >= 1:
        return  # a bare 0 or 1 that the paper has too
    floor = SAME_CONTEXT if figure.digits < 3 else SAME_CONTEXT_LONG
    if not _telling(claim, paper):
        floor = 0.0
    fitting = [
        m for m in same if not m.conflicts and (m.score >= floor or corroborated(claim, index, m, paper))
    ]
    exact = max((m.score for m in same if m.conflicts and m.figure.value == figure.value), default=0.0)
    if fitting and exact > SAME_CONTEXT and not settles(claim, index, fitting[0], paper):
        # as printed it stands with another name, and with this one only rounded or in a worse context
        rounded = fitting[0].figure.value != figure.value
        if exact > (fitting[0].score if rounded else BETTER * fitting[0].score + MARGIN):
            fitting = []
    there = {id(m.statement) for m in same}
    rest = [f for n, f in enumerate(claim.figures) if n != index]
    rival = next(
        (
            m
            for m in others
            if not m.conflicts
            and id(m.statement) not in there
            and not any(comparable(f, m.figure) and matches(f, m.figure) for f in rest)
            and (figure.unit or m.figure.unit or 1 / 30 < m.figure.value / (figure.value or 1) < 30)
        ),
        None,
    )
    if not fitting and _derived(claim, index, paper):
        result.reasons.append(f"{printed}: not printed in the paper, but follows from two of its figures")
        return
    if not fitting:
        _unfound(claim, index, same, unit_only, rival, paper, result)
        return
    best = fitting[0]
    if (
        rival is not None
        and _outdone(figure, best, rival)
        and not settles(claim, index, best, paper)
        and tells(claim, index, rival, paper)
    ):
        result.cite(rival.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(rival)} there")
        return
    wrong_unit = next(
        (m for m in unit_only if m.score > BETTER * best.score + MARGIN and not m.conflicts), None
    )
    if wrong_unit is None and figure.unit and best.figure.printed != figure.printed:
        wrong_unit = next(  # "1.6 minutes" is 94 seconds, rounded; yet the paper says 1.6 seconds
            (m for m in others if m.figure.printed == figure.printed and m.score > best.score), None
        )
    if wrong_unit is not None and (best.figure.unit != figure.unit or wrong_unit in others):
        result.cite(wrong_unit.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(wrong_unit)}")
        return
    if (other := other_column(claim, index, fitting, paper)) is not None:
        result.cite(best.statement.passage)
        result.fail("contradicted", f"{printed}: {other}")
        return
    result.cite(best.statement.passage)
    check_direction(claim, index, fitting, paper, result)


def _derived(claim: Statement, index: int, paper: Paper) -> bool:
    """Tell whether a difference or ratio follows from two figures of the sentence, or from two rows of a table."""
    figure = claim.figures[index]
    if figure.word and figure.unit == "x" and figure.bound == "over":
        return any(_at_least(figure.value, one, two) for one, two in itertools.pairwise(claim.figures))
    if (
        figure.unit not in ("x", "%", "point", "pp", "dB")
        or figure.word
        or (figure.digits < 2 and figure.step >= 1)
    ):
        return False
    for number, (one, two) in enumerate(itertools.pairwise(claim.figures)):
        sign = pair_sign(claim, number, claim.text[one.end : two.start])
        told = sign == 1 or (sign and figure.unit != "%")  # a relative change only of "from A to B"
        if told and figure not in (one, two) and differs(figure, one, two):
            return True
    return bool(claim.objects and claim.keys & paper.heads and table_sign(claim, index, paper))


def _at_least(times: float, one: Figure, two: Figure) -> bool:
    """Tell whether two figures differ by a factor and a little more: "from 34 % to 72 %, more than twofold"."""
    low, high = sorted((one.value, two.value))
    return one.unit == two.unit and low > 0 and times <= high / low < times + 1


def _outdone(figure: Figure, best: Match, rival: Match) -> bool:
    """Tell whether another value stands in a clearly better context."""
    if rival.statement is best.statement:
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
        result.fail("contradicted", f"{printed}: the paper says {_text(wrong_unit)}")
        return
    if same and same[0].conflicts and not paper.thin:
        result.cite(same[0].statement.passage)
        there = f"; the paper says {_text(told)}" if told is not None else ""
        result.fail("contradicted", f"{printed}: in the paper it stands with {same[0].conflicts[0]}{there}")
        return
    if told is not None:
        result.cite(told.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(told)} there")
        return
    if figure.value in paper.sizes and not figure.unit and told is None:
        result.reasons.append(f"{printed}: the size of a model that the paper names")
        return
    small = figure.value <= 10 and figure.unit == "" and (figure.word or figure.step >= 1)
    if small and (rival is None or rival.score < 0.35):
        result.reasons.append(f"{printed}: a small count that the paper does not state")
        return
    result.fail(
        "not found",
        f"{printed}: " + ("in the paper in another context only" if same else "nowhere in the paper"),
    )


def _of_a_name(claim: Statement, figure: Figure, paper: Paper) -> bool:
    """Tell whether a figure is part of a name that the paper has too: the "2" and the "13B" of "Llama 2 13B"."""
    if figure.unit or figure.word:
        return False
    before = re.search(r"(?:[A-Za-z][\w.+]*[ -])(?:[0-9][\w.]{0,4}[ -])?\Z", claim.text[: figure.start][-40:])
    if before is None or not is_name(before[0].split()[0].strip("-"), opens=False):
        return False
    return key_of(before[0] + claim.text[figure.start : figure.end]) in paper.names


def _telling(claim: Statement, paper: Paper) -> bool:
    """Tell whether a sentence has enough terms that the paper knows to judge a figure's context by."""
    known = {t.key: t.kind for t in claim.terms if t.key in paper.idf and t.key not in COMMON}
    return len(known) > 1 or "name" in known.values()


def _covered(claim: Statement, paper: Paper, result: Judgement) -> None:
    """Check a sentence without figures by how much of it the best passages cover."""
    wanted: dict[str, float] = {}
    for term in claim.terms:
        weight = {"name": 1.5, "concept": 1.0, "word": 0.7}[term.kind] * min(paper.weight(term.key), 2.5)
        wanted[term.key] = max(wanted.get(term.key, 0.0), weight)
    telling = [key for key in wanted if key not in COMMON]
    found = paper.search(dict.fromkeys(wanted, 1.0), 3)
    for _, number in found[:2]:
        result.cite(number)
    if len(telling) < 2:
        result.empty = result.verdict == "supported"
        return
    result.checked += 1
    total = sum(wanted.values())
    covers = [sum(w for k, w in wanted.items() if k in paper.keys[number]) / total for _, number in found]
    union = set().union(*(paper.keys[number] for _, number in found)) if found else set()
    three = sum(w for k, w in wanted.items() if k in union) / total
    if max(covers, default=0.0) < COVERED_ONE and three < COVERED_THREE:
        result.fail("not found", UNCOVERED)


def _text(match: Match) -> str:
    one = match.statement
    if one.cell:
        return " ".join(one.text.split()).replace(" | ", ": ")
    return one.text[match.figure.start : match.figure.end]
