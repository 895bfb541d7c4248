"""One step of working: every statement that follows from another by one operation, and whole solutions."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from sillok.testbeds.arith.algebra import (
    Expr,
    Num,
    Prod,
    Statement,
    Sum,
    Var,
    add,
    children,
    divide,
    has_x,
    solved,
    times,
    with_child,
)

Compute = Callable[[int, str, int], int | None]
MAX_STEPS = 24


def exact(a: int, operation: str, b: int) -> int | None:
    """a operation b, or None for a division that leaves a remainder."""
    if operation == "/":
        return a // b if b and a % b == 0 else None
    return a + b if operation == "+" else a - b if operation == "-" else a * b


def moves(statement: Statement, compute: Compute = exact) -> list[Statement]:
    """All statements one operation further, the textbook's next step first; none when it is solved or stuck.

    `compute` does the arithmetic of numbers: another function than `exact` plants an error (see `faults`).
    """
    if solved(statement) is not None:
        return []
    found: list[Statement] = []
    for place, side in enumerate(statement):
        for reduced in _reductions(side, compute):
            found.append((*statement[:place], reduced, *statement[place + 1 :]))
    if len(statement) == 2:
        found += _rearrangements(statement[0], statement[1])
    return found


def solve(statement: Statement, rng: random.Random | None = None) -> list[Statement] | None:
    """The steps after `statement` down to its answer: the textbook's, or at random among all that are valid.

    None where the answer is no integer, or where the rules here do not get to it.
    """
    steps: list[Statement] = []
    while solved(statement) is None:
        following = moves(statement)
        if not following or len(steps) == MAX_STEPS:
            return None
        statement = following[0] if rng is None else rng.choice(following)
        steps.append(statement)
    return steps


def _reductions(expr: Expr, compute: Compute) -> Iterator[Expr]:
    parts = children(expr)
    for index, (_, part) in enumerate(parts):
        for reduced in _reductions(part, compute):
            yield with_child(expr, index, reduced)
    for index in range(len(parts) - 1):
        if isinstance(expr, Sum):
            yield from _join_terms(expr, index, compute)
        elif isinstance(expr, Prod):
            yield from _join_factors(expr, index, compute)


def _join_terms(expr: Sum, index: int, compute: Compute) -> Iterator[Expr]:
    (s, a), (t, b) = expr.terms[index : index + 2]
    rest = expr.terms[:index], expr.terms[index + 2 :]
    if isinstance(a, Num) and isinstance(b, Num):
        # -5-8 is worked as -(5+8), and -5+8 as 8-5
        if s == t:
            total = compute(a.value, "+", b.value)
            total = None if total is None else s * total
        elif s > 0:
            total = compute(a.value, "-", b.value)
        else:
            total = compute(b.value, "-", a.value)
        if total is not None:
            yield add(*rest[0], (1, Num(total)), *rest[1])
        return
    first, second = coefficient(a), coefficient(b)
    if first is not None and second is not None:
        total = compute(s * first, "+" if t > 0 else "-", second)
        if total:  # 0x is no step of a textbook
            yield add(*rest[0], (1 if total > 0 else -1, x_times(abs(total))), *rest[1])


def _join_factors(expr: Prod, index: int, compute: Compute) -> Iterator[Expr]:
    (_, a), (operation, b) = expr.factors[index : index + 2]
    if not (isinstance(a, Num) and isinstance(b, Num)):
        return
    if index and (expr.factors[index][0] == "/" or operation == "/"):
        return  # a/b*c is worked from the left
    product = compute(a.value, operation, b.value)
    if product is not None:
        factors = (*expr.factors[:index], (expr.factors[index][0], Num(product)), *expr.factors[index + 2 :])
        yield factors[0][1] if len(factors) == 1 else Prod(factors)


def coefficient(expr: Expr) -> int | None:
    """k of a term kx, else None."""
    match expr:
        case Var():
            return 1
        case Prod(factors=(("*", Num(value=k)), ("*", Var()))):
            return k
    return None


def x_times(k: int) -> Expr:
    """The term kx."""
    return Var() if k == 1 else times(Num(k), Var())


def _terms(side: Expr) -> list[tuple[int, Expr]]:
    return list(side.terms) if isinstance(side, Sum) else [(1, side)]


def _rearrangements(left: Expr, right: Expr) -> Iterator[Statement]:
    yield from _collect(left, right)
    if not (isinstance(right, Num) and not isinstance(left, Var)):
        return
    match left:
        case Prod(factors=(("*", Num(value=k)), ("*", inside))) if has_x(inside) and k:
            if right.value % k == 0:
                yield inside, divide(right, Num(k))
    yield from ((expanded, right) for expanded in _expansions(left))


def _collect(left: Expr, right: Expr) -> Iterator[Statement]:
    """Terms with x to the left and numbers to the right, where no product waits to be worked out first."""
    one, two = _terms(left), _terms(right)
    known_left = [(s, t) for s, t in one if isinstance(t, Num)]
    unknown_right = [(s, t) for s, t in two if has_x(t)]
    if any(has_x(t) and coefficient(t) is None for _, t in two):
        yield from ((left, expanded) for expanded in _expansions(right))
        return
    if (not known_left and not unknown_right) or not any(has_x(t) for _, t in one):
        return
    if not all(isinstance(t, Num) or has_x(t) for _, t in one + two):
        return
    kept = [(s, t) for s, t in one if has_x(t)] + [(-s, t) for s, t in unknown_right]
    moved = [(s, t) for s, t in two if isinstance(t, Num)] + [(-s, t) for s, t in known_left]
    if unknown_right and len(moved) > 1 and isinstance(moved[0][1], Num) and moved[0] == (1, Num(0)):
        moved = moved[1:]
    yield add(*kept), add(*moved) if moved else Num(0)


def _expansions(side: Expr) -> Iterator[Expr]:
    """k(ax+b) multiplied out, one product at a time."""
    terms = _terms(side)
    for index, (sign, term) in enumerate(terms):
        match term:
            case Prod(factors=(("*", Num(value=k)), ("*", Sum(terms=inner)))):
                spread: list[tuple[int, Expr]] = []
                for s, part in inner:
                    c = coefficient(part)
                    if c is None and not isinstance(part, Num):
                        break
                    worked = Num(k * part.value) if isinstance(part, Num) else x_times(k * (c or 1))
                    spread.append((sign * s, worked))
                else:
                    yield add(*terms[:index], *spread, *terms[index + 1 :])
