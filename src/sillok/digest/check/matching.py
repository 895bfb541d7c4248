"""Figures of a paper beside one of a summary: how alike their contexts are, and what speaks against a match."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement
from sillok.digest.check.terms import COMMON, Concept, lexicon


@dataclass(slots=True)
class Match:
    """A figure of the paper beside one of the summary."""

    statement: Statement
    index: int
    score: float
    conflicts: list[str]
    misses: list[str]
    metric: bool = False
    theirs: frozenset[str] = frozenset()
    mine: frozenset[str] = frozenset()

    @property
    def figure(self) -> Figure:
        """The paper's figure."""
        return self.statement.figures[self.index]


def candidates(claim: Statement, index: int, paper: Paper) -> tuple[list[Match], list[Match], list[Match]]:
    """Return the paper's figures of equal value, of equal digits in another unit, and of another value."""
    figure = claim.figures[index]
    wanted = _wanted(claim, index, paper)
    total = sum(wanted.values()) or 1.0
    near = set().union(*(paper.by_key.get(key, set()) for key in wanted)) if wanted else set()
    same: list[Match] = []
    unit_only: list[Match] = []
    others: list[Match] = []
    readings = [figure, *_elided(claim, index)]
    points = figure.unit in ("point", "pp")
    if points:
        readings.append(replace(figure, unit="%"))  # "+0.8 %" of an accuracy are points, told rightly
    share = _share(figure)
    for number, one in enumerate(paper.statements):
        for place, found in enumerate(one.figures):
            fits = comparable(figure, found) or (points and found.unit == "%")
            equal = any(comparable(reading, found) and matches(reading, found) for reading in readings)
            equal = equal or (bool(figure.unit) and not found.unit and _left_out(figure, place, one))
            if share is not None and not equal and found.unit in share[0] and 0 < found.value <= share[1]:
                equal = (share[1] > 1 or found.decimals) and matches(share[2], found)
            equal = equal and not (found.word and figure.decimals)
            digits = not fits and found.printed == figure.printed
            if not (equal or digits) and (number not in near or not fits or found.word != figure.word):
                continue
            match = _match(claim, index, one, place, wanted, total, paper)
            (same if equal else unit_only if digits else others).append(match)
    for matched in (same, unit_only, others):
        matched.sort(key=lambda m: (bool(m.conflicts), -m.score))
    return same, unit_only, others


def _elided(claim: Statement, index: int) -> list[Figure]:
    """A figure without a unit in the units of the sentence's other figures: "3.9 minutes rather than 28.6"."""
    figure = claim.figures[index]
    if figure.unit or figure.word or figure.is_year:
        return []
    if claim.text[figure.start : figure.end].endswith("줄"):  # lines, or joules
        return [replace(figure, unit="J")]
    units = {f.unit: f.value / f.printed for f in claim.figures if f.unit and f.printed}
    return [
        replace(figure, unit=unit, value=figure.value * factor, step=figure.step * factor)
        for unit, factor in units.items()
    ]


def _share(figure: Figure) -> tuple[tuple[str, ...], float, Figure] | None:
    """A percentage as a share of 1, or a share as a percentage: the units that it fits, the most, and the figure."""
    if figure.unit == "%":
        return ("", "?"), 1.0, replace(figure, unit="", value=figure.value / 100, step=figure.step / 100)
    if figure.unit == "" and figure.decimals and 0 < figure.value <= 1:
        return ("%",), 100.0, replace(figure, unit="%", value=100 * figure.value, step=100 * figure.step)
    return None


def _left_out(figure: Figure, place: int, one: Statement) -> bool:
    """Tell whether a figure of the paper is equal in the unit of its sentence: "0.9 cents each instead of 0.6"."""
    found = one.figures[place]
    if not 0.8 * figure.printed <= found.printed <= 1.25 * figure.printed:
        return False
    units = {f.unit: f.value / f.printed for f in one.figures if f.unit == figure.unit and f.printed}
    return any(
        matches(figure, replace(found, unit=unit, value=found.value * factor, step=found.step * factor))
        for unit, factor in units.items()
    )


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
    claim: Statement,
    index: int,
    one: Statement,
    place: int,
    wanted: dict[str, float],
    total: float,
    paper: Paper,
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
        elif key in one.context or (key in paper.own and not one.cell):
            score += 0.5 * weight
    score /= total
    beside = [f for n, f in enumerate(claim.figures) if n != index]
    if beside and not one.cell:
        shared = sum(any(comparable(f, g) and matches(f, g) for g in one.figures) for f in beside)
        score += 0.3 * shared / len(beside)
    mine, conflicts, misses, metrics = _conflicts(claim, index, one, place, paper)
    shown = [paper.show(key) for key in conflicts]
    metric = bool(metrics and not conflicts)
    return Match(
        one,
        place,
        score - 0.08 * len(misses),
        shown + metrics,
        misses,
        metric,
        frozenset(conflicts),
        frozenset(mine),
    )


def _conflicts(
    claim: Statement, index: int, one: Statement, place: int, paper: Paper
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return names of the summary, what the paper has in their place, names missing there, and other metrics."""
    bound, held = one.bound[place], one.bound[place] | one.shared | one.near[place]
    names: list[str] = []
    conflicts: list[str] = []
    misses: list[str] = []
    mine = claim.bound[index] | ((claim.near[index] & claim.shared) - claim.objects)
    if _alone(claim, index) and index not in claim.open:
        mine = mine | claim.shared
    said = claim.keys
    for key in mine:
        if key in held or key.startswith("~") or paper.aliases.get(key, set()) & held:
            continue
        rivals = {rival for rival in paper.rivals.get(key, ()) if not rival.startswith("~")}
        named = key not in lexicon().concepts
        if not named and (
            lexicon().concepts[key].metric
            or key in one.others[place]
            or (key in one.context and not one.cell)
        ):
            continue
        foreign = (rivals & (bound if key in paper.own else held)) - mine
        if not foreign and named and key not in paper.own and key not in one.context | one.others[place]:
            foreign = (rivals & one.context) - mine - paper.own
        if not named:
            foreign = foreign - said
        if foreign:
            names.append(key)
            conflicts.append(sorted(foreign)[0])
        elif named and key not in one.context and key in paper.names and key not in paper.own:
            misses.append(key)
    if not mine & paper.own:
        owners = {k for own in paper.own for k in paper.rivals.get(own, ())}
        alien = (bound & owners) - said
        if alien and not (bound & said & (owners | paper.own)) and not (mine & owners) and not one.objects:
            misses.extend(sorted(alien)[:2])
    against = (claim.objects & mine) - COMMON
    theirs = (one.objects & held) - COMMON
    if against and theirs and not against & (held - one.shared) and not theirs & said:
        names.extend(against)
        conflicts.append(sorted(theirs)[0])
    return names, conflicts, misses, _metrics(claim.figures[index].unit, mine, one, place)


def _alone(claim: Statement, index: int) -> bool:
    """Tell whether a sentence has one figure only, or one pair "from A to B"."""
    return all(n == index or claim.bound[n] == claim.bound[index] for n in range(len(claim.figures)))


#: Metrics that a unit can measure; of a sentence's metrics only these count for a figure in that unit.
_OF_UNIT = {
    "byte": {"size", "memory", "traffic", "bandwidth"},
    "s": {"time", "latency", "training-time", "speed"},
    "$": {"cost"},
}


def _metrics(unit: str, mine: set[str], one: Statement, place: int) -> list[str]:
    """Return the paper's metric where it is another than the summary's."""
    known = lexicon().concepts
    claimed = _metrics_of(mine) or [known[k] for k in mine & {"quality"}]
    there = [known[k] for k in one.bound[place] if k in known and known[k].metric]
    if not there and not one.cell:  # "Recall is higher: X reaches 56.8 %"
        start = one.figures[place].start
        before = {t.key for t in one.terms if t.end <= start} & one.shared
        there = [known[k] for k in before if k in known and known[k].metric]
    if unit in _OF_UNIT:
        there = [metric for metric in there if metric.id in _OF_UNIT[unit]]
        claimed = [metric for metric in claimed if metric.id in _OF_UNIT[unit]]
    if not claimed or not there or any(_same_metric(c, t) for c in claimed for t in there):
        return []
    around = [known[k] for k in one.shared if k in known and known[k].metric]
    if any(c.id == t.id for c in claimed for t in around):
        return []
    return [there[0].id]


def _same_metric(one: Concept, other: Concept) -> bool:
    if one.id == other.id or {one.id, other.id} & {"quality", "cost", "ratio"}:
        return True
    if {one.id, other.id} <= {"accuracy", "success", "pass-rate", "exact-match", "total-score"}:
        return True  # a share of what was done right, under whatever name
    if {one.id, other.id} == {"agreement", "exact-match"}:
        return True
    if one.family == other.family and (one.id == one.family or other.id == other.family):
        return True
    if {one.id, other.id} <= {"speed", "fps", "throughput", "latency", "time"}:
        return True  # what is quick or slow: a unit tells which of them is meant
    return {one.id, other.id} <= {"size", "memory"}


def is_label(match: Match) -> bool:
    """Tell whether a figure of the paper stands in a header or in the first cell of a row: a setting and no result."""
    one = match.statement
    return one.cell and (len(one.places) == 1 or one.line("column") == 0)


def settles(claim: Statement, index: int, match: Match, paper: Paper) -> bool:
    """Tell whether a match leaves no doubt: it has all names and a metric of the figure, or all figures beside it."""
    one = match.statement
    if corroborated(claim, index, match, paper):
        return True
    if _missing(_named(claim, index), one, match.index, paper):
        return False
    beside = [f for n, f in enumerate(claim.figures) if n != index and not f.word]
    if beside and not one.cell and all(_among(one.figures, f) for f in beside):
        return True
    named = {t.key for t in claim.terms if t.kind == "name"} & claim.bound[index]
    return bool(named & (one.bound[match.index] | (set() if one.cell else one.keys))) and _agree(
        claim, index, one, match.index
    )


def corroborated(claim: Statement, index: int, match: Match, paper: Paper) -> bool:
    """Tell whether other figures of the sentence stand beside the paper's figure: in its passage, row or column.

    Small whole numbers stand anywhere, so that they count only within the same sentence.
    """
    figure, one = claim.figures[index], match.statement
    exact = figure.digits > 2 or abs(figure.value - match.figure.value) <= 1e-9 * abs(figure.value)
    names = {t.key for t in claim.terms if t.kind == "name"} & claim.bound[index]
    if match.conflicts or not exact or _missing(names, one, match.index, paper):
        return False
    count = not figure.unit and not figure.decimals and figure.value < 1000
    places = () if count and not one.cell else one.places
    for number, other in enumerate(claim.figures):
        if number == index or other.word:
            continue
        if not one.cell and _among(one.figures, other):
            return True
        if (other.digits > 1 or other.unit) and any(paper.stands(other, place) for place in places):
            return True
    return False


def _among(group: list[Figure], figure: Figure) -> bool:
    return any(comparable(figure, other) and matches(figure, other) for other in group)


def tells(claim: Statement, index: int, match: Match, paper: Paper, *, unit: bool = True) -> bool:
    """Tell whether another value of the paper is one of the same metric, data set and side, so that it contradicts.

    Of an abstract alone the sentence must name a metric; `unit` says whether the unit must be the same.
    """
    figure, other = claim.figures[index], match.figure
    if unit and figure.unit != other.unit and "?" not in (figure.unit, other.unit):
        scores = {"", "%", "pp", "point"}
        if not {figure.unit, other.unit} <= scores or (other.step >= 1 and not other.decimals):
            return False
        if not 1 / 30 < other.value / (figure.value or 1.0) < 30:
            return False
    if other.is_year and not figure.is_year:
        return False
    if paper.thin and not _metrics_of(claim.bound[index] | claim.shared):
        return False
    if paper.thin and _is_change(match.statement, match.index) != _is_change(claim, index):
        return False  # "a gain of 7.1 %" says nothing of "reaches 61.0 %"
    count = not figure.unit and figure.step >= 1 and not match.statement.cell
    if count and not _counted(claim, index) & _counted(match.statement, match.index):
        return False
    return not _missing(_named(claim, index), match.statement, match.index, paper) and _agree(
        claim, index, match.statement, match.index
    )


def _is_change(one: Statement, index: int) -> bool:
    """Tell whether a word of comparison stands so close to a figure that it is a difference and no level."""
    turn, figure = one.turn[index], one.figures[index]
    return turn is not None and max(turn.start - figure.end, figure.start - turn.end) <= 6 + 6 * (
        not one.korean
    )


def _counted(one: Statement, index: int) -> set[str]:
    """The terms close to a figure, which say what is counted."""
    figure = one.figures[index]
    return {t.key for t in one.terms if -8 <= t.start - figure.end <= 24 or 0 <= figure.start - t.end <= 4}


def _named(claim: Statement, index: int) -> set[str]:
    """The names that stand with a figure."""
    return {t.key for t in claim.terms if t.kind == "name"} & (claim.bound[index] | claim.near[index])


def _missing(named: set[str], one: Statement, place: int, paper: Paper) -> set[str]:
    """Those names that do not stand with a figure of the paper."""
    held = one.bound[place] | one.context | paper.own
    if not one.cell:  # of an abstract the figure's own names count, not all those of its sentence
        held = held | (one.shared | one.near[place] if paper.thin else one.keys)
    return {key for key in named if key not in held and not paper.aliases.get(key, set()) & held}


def _metrics_of(keys: set[str]) -> list[Concept]:
    known = lexicon().concepts
    return [known[k] for k in keys if k in known and known[k].metric and k != "quality"]


def _agree(claim: Statement, index: int, one: Statement, place: int) -> bool:
    """Tell whether two figures are of one metric as far as both sentences name it."""
    mine = _metrics_of(claim.bound[index]) or _metrics_of(claim.shared)
    there = _metrics_of(one.bound[place] | one.shared | (one.context if one.cell else set()))
    return not mine or any(_same_metric(m, t) for m in mine for t in there)
