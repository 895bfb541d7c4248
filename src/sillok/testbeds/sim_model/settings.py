"""The arguments of the simulated model: their defaults, their checks, and what they may look like on a command line.

There a number may come as text, a list as text with commas or as numbers, and text as a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict

Rates = float | Mapping[str, float]
VERDICTS = ("VERDICT: 1", "VERDICT: 2", "VERDICT: tie")
PAIR_TAGS = ("solution_1", "solution_2")
SCORE_FORMS = {"tag": ("<score>", "</score>"), "json": ('{"score": ', "}"), "line": ("SCORE: ", "")}


class Options(TypedDict, total=False):
    """The keyword arguments of `simulated_model`, which describes them."""

    right: str | Mapping[str, str]
    wrong_answers: Sequence[str] | Mapping[str, float]
    position_bias: float
    tie: float
    unparsable: float
    preferences: Mapping[str, Mapping[str, float]] | None
    dependence: float
    seed: int
    length_bias: float
    pair_tags: Sequence[str]
    verdicts: Sequence[str]
    judged_tag: str
    scale: Sequence[int] | None
    quality: Mapping[str, float] | None
    score_bias: float
    score_noise: float
    score_form: str
    sensitivity: float | None
    specificity: float | None
    truth: Mapping[str, bool] | None
    p_choice: Rates | None
    preferred: str | None
    preference: float
    correlation: float
    difficulty_seed: int | None
    refusal: float


@dataclass
class Settings:
    """The checked arguments, each in one form: rates as floats, answers as shares, preferences both ways round.

    Raises:
        ValueError: an argument out of its range, or two that contradict each other; the message is one line.
    """

    p_gen: Any = 0.5
    p_comp: Any = 0.75
    right: Any = "right"
    wrong_answers: Any = ("wrong",)
    position_bias: float = 0.0
    tie: float = 0.0
    unparsable: float = 0.0
    preferences: Any = None
    dependence: float = 0.0
    seed: int = 0
    length_bias: float = 0.0
    pair_tags: Any = PAIR_TAGS
    verdicts: Any = VERDICTS
    judged_tag: str = "answer"
    scale: Any = None
    quality: Any = None
    score_bias: float = 0.0
    score_noise: float = 1.0
    score_form: str = "tag"
    sensitivity: Any = None
    specificity: Any = None
    truth: Any = None
    p_choice: Any = None
    preferred: Any = None
    preference: float = 0.0
    correlation: float = 0.0
    difficulty_seed: Any = None
    refusal: float = 0.0

    def __post_init__(self) -> None:
        self.p_gen, self.p_comp = _rates("p_gen", self.p_gen), _rates("p_comp", self.p_comp)
        self._check_answers()
        for name in ("tie", "unparsable", "dependence", "refusal", "preference"):
            setattr(self, name, rate(name, getattr(self, name)))
        if self.tie + self.unparsable > 1:
            raise ValueError(f"tie + unparsable must be at most 1, not {self.tie + self.unparsable}")
        for name in ("position_bias", "length_bias"):
            setattr(self, name, _bias(name, getattr(self, name)))
        self.preferences = _table(self.preferences)
        self.seed = _integer("seed", self.seed)
        if self.difficulty_seed is not None:
            self.difficulty_seed = _integer("difficulty_seed", self.difficulty_seed)
        self.correlation = rate("correlation", self.correlation)
        if self.correlation == 1:
            raise ValueError("correlation must lie between 0 and 1, and below 1, not 1.0")
        self._check_pairs()
        self._check_scale()
        self._check_yes_no()
        self._check_choice()

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """Settings from keyword arguments, as Inspect hands them on."""
        known = [field.name for field in fields(cls)]
        for name in arguments:
            if name not in known:
                raise ValueError(f"unknown argument {name!r}; there are: {', '.join(known)}")
        return cls(**arguments)

    def _check_answers(self) -> None:
        if isinstance(self.right, Mapping):
            if not self.right:
                raise ValueError(f"right must name at least one question, not {self.right!r}")
            self.right = {_text("right", key): _text("right", text) for key, text in self.right.items()}
        else:
            self.right = _text("right", self.right)
        self.wrong_answers = _shares(self.wrong_answers)
        rights = set(self.right.values()) if isinstance(self.right, dict) else {self.right}
        both = sorted(rights & set(self.wrong_answers))
        if both:
            raise ValueError(f"wrong_answers must not hold a right answer: {both}")

    def _check_pairs(self) -> None:
        self.pair_tags = _texts("pair_tags", self.pair_tags, 2)
        self.verdicts = _texts("verdicts", self.verdicts, 3)
        self.judged_tag = _text("judged_tag", self.judged_tag)
        for tag in (*self.pair_tags, self.judged_tag):
            if not tag.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"tags must consist of letters, digits, - and _, not {tag!r}")
        if len({*self.pair_tags, self.judged_tag}) < 3:
            raise ValueError(
                f"pair_tags and judged_tag must differ, not {self.pair_tags} and {self.judged_tag!r}"
            )

    def _check_scale(self) -> None:
        if self.scale is not None:
            ends = [_integer("scale", end) for end in _list(self.scale)]
            if len(ends) != 2 or not ends[0] < ends[1] <= ends[0] + 1000:
                raise ValueError(f"scale must be its lowest and its highest score, not {self.scale!r}")
            self.scale = ends[0], ends[1]
        if self.quality is not None:
            if not isinstance(self.quality, Mapping) or not self.quality:
                raise ValueError(f"quality must map answers to true scores, not {self.quality!r}")
            self.quality = {str(key): number(f"quality[{key!r}]", v) for key, v in self.quality.items()}
        self.score_bias = number("score_bias", self.score_bias)
        self.score_noise = number("score_noise", self.score_noise)
        if self.score_noise < 0:
            raise ValueError(f"score_noise must be at least 0, not {self.score_noise!r}")
        if self.score_form not in SCORE_FORMS:
            raise ValueError(f"score_form must be one of {', '.join(SCORE_FORMS)}, not {self.score_form!r}")

    def _check_yes_no(self) -> None:
        if (self.sensitivity is None) != (self.specificity is None):
            raise ValueError("sensitivity and specificity must be given together")
        if self.sensitivity is not None:
            self.sensitivity = rate("sensitivity", self.sensitivity)
            self.specificity = rate("specificity", self.specificity)
        if self.truth is not None:
            if self.sensitivity is None:
                raise ValueError("truth must come with sensitivity and specificity")
            if not isinstance(self.truth, Mapping) or not all(
                isinstance(v, bool) for v in self.truth.values()
            ):
                raise ValueError(f"truth must map questions to true or false, not {self.truth!r}")
            self.truth = {str(key): value for key, value in self.truth.items()}

    def _check_choice(self) -> None:
        if self.p_choice is not None:
            self.p_choice = _rates("p_choice", self.p_choice)
        if self.preferred is not None:
            self.preferred = _text("preferred", self.preferred)
            if len(self.preferred) != 1 or not "A" <= self.preferred <= "Z":
                raise ValueError(f"preferred must be the letter of an option, not {self.preferred!r}")
        if self.preference and self.preferred is None:
            raise ValueError("preference must come with preferred, the letter that it is for")


def number(name: str, value: Any) -> float:
    """`value` as a finite float; text that reads as one counts.

    Raises:
        ValueError: anything else.
    """
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    return found


def rate(name: str, value: Any) -> float:
    """`value` as a probability.

    Raises:
        ValueError: anything else.
    """
    try:
        found = number(name, value)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value!r}")
    return found


def _rates(name: str, value: Any) -> float | dict[str, float]:
    if isinstance(value, Mapping):
        if not value:
            raise ValueError(f"{name} must name at least one question, not {value!r}")
        return {str(key): rate(f"{name}[{key!r}]", part) for key, part in value.items()}
    return rate(name, value)


def _bias(name: str, value: Any) -> float:
    try:
        found = number(name, value)
    except ValueError:
        found = math.nan
    if not -1 <= found <= 1:
        raise ValueError(f"{name} must lie between -1 and 1, not {value!r}")
    return found


def _integer(name: str, value: Any) -> int:
    found = number(name, value)
    if found != int(found):
        raise ValueError(f"{name} must be an integer, not {value!r}")
    return int(value) if isinstance(value, int | str) else int(found)


def _text(name: str, value: Any) -> str:
    # a command line's yes and no arrive as truth values, whose spelling is lost
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value):
        raise ValueError(f"{name} must be text (quote a word such as yes), not {value!r}")
    return str(value)


def _list(value: Any) -> list[Any]:
    return (
        value.split(",")
        if isinstance(value, str)
        else list(value)
        if isinstance(value, Sequence)
        else [value]
    )


def _texts(name: str, value: Any, count: int) -> tuple[str, ...]:
    found = tuple(_text(name, part) for part in _list(value))
    if len(set(found)) != count or len(found) != count:
        raise ValueError(f"{name} must be {count} different texts, not {value!r}")
    return found


def _shares(wrong: Any) -> dict[str, float]:
    if isinstance(wrong, str) or not isinstance(wrong, Sequence | Mapping) or not wrong:
        raise ValueError(f"wrong_answers must be a non-empty list, or a mapping to weights, not {wrong!r}")
    weights = dict(wrong) if isinstance(wrong, Mapping) else dict.fromkeys(wrong, 1.0)
    found = {_text("wrong_answers", key): number("wrong_answers", weight) for key, weight in weights.items()}
    total = sum(found.values())
    if min(found.values()) < 0 or total <= 0:
        raise ValueError(f"wrong_answers must have finite weights >= 0 with a sum above 0, not {wrong!r}")
    return {answer: weight / total for answer, weight in found.items()}


def _table(preferences: Mapping[str, Mapping[str, float]] | None) -> dict[tuple[str, str], float]:
    """P(row is preferred to column), both ways round."""
    table: dict[tuple[str, str], float] = {}
    for row, columns in (preferences or {}).items():
        for column, value in columns.items():
            found = rate(f"preferences[{row!r}][{column!r}]", value)
            known = table.get((row, column), found)
            if row == column or abs(known - found) > 1e-12:
                raise ValueError(f"preferences of {row!r} and {column!r} contradict: {known} and {found}")
            table[row, column], table[column, row] = found, 1 - found
    return table
