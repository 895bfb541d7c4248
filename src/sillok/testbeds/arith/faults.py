"""Worked solutions with one planted fault, whose place and kind are known, and the diagnosis of a wrong step."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sillok.testbeds.arith.algebra import (
    Expr,
    Malformed,
    Num,
    Prod,
    Statement,
    Sum,
    add,
    children,
    read,
    show,
    value,
    with_child,
)
from sillok.testbeds.arith.moves import exact, moves, solve
from sillok.testbeds.arith.problems import LARGEST, Problem, is_story, statement_of, work
from sillok.testbeds.arith.verifier import verify

# kinds that make one line wrong; what comes after follows from it ("carried") or from the truth ("recovered")
WRONG = ("off_by_one", "carry", "operation", "sign", "dropped", "copied")
# kinds that add lines to a right solution
ADDED = ("repeated", "circular", "contradiction")
KINDS = (*WRONG, *ADDED)


@dataclass(frozen=True)
class Faulty:
    """A solution with one planted fault.

    `first_error` is the index of the first wrong step, `kind` one of `KINDS`, `reason` what the verifier calls
    it, `recovered` whether the lines after the fault are right again (and the final answer with them).
    """

    text: str
    first_error: int
    kind: str
    reason: str
    recovered: bool


def correct(problem: Problem, rng: random.Random, attempts: int = 8) -> str:
    """A correct solution, by a path drawn among the valid ones; the textbook's where there is no other."""
    for _ in range(attempts):
        steps = work(problem.text, rng)
        if steps is not None and len(set(steps)) == len(steps):
            return "\n".join(steps)
    return problem.solution


def all_solutions(problem: Problem, limit: int = 64) -> list[str]:
    """Correct solutions by every order of valid steps, at most `limit`, the textbook's first."""
    start = statement_of(problem.text)
    found: list[str] = []
    # the last is worked on first, so that each path is finished before the next is begun
    open_paths: list[list[Statement]] = [[start]]
    while open_paths and len(found) < limit:
        path = open_paths.pop()
        following = moves(path[-1])
        if not following and len(path) > 1:
            lines = [show(step) for step in (path if is_story(problem.text) else path[1:])]
            if lines[-1] == problem.steps[-1] and "\n".join(lines) not in found:
                found.append("\n".join(lines))
        texts = [show(step) for step in path]
        open_paths += [[*path, step] for step in reversed(following) if show(step) not in texts]
    return found


def faulty(
    problem: Problem, rng: random.Random, *, kind: str | None = None, recovered: bool | None = None
) -> Faulty | None:
    """The textbook's solution with one fault; None where the problem has no room for one of that kind.

    Args:
        problem: the problem.
        rng: where, which (the kind too, when `kind` is None) and how.
        kind: one of `KINDS`.
        recovered: whether the final answer is right in spite of the fault; either, when None.

    Returns:
        A fault that `verify` finds at the stated index and calls by the stated reason, and of whose kind
        `diagnose` says the same: a wrong step that two kinds of fault could have made is not planted.

    Raises:
        ValueError: an unknown kind.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    kinds = [kind] if kind else rng.sample(KINDS, len(KINDS))
    for name in kinds:
        made = next(_candidates(problem, name, recovered, rng), None)
        if made is not None:
            return made
    return None


def _candidates(problem: Problem, kind: str, recovered: bool | None, rng: random.Random) -> Iterator[Faulty]:
    path = [problem.text, *problem.steps] if not is_story(problem.text) else list(problem.steps)
    lines = list(problem.steps)
    offset = len(path) - len(lines)  # the problem stands before the lines, or (a story) is their first
    places = list(range(1, len(path)))
    rng.shuffle(places)
    for place in places:
        index = place - offset
        if kind in WRONG:
            found = _wrong(path, place, kind)
            rng.shuffle(found)
            for line in found[:4]:
                for back in rng.sample((True, False), 2) if recovered is None else (recovered,):
                    rest = lines[index + 1 :] if back else _carry_on(line)
                    if rest is not None and (rest or not back):
                        faulted = [*lines[:index], line, *rest]
                        yield from _checked(problem, faulted, index, kind, "wrong", back)
        elif recovered is not False:
            extras = list(_additions(path, lines, index, kind))
            rng.shuffle(extras)
            for extra in extras:
                faulted = [*lines[: index + 1], *extra, *lines[index + 1 :]]
                yield from _checked(problem, faulted, index + 1, kind, kind, True)


def _checked(
    problem: Problem, lines: list[str], index: int, kind: str, reason: str, back: bool
) -> Iterator[Faulty]:
    """The fault, if it is what it is meant to be in the verifier's eyes."""
    text = "\n".join(lines)
    verdict = verify(problem, text)
    if verdict.first_error == index and verdict.steps[index].reason == reason and verdict.correct == back:
        yield Faulty(text, index, kind, reason, back)


def _additions(path: list[str], lines: list[str], index: int, kind: str) -> Iterator[list[str]]:
    if kind == "repeated":
        yield [lines[index]]
    elif kind == "circular" and index >= 1:
        yield [lines[index - 1], lines[index]] if index + 1 < len(lines) else [lines[index - 1]]
    elif kind == "contradiction" and index + 1 < len(lines):
        # the line again with a number changed that an earlier step had worked out
        given = set(_numbers(read(path[0])) if not is_story(path[0]) else ())
        for wrong in _copied(read(lines[index]), read(lines[index])):
            changed = set(_numbers(read(lines[index]))) - set(_numbers(wrong))
            if changed and not changed & given:
                yield [show(wrong)]


def diagnose(before: str, line: str) -> str | None:
    """Which kind of fault makes `line` out of the line `before`; None for none of them, or for several.

    Raises:
        ValueError: a line that cannot be read.
    """
    try:
        statement, target = read(before), show(read(line))
    except Malformed as error:
        raise ValueError(f"a line cannot be read: {error}") from error
    kinds = [kind for kind in WRONG if any(show(wrong) == target for wrong in _mutants(statement, kind))]
    return kinds[0] if len(kinds) == 1 else None


def _wrong(path: list[str], place: int, kind: str) -> list[str]:
    """Wrong forms of line `place` of that kind and of no other."""
    before, truth = read(path[place - 1]), read(path[place])
    by_kind = {name: {show(wrong) for wrong in _mutants(before, name)} for name in WRONG}
    others = set().union(*(by_kind[name] for name in WRONG if name != kind))
    right = value(truth)
    # only those that come of the step that the textbook takes here, so that the lines after still fit
    near = {show(wrong) for wrong in _mutants(before, kind, only=show(truth))}
    return sorted(line for line in (by_kind[kind] & near) - others if _says_other(line, right))


def _says_other(line: str, right: object) -> bool:
    try:
        return value(read(line)) not in (right, None)
    except Malformed:
        return False


def _carry_on(line: str) -> list[str] | None:
    steps = solve(read(line))
    if steps is None:
        return None
    lines = [show(step) for step in steps]
    small = all(abs(number) <= LARGEST for step in steps for number in _numbers(step))
    return lines if small and len({line, *lines}) == len(lines) + 1 else None


def _mutants(before: Statement, kind: str, only: str | None = None) -> Iterator[Statement]:
    """Every wrong next line of a kind; `only` keeps those made of the move whose right line it is."""
    following = moves(before)
    right = [show(step) for step in following]
    wanted = [place for place, text in enumerate(right) if only is None or text == only]
    if kind in _SLIPS:
        for slip in _SLIPS[kind]:
            slipped = moves(before, slip)
            if len(slipped) == len(right):  # a slip that makes another step impossible is passed over
                yield from (slipped[place] for place in wanted if show(slipped[place]) != right[place])
        return
    change = {"sign": _signs, "dropped": _drops}.get(kind)
    for place in wanted:
        yield from change(following[place]) if change else _copied(following[place], before)


def _slip(by: int) -> Callable[[int, str, int], int | None]:
    def compute(a: int, operation: str, b: int) -> int | None:
        result = exact(a, operation, b)
        # a number of two digits at least has a carry of ten to lose, one of three a carry of a hundred
        return None if result is None or (abs(by) >= 10 and abs(result) < abs(by)) else result + by

    return compute


def _other(wrong: str) -> Callable[[int, str, int], int | None]:
    def compute(a: int, operation: str, b: int) -> int | None:
        return exact(a, operation, b) if operation == wrong else exact(a, wrong, b)

    return compute


_SLIPS: dict[str, list[Callable[[int, str, int], int | None]]] = {
    "off_by_one": [_slip(1), _slip(-1)],
    "carry": [_slip(10), _slip(-10), _slip(100), _slip(-100)],
    "operation": [_other("+"), _other("-"), _other("*")],
}


def _rebuilt(statement: Statement, change: Callable[[Expr], Iterator[Expr]]) -> Iterator[Statement]:
    """`change` made at one place of a statement, at each place in turn."""

    def walk(expr: Expr) -> Iterator[Expr]:
        yield from change(expr)
        for index, (_, part) in enumerate(children(expr)):
            for inner in walk(part):
                yield with_child(expr, index, inner)

    for place, side in enumerate(statement):
        for other in walk(side):
            yield (*statement[:place], other, *statement[place + 1 :])


def _signs(statement: Statement) -> Iterator[Statement]:
    def flip(expr: Expr) -> Iterator[Expr]:
        if isinstance(expr, Sum):
            for index, (sign, term) in enumerate(expr.terms):
                yield add(*expr.terms[:index], (-sign, term), *expr.terms[index + 1 :])

    yield from _rebuilt(statement, flip)
    for place, side in enumerate(statement):
        if isinstance(side, Num) and side.value:
            yield (*statement[:place], Num(-side.value), *statement[place + 1 :])


def _drops(statement: Statement) -> Iterator[Statement]:
    def drop(expr: Expr) -> Iterator[Expr]:
        if isinstance(expr, Sum) and len(expr.terms) > 1:
            for index in range(len(expr.terms)):
                yield add(*expr.terms[:index], *expr.terms[index + 1 :])
        if isinstance(expr, Prod) and len(expr.factors) > 1:
            for index in range(1, len(expr.factors)):
                left = expr.factors[:index] + expr.factors[index + 1 :]
                yield left[0][1] if len(left) == 1 else Prod(left)

    yield from _rebuilt(statement, drop)


def _copied(statement: Statement, source: Statement) -> Iterator[Statement]:
    """One digit wrong in a number that stands in the source too."""
    known = set(_numbers(source))

    def miscopy(expr: Expr) -> Iterator[Expr]:
        if isinstance(expr, Num) and abs(expr.value) in known:
            digits = str(abs(expr.value))
            for at, old in enumerate(digits):
                for new in "0123456789":
                    text = digits[:at] + new + digits[at + 1 :]
                    if new != old and (text[0] != "0" or len(text) == 1):
                        yield Num(int(text) if expr.value >= 0 else -int(text))

    return _rebuilt(statement, miscopy)


def _numbers(statement: Statement) -> Iterator[int]:
    def walk(expr: Expr) -> Iterator[int]:
        if isinstance(expr, Num):
            yield abs(expr.value)
        for _, part in children(expr):
            yield from walk(part)

    for side in statement:
        yield from walk(side)
