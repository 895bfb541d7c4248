"""Exact integer and fraction algebra with one unknown: reading a line, its value, its text.

A line is an expression (`12+7*8`) or an equation in x (`4x+7=39`). Reading has limits on length, digits and
depth, so that any text is answered at once; nothing is ever evaluated by Python itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_LINE = 160  # characters of a line
MAX_DIGITS = 9  # of a number
MAX_DEPTH = 12  # parentheses and signs inside one another
_TOKEN = re.compile(r"[0-9]+|[-+*/()x=]")


class Malformed(ValueError):
    """A line that is no expression or equation of this grammar; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class Num:
    """An integer."""

    value: int


@dataclass(frozen=True, slots=True)
class Var:
    """The unknown x."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Signed terms, `sign` being 1 or -1."""

    terms: tuple[tuple[int, Expr], ...]


@dataclass(frozen=True, slots=True)
class Prod:
    """Factors with their operation, `*` or `/`; the first one's is always `*`."""

    factors: tuple[tuple[str, Expr], ...]


Expr = Num | Var | Sum | Prod
Statement = tuple[Expr, ...]  # one side: an expression; two sides: an equation


def add(*terms: tuple[int, Expr]) -> Expr:
    """A sum in normal form: no negative number inside it, and none around a single term."""
    normal = [
        (-sign, Num(-term.value)) if isinstance(term, Num) and term.value < 0 else (sign, term)
        for sign, term in terms
    ]
    if len(normal) == 1:
        sign, only = normal[0]
        if sign > 0:
            return only
        if isinstance(only, Num):
            return Num(-only.value)
    return Sum(tuple(normal))


def times(*factors: Expr) -> Expr:
    """A product; a single factor is itself."""
    return factors[0] if len(factors) == 1 else Prod(tuple(("*", factor) for factor in factors))


def divide(top: Expr, bottom: Expr) -> Expr:
    """A quotient."""
    return Prod((("*", top), ("/", bottom)))


def has_x(expr: Expr) -> bool:
    """Whether the unknown occurs in it."""
    if isinstance(expr, Sum | Prod):
        return any(has_x(part) for _, part in children(expr))
    return isinstance(expr, Var)


def children(expr: Expr) -> tuple[tuple[int | str, Expr], ...]:
    """Terms of a sum or factors of a product, with their signs or operations; nothing of a leaf."""
    if isinstance(expr, Sum):
        return expr.terms
    return expr.factors if isinstance(expr, Prod) else ()


def with_child(expr: Expr, index: int, child: Expr) -> Expr:
    """`expr` with one term or factor exchanged, in normal form."""
    if isinstance(expr, Sum):
        terms = expr.terms
        return add(*terms[:index], (terms[index][0], child), *terms[index + 1 :])
    if isinstance(expr, Prod):
        factors = expr.factors
        return Prod((*factors[:index], (factors[index][0], child), *factors[index + 1 :]))
    raise TypeError(f"{type(expr).__name__} has no parts")


def show(statement: Statement) -> str:
    """The text of a statement; `read` gives the statement back."""
    return "=".join(_show(side) for side in statement)


def _show(expr: Expr) -> str:
    if isinstance(expr, Num):
        return str(expr.value)
    if isinstance(expr, Var):
        return "x"
    if isinstance(expr, Sum):
        pieces = []
        for place, (sign, term) in enumerate(expr.terms):
            text = f"({_show(term)})" if isinstance(term, Sum) else _show(term)
            if (place or sign < 0) and text.startswith("-"):
                text = f"({text})"
            pieces.append(("-" if sign < 0 else "+" if place else "") + text)
        return "".join(pieces)
    text = ""
    for place, (operation, factor) in enumerate(expr.factors):
        bare = isinstance(factor, Var) or (isinstance(factor, Num) and (factor.value >= 0 or not place))
        piece = _show(factor) if bare else f"({_show(factor)})"
        # 4x and 3(x+4): a factor with the unknown follows a number without a sign
        glued = place == 1 and operation == "*" and has_x(factor) and isinstance(expr.factors[0][1], Num)
        text += piece if not place or glued else operation + piece
    return text


def read(line: str) -> Statement:
    """The statement that a line states.

    Raises:
        Malformed: another character than 0-9 + - * / ( ) x = or space, a text of no such form, or one beyond
            `MAX_LINE` characters, `MAX_DIGITS` digits a number, `MAX_DEPTH` levels.
    """
    if len(line) > MAX_LINE:
        raise Malformed("line too long")
    tokens, at = [], 0
    compact = line.replace(" ", "")
    while at < len(compact):
        found = _TOKEN.match(compact, at)
        if found is None:
            raise Malformed("unknown character")
        if len(found.group()) > MAX_DIGITS and found.group().isdigit():
            raise Malformed("number too long")
        tokens.append(found.group())
        at = found.end()
    if not tokens:
        raise Malformed("empty")
    if tokens.count("=") > 1:
        raise Malformed("more than one =")
    sides = _split(tokens)
    return tuple(_Reader(side).all() for side in sides)


def _split(tokens: list[str]) -> list[list[str]]:
    if "=" not in tokens:
        return [tokens]
    at = tokens.index("=")
    return [tokens[:at], tokens[at + 1 :]]


class _Reader:
    """Recursive descent over the tokens of one side."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at = [*tokens, ""], 0

    @property
    def next(self) -> str:
        return self.tokens[self.at]

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def all(self) -> Expr:
        found = self.sum(0)
        if self.next:
            raise Malformed(f"unexpected {self.next}")
        return found

    def sum(self, depth: int) -> Expr:
        terms = [(-1 if self.next == "-" and self.take() else 1, self.product(depth))]
        while self.next in ("+", "-"):
            terms.append((1 if self.take() == "+" else -1, self.product(depth)))
        return add(*terms)

    def product(self, depth: int) -> Expr:
        factors = [("*", self.factor(depth))]
        while self.next in ("*", "/", "x", "("):
            operation = self.take() if self.next in ("*", "/") else "*"
            factors.append((operation, self.factor(depth)))
        return factors[0][1] if len(factors) == 1 else Prod(tuple(factors))

    def factor(self, depth: int) -> Expr:
        if depth > MAX_DEPTH:
            raise Malformed("too deep")
        token = self.take()
        if token == "x":
            return Var()
        if token.isdigit():
            return Num(int(token))
        if token == "(":
            inside = self.sum(depth + 1)
            if self.take() != ")":
                raise Malformed("parenthesis not closed")
            return inside
        if not token:
            self.at -= 1
            raise Malformed("ends too early")
        raise Malformed(f"unexpected {token}")


def linear(expr: Expr) -> tuple[Fraction, Fraction]:
    """Constant and coefficient of x, exactly.

    Raises:
        Malformed: division by zero or by the unknown, or a product of unknowns.
    """
    if isinstance(expr, Num):
        return Fraction(expr.value), Fraction(0)
    if isinstance(expr, Var):
        return Fraction(0), Fraction(1)
    if isinstance(expr, Sum):
        parts = [(sign, linear(term)) for sign, term in expr.terms]
        return sum((s * p[0] for s, p in parts), Fraction(0)), sum((s * p[1] for s, p in parts), Fraction(0))
    constant, slope = Fraction(1), Fraction(0)
    for operation, factor in expr.factors:
        c, s = linear(factor)
        if operation == "/":
            if s:
                raise Malformed("division by x")
            if not c:
                raise Malformed("division by zero")
            constant, slope = constant / c, slope / c
        else:
            if slope and s:
                raise Malformed("x times x")
            constant, slope = constant * c, constant * s + slope * c
    return constant, slope


def value(statement: Statement) -> Fraction | None:
    """What a statement says: an expression's value, an equation's one solution; None where it has not one.

    Raises:
        Malformed: as `linear`, or an expression (no equation) with the unknown in it.
    """
    if len(statement) == 1:
        constant, slope = linear(statement[0])
        if slope or has_x(statement[0]):
            raise Malformed("x outside an equation")
        return constant
    (a, b), (c, d) = linear(statement[0]), linear(statement[1])
    return None if b == d else (c - a) / (b - d)


def solved(statement: Statement) -> int | None:
    """The answer that a statement gives when it is nothing but an integer, or x = an integer."""
    if len(statement) == 2 and not isinstance(statement[0], Var):
        return None
    last = statement[-1]
    return last.value if isinstance(last, Num) else None
