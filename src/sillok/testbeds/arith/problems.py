"""Problems at six levels of difficulty, deterministic by seed, in splits that never share a text."""

from __future__ import annotations

import functools
import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sillok.testbeds.arith.algebra import (
    Expr,
    Malformed,
    Num,
    Statement,
    Var,
    add,
    divide,
    read,
    show,
    solved,
    times,
    value,
)
from sillok.testbeds.arith.moves import solve, x_times
from sillok.testbeds.base import check_count, check_split

SPLITS = ("train", "val", "test")
LEVELS = (1, 2, 3, 4, 5, 6)
LARGEST = 9999  # of a number in a problem's own working
LONGEST = 124  # characters of a problem and its solution
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True)
class Problem:
    """A problem: its text, integer answer, level 1 to 6, kind, and the textbook's steps (the last the answer)."""

    text: str
    answer: int
    level: int
    kind: str
    steps: tuple[str, ...]

    @property
    def prompt(self) -> str:
        """What a model is given: the text and the end of its line."""
        return self.text + "\n"

    @property
    def solution(self) -> str:
        """The worked solution: one step a line."""
        return "\n".join(self.steps)


def split_of(text: str) -> str:
    """The split of a problem, by a hash of its text: one tenth each for val and test."""
    return {0: "val", 1: "test"}.get(hashlib.sha256(text.encode()).digest()[0] % 10, "train")


@functools.lru_cache(maxsize=4096)
def statement_of(text: str) -> Statement:
    """What a problem's text asks for, as an expression or an equation.

    Raises:
        ValueError: the text is neither algebra nor one of the stories told here.
    """
    for pattern, build in _STORIES:
        found = pattern.fullmatch(text)
        if found:
            return (build(*(Num(int(group)) for group in found.groups())),)
    try:
        statement = read(text)
        known = value(statement)
    except Malformed as error:
        raise ValueError(f"problem {text[:40]!r} cannot be read: {error}") from error
    if known is None:
        raise ValueError(f"problem {text[:40]!r} has no single solution")
    return statement


def problems(
    split: str, n: int, seed: int = 0, *, levels: tuple[int, ...] = LEVELS, unique: bool = False
) -> list[Problem]:
    """`n` problems of a split, the levels in turn.

    Args:
        split: train, val or test.
        n: how many; the first ones do not depend on it.
        seed: other problems for another seed (level 1 has few: seeds share some).
        levels: which of 1 to 6.
        unique: no text twice.

    Raises:
        ValueError: an unknown split or level, a count below 1, or more unique problems than there are.
    """
    check_split(split, SPLITS)
    check_count("n", n)
    if not levels or not set(levels) <= set(LEVELS):
        raise ValueError(f"levels must be some of {LEVELS}; got {levels!r}")
    rng = random.Random(f"{split}/{seed}")
    found: list[Problem] = []
    seen: set[str] = set()
    misses = 0
    while len(found) < n:
        problem = draw(levels[len(found) % len(levels)], rng)
        if split_of(problem.text) == split and not (unique and problem.text in seen):
            found.append(problem)
            seen.add(problem.text)
            misses = 0
        elif (misses := misses + 1) > 20_000:
            raise ValueError(f"n must be at most about {len(found)} unique problems of {levels!r}; got {n}")
    return found


def draw(level: int, rng: random.Random) -> Problem:
    """One problem of a level, of whatever split."""
    while True:
        kind = rng.choice(_KINDS[level])
        text = _MAKERS[kind](level, rng)
        steps = work(text)
        if steps is None or any(int(number) > LARGEST for step in steps for number in _DIGITS.findall(step)):
            continue
        answer = solved(read(steps[-1]))
        if answer is not None and len(text) + sum(map(len, steps)) + len(steps) < LONGEST:
            return Problem(text, answer, level, kind, tuple(steps))


def work(text: str, rng: random.Random | None = None) -> list[str] | None:
    """A worked solution: the textbook's, or one at random among the valid ones; a story is first put in figures.

    None where the answer is no integer.
    """
    statement = statement_of(text)
    steps = solve(statement, rng)
    if steps is None:
        return None
    return [show(step) for step in ([statement, *steps] if is_story(text) else steps)]


def is_story(text: str) -> bool:
    """Whether a problem is told in words."""
    return any(pattern.fullmatch(text) for pattern, _ in _STORIES)


def _sum(level: int, rng: random.Random) -> str:
    count = {1: 2, 2: 3, 3: 3, 4: 4, 5: 4, 6: 4}[level]
    top = {1: 99, 2: 99, 3: 150, 4: 400, 5: 999, 6: 4000}[level]
    terms: list[tuple[int, Expr]] = [(1, Num(_number(rng, top)))]
    total = terms[0][1].value  # type: ignore[union-attr]
    for _ in range(count - 1):
        number = _number(rng, top)
        sign = -1 if rng.random() < 0.45 and (number <= total or (level >= 4 and rng.random() < 0.3)) else 1
        total += sign * number
        terms.append((sign, Num(number)))
    return show((add(*terms),))


def _number(rng: random.Random, top: int) -> int:
    """From 1 to top, shorter numbers more often than their share."""
    return rng.randint(1, rng.choice([top, top, min(top, 99), min(top, 20)]))


def _product(level: int, rng: random.Random) -> str:
    if level <= 3 and rng.random() < 0.4:
        b = rng.randint(2, 9)
        return show((divide(Num(b * rng.randint(2, 10 if level == 2 else 20)), Num(b)),))
    a = rng.randint(11, {2: 30, 3: 50}.get(level, 99))
    b = rng.randint(2, 9) if level <= 4 else rng.randint(11, 99 if level == 6 else 30)
    return show((times(*rng.sample([Num(a), Num(b)], 2)),))


def _mixed(level: int, rng: random.Random) -> str:
    """A product among sums, without parentheses."""
    terms: list[tuple[int, Expr]] = [
        (1, times(Num(rng.randint(2, 12 if level < 5 else 40)), Num(rng.randint(2, 9))))
    ]
    for _ in range({3: 1, 4: 1, 5: 2}[level]):
        product = level > 3 and rng.random() < 0.5
        term = (
            times(Num(rng.randint(2, 19)), Num(rng.randint(2, 9)))
            if product
            else Num(_number(rng, 99 if level == 3 else 199))
        )
        terms.append((rng.choice([1, 1, -1]), term))
    rng.shuffle(terms)
    if terms[0][0] < 0:
        terms[0] = (1, terms[0][1])
    return show((add(*terms),))


def _nested(level: int, rng: random.Random) -> str:
    """Parentheses: (a+b)*c and one operation around it at level 4, more above."""
    a, b = (rng.randint(2, 40 if level < 6 else 90) for _ in range(2))
    inner = add((1, Num(max(a, b))), (rng.choice([1, -1]), Num(min(a, b))))
    expr = times(*rng.sample([inner, Num(rng.randint(2, 9))], 2))
    for depth in range(min(level - 3, 2)):
        other = Num(rng.randint(2, 199 if level < 6 else 400))
        expr = (
            add(*rng.sample([(1, expr), (1, other)], 2))
            if rng.random() < 0.5
            else add((1, expr), (-1, other))
        )
        if depth and rng.random() < (0.3 if level == 5 else 0.8):
            expr = times(*rng.sample([expr, Num(rng.randint(2, 9))], 2))
    return show((expr,))


def _equation(level: int, rng: random.Random) -> str:
    x = rng.randint(1, {2: 60, 3: 20, 4: 20, 5: 25, 6: 40}[level])
    b, c, e = (rng.randint(1, 30 if level < 6 else 60) for _ in range(3))
    sign = rng.choice([1, -1])
    if level == 2:
        return show((add((1, Var()), (sign, Num(b))), Num(x + sign * b)))
    a = rng.randint(2, 9)
    if level == 3:
        return show((add((1, x_times(a)), (sign, Num(b))), Num(a * x + sign * b)))
    if level == 4:
        d = rng.randint(1, a - 1)
        rest = (a - d) * x + sign * b
        right = add((1, x_times(d)), (1, Num(rest))) if rest else x_times(d)
        return show((add((1, x_times(a)), (sign, Num(b))), right))
    inside = add((1, Var()), (sign, Num(b)))
    total = a * (x + sign * b)
    if level == 5:
        return show((add((1, times(Num(a), inside)), (-1, Num(c))), Num(total - c)))
    d = rng.randint(1, a - 1)
    other = times(Num(d), add((1, Var()), (1, Num(e)))) if d > 1 else add((1, Var()), (1, Num(e)))
    rest = total - d * (x + e)
    terms = other.terms if d == 1 else ((1, other),)  # type: ignore[union-attr]
    return show((times(Num(a), inside), add(*terms, (1, Num(rest)))))


def _story(level: int, rng: random.Random) -> str:
    few, many = rng.randint(2, 9), rng.randint(10, 60 if level < 5 else 300)
    number = rng.randint(2, 60 if level < 5 else 300)
    return rng.choice(_TOLD[level]).format(few=few, many=many, number=number, more=rng.randint(2, 9))


# a story's text, what it asks for, and the levels at which it is told
def _tales() -> Iterator[tuple[str, Callable[..., Expr], tuple[int, ...]]]:
    yield "{few} bags of {many}, lose {number}. left?", lambda a, b, c: add((1, times(a, b)), (-1, c)), (3, 4)
    yield "{few} boxes of {many} and {number} more. all?", lambda a, b, c: add((1, times(a, b)), (1, c)), (3,)
    yield (
        "ann has {many}, bob {number} more. both?",
        lambda a, b: add((1, a), (1, add((1, a), (1, b)))),
        (3, 4),
    )
    yield (
        "ann has {many}, bob {few} times as many. both?",
        lambda a, b: add((1, a), (1, times(b, a))),
        (4, 5),
    )
    yield (
        "{many} a day for {few} days, then {number} for {more}. all?",
        lambda a, b, c, d: add((1, times(a, b)), (1, times(c, d))),
        (5,),
    )


_TOLD: dict[int, list[str]] = {
    level: [text for text, _, levels in _tales() if level in levels] for level in (3, 4, 5)
}
_STORIES = [
    (re.compile(re.sub(r"\\\{\w+\\\}", "([0-9]{1,4})", re.escape(text))), build)
    for text, build, _ in _tales()
]
_MAKERS: dict[str, Callable[[int, random.Random], str]] = {
    "sum": _sum,
    "product": _product,
    "mixed": _mixed,
    "nested": _nested,
    "equation": _equation,
    "story": _story,
}
_KINDS: dict[int, tuple[str, ...]] = {
    1: ("sum",),
    2: ("sum", "product", "equation"),
    3: ("sum", "product", "mixed", "equation", "story"),
    4: ("sum", "mixed", "nested", "equation", "story"),
    5: ("sum", "mixed", "nested", "equation", "story"),
    6: ("sum", "product", "nested", "equation"),
}
