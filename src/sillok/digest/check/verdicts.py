"""Verdicts on one statement of a summary: each figure, name and comparison against the paper."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from sillok.digest.check.comparisons import opposed
from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.tables import table_sign
from sillok.digest.check.terms import Concept, lexicon

Verdict = Literal["supported", "not found", "contradicted"]

#: A figure's context must share this part of the weight of the sentence's terms to count as the same context.
SAME_CONTEXT = 0.22
#: Another value in a context that is better by this factor and margin contradicts.
BETTER, MARGIN = 1.3, 0.12
#: Part of the weight of a sentence without figures that its best passages must cover.
COVERED_ONE, COVERED_THREE = 0.42, 0.62


@dataclass(slots=True)
class Judgement:
    """What came of one statement."""

    verdict: Verdict = "supported"
    reasons: list[str] = field(default_factory=list)
    passages: list[int] = field(default_factory=list)
    checked: int = 0
    empty: bool = False

    def fail(self, verdict: Verdict, reason: str) -> None:
        """Note a failure; a contradiction outranks what was not found."""
        if self.verdict != "contradicted":
            self.verdict = verdict
        self.reasons.append(reason)

    def cite(self, passage: int) -> None:
        """Note a passage of evidence once."""
        if passage >= 0 and passage not in self.passages:
            self.passages.append(passage)


@dataclass(slots=True)
class Match:
    """A figure of the paper beside one of the summary."""

    statement: Statement
    index: int
    score: float
    conflicts: list[str]
    misses: list[str]

    @property
    def figure(self) -> Figure:
        """The paper's figure."""
        return self.statement.figures[self.index]


def judge(claim: Statement, paper: Paper) -> Judgement:
    """Check one sentence of a summary."""
    result = Judgement()
    _names(claim, paper, result)
    for index in range(len(claim.figures)):
        _figure(claim, index, paper, result)
    _inner(claim, paper, result)
    if not claim.figures:
        _sides(claim, paper, result)
        _covered(claim, paper, result)
    return result


def _names(claim: Statement, paper: Paper, result: Judgement) -> None:
    seen = set()
    for term in claim.terms:
        if term.kind != "name" or term.key in seen:
            continue
        seen.add(term.key)
        result.checked += 1
        if not paper.has_name(term.key):
            result.fail("not found", f"{claim.text[term.start : term.end]}: nowhere in the paper")


def _figure(claim: Statement, index: int, paper: Paper, result: Judgement) -> None:
    figure = claim.figures[index]
    printed = claim.text[figure.start : figure.end]
    result.checked += 1
    same, unit_only, others = _candidates(claim, index, paper)
    fitting = [m for m in same if not m.conflicts and m.score >= SAME_CONTEXT]
    there = {id(m.statement) for m in same}
    rest = [f for n, f in enumerate(claim.figures) if n != index]
    rival = next(
        (
            m
            for m in others
            if not m.conflicts
            and id(m.statement) not in there
            and not any(comparable(f, m.figure) and matches(f, m.figure) for f in rest)
        ),
        None,
    )
    if not fitting:
        _unfound(figure, printed, same, unit_only, rival, paper, result)
        return
    best = fitting[0]
    if _outdone(figure, best, rival, unit_only):
        assert rival is not None
        result.cite(rival.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(rival)} there")
        return
    wrong_unit = next((m for m in unit_only if m.score > BETTER * best.score + MARGIN and not m.conflicts), None)
    if wrong_unit is not None and best.figure.unit != figure.unit:
        result.cite(wrong_unit.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(wrong_unit)}")
        return
    result.cite(best.statement.passage)
    _direction(claim, index, fitting, paper, result)


def _outdone(figure: Figure, best: Match, rival: Match | None, unit_only: list[Match]) -> bool:
    """Tell whether another value stands in a clearly better context."""
    if rival is None or rival.statement is best.statement:
        return False
    if rival.figure.unit != figure.unit and "?" not in (rival.figure.unit, figure.unit):
        return False
    return rival.score > BETTER * best.score + MARGIN


def _unfound(
    figure: Figure,
    printed: str,
    same: list[Match],
    unit_only: list[Match],
    rival: Match | None,
    paper: Paper,
    result: Judgement,
) -> None:
    """Say what is wrong with a figure that no context of the paper bears out."""
    wrong_unit = next((m for m in unit_only if not m.conflicts and m.score >= SAME_CONTEXT), None)
    if wrong_unit is not None:
        result.cite(wrong_unit.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(wrong_unit)}")
        return
    if same and same[0].conflicts:
        result.cite(same[0].statement.passage)
        there = f"; the paper says {_text(rival)}" if rival is not None and rival.score > 0.5 else ""
        result.fail("contradicted", f"{printed}: in the paper it stands with {same[0].conflicts[0]}{there}")
        return
    if rival is not None and rival.score > 0.5:
        result.cite(rival.statement.passage)
        result.fail("contradicted", f"{printed}: the paper says {_text(rival)} there")
        return
    if figure.value <= 10 and figure.unit == "" and (figure.word or figure.step >= 1):
        if rival is None or rival.score < 0.35:
            result.reasons.append(f"{printed}: a small count that the paper does not state")
            return
    result.fail("not found", f"{printed}: " + ("in the paper in another context only" if same else "nowhere in the paper"))


def _text(match: Match) -> str:
    one = match.statement
    if one.cell:
        return " ".join(one.text.split()).replace(" | ", ": ")
    return one.text[match.figure.start : match.figure.end]


def _candidates(claim: Statement, index: int, paper: Paper) -> tuple[list[Match], list[Match], list[Match]]:
    """Return the paper's figures of equal value, of equal digits in another unit, and of another value."""
    figure = claim.figures[index]
    wanted = _wanted(claim, index, paper)
    total = sum(wanted.values()) or 1.0
    near = set().union(*(paper.by_key.get(key, set()) for key in wanted)) if wanted else set()
    same: list[Match] = []
    unit_only: list[Match] = []
    others: list[Match] = []
    for number, one in enumerate(paper.statements):
        for place, found in enumerate(one.figures):
            fits = comparable(figure, found)
            equal = fits and matches(figure, found)
            digits = not fits and found.printed == figure.printed
            if not (equal or digits) and (number not in near or not fits or found.word != figure.word):
                continue
            match = _match(claim, index, one, place, wanted, total, paper)
            (same if equal else unit_only if digits else others).append(match)
    for matched in (same, unit_only, others):
        matched.sort(key=lambda m: (bool(m.conflicts), -m.score))
    return same, unit_only, others


def _wanted(claim: Statement, index: int, paper: Paper) -> dict[str, float]:
    """The terms that a figure's context should have, weighted: its own clause counts most, names more than words."""
    wanted: dict[str, float] = {}
    for term in claim.terms:
        near = 2.0 if term.key in claim.bound[index] else 1.0
        if term.key in claim.near[index]:
            near = 0.4 if term.key in claim.objects else 1.5
        weight = (0.4 if term.key in claim.others[index] else near) * paper.weight(term.key)
        weight *= {"name": 1.5, "concept": 1.0, "word": 0.6}[term.kind]
        if term.key not in paper.idf:
            weight *= 0.3
        wanted[term.key] = max(wanted.get(term.key, 0.0), weight)
    return wanted


def _match(
    claim: Statement, index: int, one: Statement, place: int, wanted: dict[str, float], total: float, paper: Paper
) -> Match:
    bound, others = one.bound[place], one.others[place]
    score = 0.0
    for key, weight in wanted.items():
        if key in bound:
            score += weight
        elif key in one.shared:
            score += 0.9 * weight
        elif key in one.near[place]:
            score += 0.8 * weight
        elif key in others:
            score += (0.7 if key.startswith("~") or key in lexicon().concepts else 0.35) * weight
        elif key in one.context:
            score += 0.5 * weight
        elif key in paper.own and not one.cell:
            score += 0.5 * weight
    score /= total
    beside = [f for n, f in enumerate(claim.figures) if n != index]
    if beside and not one.cell:
        shared = sum(any(comparable(f, g) and matches(f, g) for g in one.figures) for f in beside)
        score += 0.3 * shared / len(beside)
    conflicts, misses = _conflicts(claim, index, one, place, paper)
    return Match(one, place, score - 0.08 * len(misses), conflicts, misses)


def _conflicts(claim: Statement, index: int, one: Statement, place: int, paper: Paper) -> tuple[list[str], list[str]]:
    """Return what stands in the paper's place of a name or metric of the summary, and what is missing there."""
    bound, held = one.bound[place], one.bound[place] | one.shared | one.near[place]
    conflicts: list[str] = []
    misses: list[str] = []
    mine = claim.bound[index] | ((claim.near[index] & claim.shared) - claim.objects)
    if _alone(claim, index):
        mine = mine | claim.shared
    said = claim.keys
    for key in mine:
        if key in held or key.startswith("~"):
            continue
        rivals = paper.rivals.get(key, set())
        named = key not in lexicon().concepts
        if not named and (key in one.others[place] or (key in one.context and not one.cell)):
            continue
        foreign = (rivals & (bound if key in paper.own else held)) - mine
        if not foreign and named and not key in paper.own and key not in one.context | one.others[place]:
            foreign = (rivals & one.context) - mine - paper.own
        if foreign:
            conflicts.append(_name(sorted(foreign)[0]))
        elif named and key not in one.context and key in paper.names and key not in paper.own:
            misses.append(key)
    if not mine & paper.own:
        owners = {k for own in paper.own for k in paper.rivals.get(own, ())}
        alien = (bound & owners) - said
        if alien and not (bound & said & (owners | paper.own)) and not (mine & owners) and not one.objects:
            misses.extend(sorted(alien)[:2])
    against = (claim.objects & mine) - _COMMON
    theirs = (one.objects & held) - _COMMON
    if against and theirs and not against & one.keys and not theirs & said:
        conflicts.append(_name(sorted(theirs)[0]))
    conflicts += _metrics(mine, bound, one)
    return conflicts, misses


def _alone(claim: Statement, index: int) -> bool:
    """Tell whether a sentence has one figure only, or one pair "from A to B"."""
    return all(n == index or claim.bound[n] == claim.bound[index] for n in range(len(claim.figures)))


def _name(key: str) -> str:
    return key


def _metrics(mine: set[str], bound: set[str], one: Statement) -> list[str]:
    """Return the paper's metric where it is another than the summary's."""
    known = lexicon().concepts
    claimed = [known[k] for k in mine if k in known and known[k].metric]
    there = [known[k] for k in bound if k in known and known[k].metric]
    if not claimed or not there or any(_same_metric(c, t) for c in claimed for t in there):
        return []
    around = [known[k] for k in one.shared if k in known and known[k].metric]
    if any(c.id == t.id for c in claimed for t in around):
        return []
    return [there[0].id]


def _same_metric(one: Concept, other: Concept) -> bool:
    if one.id == other.id or {one.id, other.id} & {"quality", "cost", "ratio"}:
        return True
    if one.family == other.family and (one.id == one.family or other.id == other.family):
        return True
    return {one.id, other.id} <= {"size", "memory"}


def _direction(claim: Statement, index: int, fitting: list[Match], paper: Paper, result: Judgement) -> None:
    """Compare the direction of a figure ("38 % faster") with that of its matches."""
    turn = claim.turn[index]
    if turn is None:
        return
    floor = 0.6 * fitting[0].score
    verdicts = []
    partner = _partner(claim, index)
    for match in fitting:
        other = match.statement.turn[match.index]
        if match.score < floor or other is None:
            continue
        if partner is not None and not any(matches(partner, f) for f in match.statement.figures):
            continue
        against = opposed(turn, other, _polarity(claim, index, match, paper))
        if against is not None:
            verdicts.append((against != _swapped(claim, match.statement), match))
    if not verdicts:
        sign = table_sign(claim, index, paper)
        size = turn.size or turn.good * (paper.polarity_of(claim.keys) or 1)
        if sign and size and sign != size:
            result.fail("contradicted", f"{claim.text[turn.start : turn.end]}: the paper's table says the opposite")
        return
    if all(against for against, _ in verdicts):
        match = verdicts[0][1]
        result.cite(match.statement.passage)
        word = claim.text[turn.start : turn.end]
        other = match.statement.turn[match.index]
        there = match.statement.text[other.start : other.end] if other else ""
        result.fail("contradicted", f"{word}: the paper says {there!r}")


def _polarity(claim: Statement, index: int, match: Match, paper: Paper) -> int:
    """Whether more of what a figure measures is better; by its unit where no metric is named."""
    one = match.statement
    sign = paper.polarity_of(one.bound[match.index]) or paper.polarity_of(claim.bound[index])
    if sign:
        return sign
    sign = paper.polarity_of(one.bound[match.index] | one.shared | claim.shared)
    if sign:
        return sign
    if {f.unit for f in one.figures} & {"s", "byte", "$", "J"}:
        return -1
    return 1 if claim.figures[index].unit in ("point", "pp") else 0


def _partner(claim: Statement, index: int) -> Figure | None:
    """The other figure of a pair that the sentence itself compares, or None."""
    for number in (index - 1, index):
        if 0 <= number < len(claim.figures) - 1:
            one, two = claim.figures[number], claim.figures[number + 1]
            if one.unit == two.unit and _pair_sign(claim, number, claim.text[one.end : two.start]):
                return two if number == index else one
    return None


def _swapped(claim: Statement, one: Statement) -> bool:
    """Tell whether a name is what a comparison speaks of in one sentence and what it compares with in the other."""
    return bool(claim.objects & one.subjects or claim.subjects & one.objects)


def _inner(claim: Statement, paper: Paper, result: Judgement) -> None:
    """Check a direction against the sentence's own figures: "falls from 38 to 41" cannot be."""
    for number in range(len(claim.figures) - 1):
        one, two = claim.figures[number], claim.figures[number + 1]
        if one.unit != two.unit or one.word or two.word or one.value == two.value:
            continue
        if not one.unit and one.step != two.step:
            continue  # figures of different kinds: a score and a count
        between = claim.text[one.end : two.start]
        turn = claim.turn[number + 1] or claim.turn[number]
        if turn is None:
            continue
        keys = claim.bound[number] | claim.bound[number + 1] | claim.shared
        size = turn.size or turn.good * paper.polarity_of(keys)
        sign = _pair_sign(claim, number, between)
        if sign and size and (two.value > one.value) != (size * sign > 0):
            word = claim.text[turn.start : turn.end]
            printed = f"{claim.text[one.start : one.end]} and {claim.text[two.start : two.end]}"
            result.fail("contradicted", f"{word}: {printed} say the opposite")


def _pair_sign(claim: Statement, number: int, between: str) -> int:
    """+1 where the second figure is what the first becomes, -1 where the first is compared with it, else 0."""
    one, two = claim.figures[number], claim.figures[number + 1]
    before = claim.text[max(0, one.start - 12) : one.start]
    after = claim.text[two.end : two.end + 8]
    if re.fullmatch(r"\s*(?:to|→|->)\s*(?:about |around )?", between) and re.search(r"\bfrom\s*$", before):
        return 1
    if re.match(r"\s*(?:에서|→)\s*(?:약\s*)?$", between) and re.match(r"\s?(?:으로|로|까지)", after):
        return 1
    beaten = r"\s*(?:보다|에 비해|대비|[를을]\s?(?:\S{1,4}\s)?(?:앞|능가|웃|밑|상회|하회))"
    if re.match(beaten, claim.text[two.end : two.end + 16]) and len(between) < 40:
        return -1
    if re.search(r"\b(?:than|above|below|ahead of|behind|versus|against|over)\b", between) and len(between) < 60:
        return -1
    return 0


def _sides(claim: Statement, paper: Paper, result: Judgement) -> None:
    """Check a comparison without figures against the paper's sentences on the same names."""
    names = {t.key for t in claim.terms if t.kind == "name"}
    if not claim.directions or len(names) < 2 or not claim.objects & names:
        return
    turn = claim.directions[0]
    verdicts = []
    for number in set().union(*(paper.by_key.get(k, set()) for k in claim.objects & names)):
        one = paper.statements[number]
        if one.cell or not one.directions or len(names & one.keys) < 2:
            continue
        against = opposed(turn, one.directions[0], paper.polarity_of(claim.keys | one.keys))
        if against is not None:
            verdicts.append((against != _swapped(claim, one), one))
    if verdicts and all(against for against, _ in verdicts):
        result.cite(verdicts[0][1].passage)
        result.fail("contradicted", f"{claim.text[turn.start : turn.end]}: the paper says the opposite")


def _covered(claim: Statement, paper: Paper, result: Judgement) -> None:
    """Check a sentence without figures by how much of it the best passages cover."""
    wanted = {}
    for term in claim.terms:
        weight = {"name": 1.5, "concept": 1.0, "word": 0.7}[term.kind] * min(paper.weight(term.key), 2.5)
        wanted[term.key] = max(wanted.get(term.key, 0.0), weight)
    telling = [key for key in wanted if not _common(key)]
    found = paper.search({key: 1.0 for key in wanted}, 3)
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
        result.fail("not found", "no passage of the paper covers this sentence")


_COMMON = frozenset(
    "method model paper result experiment quality gain performance state-of-the-art system framework algorithm"
    " evaluation test training data dataset task benchmark baseline efficient prediction generation research".split()
)


def _common(key: str) -> bool:
    return key in _COMMON
