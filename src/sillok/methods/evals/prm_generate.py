"""Worked arithmetic with planted faults of the nine classes of PRMBench (arXiv 2501.03124), in its published schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from sillok.methods.evals.prmbench import CLASSES

#: Operations: the word in the question, the sign in a step.
_OPERATIONS = {"add": "+", "subtract": "-", "double": "* 2"}
_UNIT, _PER_UNIT = "cents", 10  # "a dime has 10 cents": the last operation of every problem
_LARGEST = 90  # of any number on the way, so that results have two digits before the last step


@dataclass
class _Worked:
    """A problem, its operations and its steps: lines "17 + 8 = 25"."""

    start: int
    operations: list[tuple[str, int]]
    question: str = ""
    steps: list[str] = field(default_factory=list)


def _apply(value: int, operation: str, operand: int) -> int:
    return value * 2 if operation == "double" else value + (operand if operation == "add" else -operand)


def _asked(start: int, operations: Sequence[tuple[str, int]], said: dict[int, str] | None = None) -> str:
    """The question; `said` replaces the wording of single operations."""
    words = [
        (said or {}).get(at, "double it" if name == "double" else f"{name} {operand}")
        for at, (name, operand) in enumerate(operations)
    ]
    return f"start with {start} dimes , {' , '.join(words)} . a dime has {_PER_UNIT} {_UNIT} . how many {_UNIT} ?"


def _step(value: int, operation: str, operand: int) -> str:
    right = "* 2" if operation == "double" else f"{_OPERATIONS[operation]} {operand}"
    return f"{value} {right} = {_apply(value, operation, operand)}"


def _last(value: int, per: int = _PER_UNIT) -> str:
    return f"{value} dimes * {per} = {value * per} {_UNIT}"


def _work(value: int, operations: Sequence[tuple[str, int]]) -> list[str]:
    """Steps from a value on, the conversion last."""
    steps = []
    for operation, operand in operations:
        steps.append(_step(value, operation, operand))
        value = _apply(value, operation, operand)
    return [*steps, _last(value)]


def _problem(rng: np.random.Generator) -> _Worked:
    while True:
        start = int(rng.integers(5, 40))
        operations = [
            (str(rng.choice(list(_OPERATIONS))), int(rng.integers(2, 10)))
            for _ in range(int(rng.integers(3, 6)))
        ]
        values = [start]
        for operation, operand in operations:
            values.append(_apply(values[-1], operation, operand))
        if all(2 <= value <= _LARGEST for value in values):
            return _Worked(start, operations, _asked(start, operations), _work(start, operations))


def _value_before(made: _Worked, at: int) -> int:
    value = made.start
    for operation, operand in made.operations[:at]:
        value = _apply(value, operation, operand)
    return value


def _wrong(value: int, rng: np.random.Generator) -> int:
    return max(2, value + int(rng.choice([-7, -3, -2, 2, 3, 7])))


Faulty = tuple[str, list[str], list[int]]  # question, steps, 1-based indices of the unsound ones


def _redundency(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    return made.question, [*made.steps[: at + 1], made.steps[at], *made.steps[at + 1 :]], [at + 2]


def _circular(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    value, by = _value_before(made, at + 1), int(rng.integers(2, 10))
    detour = [_step(value, "add", by), _step(value + by, "subtract", by)]
    return made.question, [*made.steps[: at + 1], *detour, *made.steps[at + 1 :]], [at + 2, at + 3]


def _miscalculated(made: _Worked, at: int, rng: np.random.Generator, lead: str = "") -> Faulty:
    left, _, right = made.steps[at].partition(" = ")
    wrong = _wrong(int(right), rng)
    steps = [*made.steps[:at], f"{lead}{left} = {wrong}", *_work(wrong, made.operations[at + 1 :])]
    return made.question, steps, [at + 1]


def _contradiction(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    wrong = _wrong(_value_before(made, at + 1), rng)
    steps = [*made.steps[: at + 1], *_work(wrong, made.operations[at + 1 :])]
    return made.question, steps, [at + 2]


def _domain(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    value = _value_before(made, len(made.operations))
    return made.question, [*made.steps[:-1], _last(value, int(rng.choice([5, 12, 100])))], [len(made.steps)]


def _missing(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    name, operand = made.operations[at]
    operations = [*made.operations]
    if name == "double":
        operations[at] = name, operand = "add", operand
    question = _asked(made.start, operations, {at: f"{name} some"})
    return question, _work(made.start, operations), [at + 1]


def _deception(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    operations = [*made.operations]
    name, operand = operations[at] if operations[at][0] != "double" else ("add", operations[at][1])
    operations[at] = name, operand
    lure = operand % 8 + 2  # another operand of the same size
    question = _asked(made.start, operations, {at: f"{name} {operand} ( not {lure} )"})
    value = _value_before(made, at)
    lured = _step(value, name, lure)
    steps = [*made.steps[:at], lured, *_work(_apply(value, name, lure), operations[at + 1 :])]
    return question, steps, [at + 1]


def _other_way(made: _Worked, at: int, rng: np.random.Generator) -> Faulty:
    """Another sound solution: an operand is taken in two parts."""
    name, operand = made.operations[at]
    if name == "double" or operand < 4:
        return made.question, list(made.steps), []
    first = int(rng.integers(2, operand - 1))
    value = _value_before(made, at)
    middle = _apply(value, name, first)
    halves = [_step(value, name, first), _step(middle, name, operand - first)]
    return made.question, [*made.steps[:at], *halves, *made.steps[at + 1 :]], []


_FAULTS: dict[str, Callable[[_Worked, int, np.random.Generator], Faulty]] = {
    "redundency": _redundency,
    "circular": _circular,
    "counterfactual": _miscalculated,
    "step_contradiction": _contradiction,
    "domain_inconsistency": _domain,
    "confidence": partial(_miscalculated, lead="clearly "),
    "missing_condition": _missing,
    "deception": _deception,
    "multi_solutions": _other_way,
}


def prm_generate(n: int, seed: int, classes: Sequence[str] = CLASSES) -> list[dict[str, Any]]:
    """Small sums worked out step by step, with one planted fault each, in PRMBench's published schema.

    Args:
        n: items of each class.
        seed: of everything; an item depends on seed, class and its number alone.
        classes: among PRMBench's nine. "redundency": a step is repeated; "circular": two steps lead away and back;
            "counterfactual": a wrong result; "step_contradiction": a step starts from another number than was found;
            "domain_inconsistency": a wrong unit rule; "confidence": a wrong result called clear; "missing_condition":
            the question leaves an operand open; "deception": the question names a wrong operand, and it is taken;
            "multi_solutions": another sound way. What follows a fault is right given the fault.

    Returns:
        Rows as the authors publish them, for `prmbench.load_records` by way of a file.

    Raises:
        ValueError: n below 1, or an unknown class.
    """
    unknown = [name for name in classes if name not in _FAULTS]
    if n < 1 or unknown:
        raise ValueError(
            f"n must be at least 1 and classes among {', '.join(CLASSES)}; got {n!r}, {unknown or classes!r}"
        )
    made = []
    for name in classes:
        for number in range(n):
            rng = np.random.default_rng([seed, CLASSES.index(name), number, 47])
            problem = _problem(rng)
            question, steps, errors = _FAULTS[name](
                problem, int(rng.integers(0, len(problem.operations))), rng
            )
            made.append(
                {
                    "idx": f"made_{number}",
                    "original_question": problem.question,
                    "modified_question": question,
                    "original_process": problem.steps,
                    "modified_process": steps,
                    "modified_steps": errors,
                    "error_steps": errors,
                    "reason": f"planted: {name}",
                    "classification": name,
                }
            )
    return made
