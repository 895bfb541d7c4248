"""The exact verifier: every step of a completion, the first error, and the final answer, each judged apart.

A step states an expression or an equation. It is *right* when that has the problem's own value (or solution),
and it *follows* when it has the value of the last readable line before it. So an error carried on consistently
gives steps that follow and are not right, and a return to the truth after an error one that is right and does
not follow. A line that restates an earlier one (or the problem, where that is no story) is an error too: it leads
nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sillok.testbeds.arith.algebra import Malformed, Statement, read, show, solved, value
from sillok.testbeds.arith.problems import Problem, is_story, statement_of
from sillok.testbeds.arith.steps import first_error_labels, split_steps

MAX_STEPS = 48
MAX_CHARACTERS = 4096
REASONS = ("", "malformed", "wrong", "contradiction", "repeated", "circular", "carried", "unfounded", "after")


@dataclass(frozen=True)
class StepVerdict:
    """What is found of one step.

    `reason` is "" for a good step; else `malformed` (`detail` says how), `wrong` (another value than the line
    before), `contradiction` (so, and an earlier line in all but its numbers), `repeated` (the line before once
    more), `circular` (an earlier line once more), `carried` (follows from a wrong line), `unfounded` (right,
    but does not follow from the wrong line before it), `after` (a step after the answer).
    """

    text: str
    start: int
    end: int
    formed: bool
    right: bool
    follows: bool
    reason: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the step is without fault."""
        return not self.reason


@dataclass(frozen=True)
class Verdict:
    """The verifier's findings on one completion.

    `answer` is the last line's, when that is an integer or x = an integer, and `correct` whether it is the
    problem's; `first_error` is the index of the first step that is not ok; `cut` tells that the completion was
    longer than `MAX_CHARACTERS` or `MAX_STEPS`: what lies beyond was not read, and there is no answer.
    """

    steps: tuple[StepVerdict, ...]
    answer: int | None
    correct: bool
    first_error: int | None
    cut: bool = False

    @property
    def valid(self) -> bool:
        """Whether the answer is right and every step on the way too."""
        return self.correct and self.first_error is None

    @property
    def labels(self) -> list[bool]:
        """For each step, whether it lies before the first error."""
        return first_error_labels(len(self.steps), self.first_error)


def verify(problem: Problem | str, completion: str) -> Verdict:
    """Judge a completion of a problem; any text gets a verdict, and none an exception.

    Args:
        problem: the problem, or its text.
        completion: one step a line, the last the answer.

    Raises:
        ValueError: the problem (not the completion) cannot be read.
    """
    text = problem if isinstance(problem, str) else problem.text
    asked = statement_of(text)
    truth = value(asked)
    cut = len(completion) > MAX_CHARACTERS
    lines = split_steps(completion[:MAX_CHARACTERS], MAX_STEPS + 1)
    cut = cut or len(lines) > MAX_STEPS
    judge = _Judge(asked, truth, is_story(text))
    steps = []
    for line in lines[:MAX_STEPS]:
        formed, right, follows, reason, detail = judge.step(line.text)
        steps.append(StepVerdict(line.text, line.start, line.end, formed, right, follows, reason, detail))
    first = next((place for place, step in enumerate(steps) if not step.ok), None)
    answer = None if cut else judge.answer
    return Verdict(tuple(steps), answer, answer is not None and answer == truth, first, cut)


def verdict_text(problem: Problem, verdict: Verdict) -> str:
    """A problem and its completion line by line, each with what is found of it."""
    lines = [problem.text]
    for step in verdict.steps:
        found = "ok" if step.ok else step.reason + (f" ({step.detail})" if step.detail else "")
        lines.append(f"  {step.text:32s} {found}")
    return "\n".join(lines)


class _Judge:
    """Walks down the lines; knows the truth, the value last stated and the lines seen."""

    def __init__(self, asked: Statement, truth: Fraction | None, story: bool) -> None:
        self.sides, self.truth, self.last = len(asked), truth, truth
        self.before = show(asked)
        self.seen: dict[str, None] = {} if story else {self.before: None}
        self.shapes: dict[str, None] = {_shape(self.before): None}
        self.answer: int | None = None
        self.answered = False

    def step(self, line: str) -> tuple[bool, bool, bool, str, str]:
        """formed, right, follows, reason, detail of the next line."""
        answered, self.answer = self.answered, None
        try:
            statement = read(line)
            if len(statement) != self.sides:
                raise Malformed(
                    "an equation, and no unknown is asked for" if self.sides == 1 else "no equation"
                )
            stated = value(statement)
        except Malformed as error:
            return False, False, False, "malformed", str(error)
        text = show(statement)
        right, follows = stated == self.truth, stated == self.last
        reason = self._reason(text, right, follows, answered)
        self.answer = solved(statement)
        self.answered = self.answered or self.answer is not None
        self.last, self.before = stated, text
        self.seen[text] = self.shapes[_shape(text)] = None
        return True, right, follows, reason, ""

    def _reason(self, text: str, right: bool, follows: bool, answered: bool) -> str:
        if text in self.seen:
            return "repeated" if text == self.before else "circular"
        if not follows and not right:
            return "contradiction" if _shape(text) in self.shapes else "wrong"
        if not right:
            return "carried"
        if not follows:
            return "unfounded"
        return "after" if answered else ""


def _shape(text: str) -> str:
    """A line with every number replaced by one sign."""
    shape, inside = [], False
    for character in text:
        if not character.isdigit():
            shape.append(character)
        elif not inside:
            shape.append("#")
        inside = character.isdigit()
    return "".join(shape)
