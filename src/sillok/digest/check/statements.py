"""Statements: sentences and table cells with their figures, and which terms belong to which figure."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sillok.digest.check.comparisons import Direction, directions, objects, subjects
from sillok.digest.check.figures import Figure, figures
from sillok.digest.check.terms import Term, lexicon, terms

_ENGLISH = re.compile(
    r"[;:]|,(?![0-9])|\b(?:and|but|while|whereas|although|though|against|versus|vs\.?|compared (?:with|to)"
    r"|instead of|rather than|as opposed to|followed by|ahead of)\b|[()]"
)
_KOREAN = re.compile(
    r"[;:]|,(?![0-9])|(?<=[가-힣][고며])\s|(?<=지만)\s|(?<=는데)\s|(?<=반면)\s|(?<=면서)\s|(?<=달성해)\s|(?<=기록해)\s|(?<=으나)\s|[()]"
)
_PAIR = re.compile(r"\s*(?:to|→|->|에서|부터|–|-|~|에서 약|to about|to around)\s*\Z")
_JOIN = re.compile(r"\s*(?:,|and|or|, and|&|와|과|및|이|,\s*그리고)\s*\Z")
_VERSUS = re.compile(r"\([^()]*(?:\bversus\b|\bvs\b|\bagainst\b|\bcompared|대)[^()]*\)")
_EACH = re.compile(r"\brespectively\b|각각")


@dataclass(slots=True)
class Statement:
    """A sentence (or a cell of a table) with what it says.

    Attributes:
        text: without Markdown.
        figures, terms, directions: in the order of the text.
        bound: for each figure, the keys of the terms that stand with it.
        shared: keys that stand with none, and hence with all.
        near: for each figure without a name of its own, the names elsewhere in the sentence.
        others: for each figure, the keys that stand with another figure only.
        objects: keys of what the sentence compares with ("than X").
        subjects: keys of what its clauses speak of.
        open: figures of which the sentence does not say whose they are: the second of "28.9 against 28.5".
        turn: for each figure the direction that goes with it, or None.
        passage: number of the passage in the paper (-1 for a summary's sentence).
        places: what it shares with figures that stand beside its own: its passage, or its row and column.
        context: keys around it: its heading, caption or the sentences before it.
        cell: whether it is a cell of a table.
        korean: whether names stand before their figures, as in Korean.
    """

    text: str
    figures: list[Figure]
    terms: list[Term]
    directions: list[Direction] = field(default_factory=list)
    bound: list[set[str]] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    near: list[set[str]] = field(default_factory=list)
    others: list[set[str]] = field(default_factory=list)
    objects: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    turn: list[Direction | None] = field(default_factory=list)
    passage: int = -1
    places: tuple[tuple[int, str, int], ...] = ()
    context: set[str] = field(default_factory=set)
    cell: bool = False
    korean: bool = False

    def line(self, axis: str) -> int:
        """The number of the row or column that a cell stands in; -1 where there is none."""
        return next((number for _, name, number in self.places if name == axis), -1)

    @property
    def keys(self) -> set[str]:
        """The keys of all terms."""
        return {term.key for term in self.terms}


def statement(text: str, korean: bool | None = None, called: Collection[str] = ()) -> Statement:
    """Read a sentence (without Markdown and LaTeX); `korean` is told by the script where it is None.

    `called` are keys that are names wherever they stand capitalised.
    """
    if korean is None:
        korean = re.search("[가-힣]", text) is not None
    found = terms(text, called)
    names = [(t.start, t.end) for t in found if t.kind == "name"]
    turns = [d for d in directions(text) if not any(start <= d.start < end for start, end in names)]
    result = Statement(text, figures(text, names), found, turns, korean=korean)
    result.terms = [
        t for t in found if not any(f.start < t.start < f.end and t.kind != "name" for f in result.figures)
    ]
    known = lexicon().concepts
    things = [(t.key, t.start, t.end) for t in result.terms if t.kind == "name" or t.key in known]
    result.objects = objects(text, things)
    result.subjects = subjects(text, things) - result.objects
    _bind(result)
    return result


def _clauses(text: str, korean: bool) -> list[tuple[int, int]]:
    """Divide at commas and conjunctions; brackets divide only where they hold a figure."""
    spans = [m.span() for m in re.finditer(r"\([^()]*\)", text) if not re.search(r"[0-9]", m[0])]
    cuts = []
    for match in (_KOREAN if korean else _ENGLISH).finditer(text):
        if not any(start <= match.start() < end for start, end in spans):
            cuts.append(match.start())
    cuts = [0, *(cut for cut in dict.fromkeys(cuts) if cut > 0), len(text)]
    return list(itertools.pairwise(cuts))


def _bind(one: Statement) -> None:
    clauses = _clauses(one.text, one.korean)
    place = _place(clauses)
    inside: list[list[int]] = [[] for _ in clauses]
    held: list[list[Term]] = [[] for _ in clauses]
    for index, figure in enumerate(one.figures):
        inside[place(figure.start)].append(index)
    for term in one.terms:
        # "TwinTeach (34.2 %)": the name goes with the figure in the brackets after it.
        inner = (
            re.match(r"\s?\(\s?(?=[~<>]?[0-9])", one.text[term.end : term.end + 3])
            if term.kind == "name"
            else None
        )
        held[place(term.end + inner.end() if inner else term.start)].append(term)
    bound: list[set[str]] = [set() for _ in one.figures]
    adopted: set[int] = set()
    for number in range(len(clauses)):
        if not inside[number]:
            continue
        own = held[number]
        telling = [t for t in own if t.kind != "word"]
        if not telling:
            source = _adopted(number, inside, held)
            if source is not None:
                adopted.add(source)
                own = own + held[source]
        _assign(one, inside[number], own, bound)
    if _EACH.search(one.text):
        _pair(one, bound)
    _bracketed(one, bound)
    loose = _contrasted(one, bound)
    one.bound = bound
    one.shared = {
        t.key
        for number in range(len(clauses))
        if not inside[number] and number not in adopted
        for t in held[number]
    }
    every = set().union(*bound) if bound else set()
    named = {t.key for t in one.terms if t.kind == "name"}
    one.near = [set() if keys & named else (every | one.shared) & named for keys in bound]
    for index, keys in loose.items():
        one.near[index] |= keys & named
    for index in one.open:
        one.near[index] = set()
    one.others = [every - keys - one.shared - near for keys, near in zip(bound, one.near, strict=True)]
    for index in range(len(one.figures)):
        turn = _turn(one, clauses, inside, index)
        joined = index and _JOIN.match(one.text[one.figures[index - 1].end : one.figures[index].start])
        one.turn.append(one.turn[-1] if turn is None and joined else turn)


def _place(clauses: list[tuple[int, int]]) -> Callable[[int], int]:
    def at(offset: int) -> int:
        return next((n for n, (start, end) in enumerate(clauses) if start <= offset < end), len(clauses) - 1)

    return at


def _adopted(number: int, inside: list[list[int]], held: list[list[Term]]) -> int | None:
    """The clause whose terms a bare figure takes over: the one before it, or the one after it at the start."""
    for index in range(number - 1, -1, -1):
        if any(t.kind != "word" for t in held[index]):
            return index
    if number + 1 < len(held) and not inside[number + 1] and held[number + 1]:
        return number + 1
    return None


def _assign(one: Statement, numbers: list[int], own: list[Term], bound: list[set[str]]) -> None:
    """Divide a clause's names among its figures; what is no name goes to all of them."""
    groups = _groups(one, numbers)
    names = [t for t in own if t.kind == "name"]
    if len(groups) == 1 or not names:
        for index in numbers:
            bound[index].update(t.key for t in own)
        return
    spread: dict[int, set[str]] = {g: set() for g in range(len(groups))}
    for term in names:
        spread[_nearest(one, groups, term)].add(term.key)
    for number, group in enumerate(groups):
        for index in group:
            bound[index].update(t.key for t in own if t.kind != "name")
            bound[index].update(spread[number])


def _groups(one: Statement, numbers: list[int]) -> list[list[int]]:
    """Figures of one clause, those of "from A to B" together."""
    groups: list[list[int]] = []
    for index in numbers:
        if groups:
            between = one.text[one.figures[groups[-1][-1]].end : one.figures[index].start]
            if _PAIR.match(between):
                groups[-1].append(index)
                continue
        groups.append([index])
    return groups


def _nearest(one: Statement, groups: list[list[int]], term: Term) -> int:
    starts = [one.figures[g[0]].start for g in groups]
    ends = [one.figures[g[-1]].end for g in groups]
    after = [n for n, start in enumerate(starts) if start >= term.end]
    before = [n for n, end in enumerate(ends) if end <= term.start]
    if one.korean or not after or not before:
        return after[0] if after else before[-1]
    linked = re.fullmatch(
        r"\s*\S{0,12}\s*(?:for|of|with|by|in|on|at)\s+(?:the\s+)?", one.text[ends[before[-1]] : term.start]
    )
    near = term.start - ends[before[-1]] < starts[after[0]] - term.end
    return before[-1] if linked or near else after[0]


def _pair(one: Statement, bound: list[set[str]]) -> None:
    """Pair lists of equal length in order where the sentence says "respectively" or "각각"."""
    names = [t for t in one.terms if t.kind == "name"]
    called = runs([(t.start, t.end) for t in names], one.text)
    lists = runs([(f.start, f.end) for f in one.figures], one.text)
    for figures_ in lists:
        for named in called:
            if len(figures_) == len(named) > 1:
                keys = {names[n].key for n in named}
                for index, n in zip(figures_, named, strict=True):
                    bound[index] = (bound[index] - keys) | {names[n].key}
                break


def _bracketed(one: Statement, bound: list[set[str]]) -> None:
    """Pair figures in brackets with the names before them: "A beats B (27.5 versus 34.2)"."""
    names = [t for t in one.terms if t.kind == "name"]
    for match in _VERSUS.finditer(one.text):
        inside = [n for n, f in enumerate(one.figures) if match.start() < f.start < match.end()]
        before = [t for t in names if t.end <= match.start()]
        if len(inside) != 2 or len(before) < 2 or any(match.start() < t.start < match.end() for t in names):
            continue
        keys = {t.key for t in before}
        for index, term in zip(inside, before[-2:], strict=True):
            bound[index] = (bound[index] - keys) | {term.key}


_AGAINST = re.compile(
    r"\s*(?:mIoU|points?)?,?\s*(?:vs\.?|versus|against|compared (?:with|to)|instead of|rather than|as opposed to"
    r"|up from|down from)\s*\Z"
)
_OF_FIRST = re.compile(r"(?:\([^()]*\))?의\s(?:약\s)?\Z")


def _contrasted(one: Statement, bound: list[set[str]]) -> dict[int, set[str]]:
    """Loosen names of two figures of which only one is theirs, and return them by figure.

    "Outperforms B, 68.5 vs. 66.3": B has the second; "C is better with 28.9 against 28.5": C has the first;
    "B의 45.8에서 52.0으로": B may have the first only.
    """
    loose: dict[int, set[str]] = {}
    names = [t for t in one.terms if t.kind == "name"]
    for index, (left, right) in enumerate(itertools.pairwise(one.figures)):
        between = one.text[left.end : right.start]
        after = one.text[right.end : right.end + 14]
        both = {t.key for t in names} & bound[index] & bound[index + 1]
        if _AGAINST.match(between) and not re.match(r"\W*(?:for|of|with|by)\b", after):
            theirs = both & one.objects
            if not bound[index + 1] & one.objects:
                one.open.add(index + 1)
            loose[index], loose[index + 1] = theirs, both - theirs
        elif re.fullmatch(r"에서\s(?:약\s)?", between):
            mine = {
                t.key
                for t in one.terms
                if t.kind != "word" and _OF_FIRST.fullmatch(one.text[t.end : left.start])
            }
            loose[index + 1] = bound[index + 1] & mine
    for index, keys in loose.items():
        bound[index] = bound[index] - keys
    return loose


def runs(spans: list[tuple[int, int]], text: str) -> list[list[int]]:
    """Return the runs of stretches that stand in a list ("A, B and C"), as their numbers."""
    found: list[list[int]] = []
    for index, (start, _) in enumerate(spans):
        if found and _JOIN.match(text[spans[found[-1][-1]][1] : start]):
            found[-1].append(index)
        else:
            found.append([index])
    return [run for run in found if len(run) > 1]


def _turn(
    one: Statement, clauses: list[tuple[int, int]], inside: list[list[int]], index: int
) -> Direction | None:
    """The direction that goes with a figure: nearest in its clause, else in a neighbouring clause without figures."""
    at = _place(clauses)
    number = at(one.figures[index].start)
    figure = one.figures[index]
    here = [d for d in one.directions if at(d.start) == number]
    if not here:
        for near in (number + 1, number - 1):
            if 0 <= near < len(clauses) and not inside[near]:
                here = [d for d in one.directions if at(d.start) == near]
                if here:
                    break
    if one.korean:  # a predicate stands after its figure: what follows another figure belongs to that one
        here = [
            d
            for d in here
            if d.start >= figure.end
            or not any(f.end <= d.start and f.end < figure.start for f in one.figures)
        ]
    if one.korean and any(d.start >= figure.end for d in here):
        here = [d for d in here if d.start >= figure.end]
    return min(here, key=lambda d: max(d.start - figure.end, figure.start - d.end), default=None)


def counted(one: Statement, index: int) -> set[str]:
    """The terms that say what is counted: the two after the figure, in Korean the one after it or the one before."""
    figure = one.figures[index]
    after = [t for t in one.terms if 0 <= t.start - figure.end <= (4 if one.korean else 18)]
    before = [t for t in one.terms if figure.start - t.end == 1] if one.korean else []
    ends = min((f.start for f in one.figures if f.start > figure.start), default=len(one.text))
    things = (*after[: 1 if one.korean else 2], *before[-1:])
    return {t.key for t in things if t.start < ends and t.kind != "name" and t.key not in _NO_THINGS}


#: Terms that stand after a count and are not what is counted.
_NO_THINGS = frozenset(("~instead", "average", "~averag", "~mean", "~total", "~respect"))


def is_count(figure: Figure) -> bool:
    """Tell whether a figure counts things: a whole number without a unit."""
    return figure.unit == "" and figure.value >= 2 and figure.step >= 1 and not figure.is_year


def counts_of(statements: list[Statement], heads: set[str]) -> dict[str, list[Figure]]:
    """Whole numbers without a unit, by the terms that say what they count; in tables, by the headers' terms."""
    found: dict[str, list[Figure]] = defaultdict(list)
    for one in statements:
        for place, figure in enumerate(one.figures):
            if (
                figure.unit not in ("", "?")
                or figure.decimals
                or figure.value < 2
                or figure.step < 1
                or figure.is_year
            ):
                continue
            for key in one.bound[place] & heads if one.cell else counted(one, place):
                found[key].append(figure)
    return found
