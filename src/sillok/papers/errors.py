"""What can be wrong with a card or the name of a paper (apart from the schema: no pydantic here)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One fault of a card: the file, the field ("" for the whole file), and what is wrong, with the value."""

    file: str
    field: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in self if part)


class CardError(ValueError):
    """A card that breaks the schema; the message names file, field and value; `problems` has every fault."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        more = len(self.problems) - 1
        super().__init__(f"{self.problems[0]}" + (f" (and {more} more)" if more else ""))

    def __reduce__(self) -> tuple[type[CardError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # errors of worker processes travel by pickle


class UnknownPaper(KeyError):
    """An identifier that no card has; the message suggests close ones."""

    def __init__(self, id: str, close: Sequence[str] = ()) -> None:
        self.id = id
        self.close = tuple(close)
        super().__init__(id)

    def __str__(self) -> str:
        hint = f"; close: {', '.join(self.close)}" if self.close else ""
        return f"no card for {self.id!r}{hint}"
