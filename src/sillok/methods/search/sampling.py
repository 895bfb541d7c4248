"""Candidate solutions of one question: drawing them, reading their answers, handing one back to Inspect."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from inspect_ai.model import ChatMessage, ChatMessageUser, ModelOutput, get_model
from inspect_ai.solver import Solver, TaskState, fork
from inspect_ai.util import collect

STORE = "tournament"
"""The key of Inspect's sample store under which a solver of this family keeps what happened."""

_ASK = """{question}

Think step by step. End your reply with one line of this form, where $ANSWER is {what}:
ANSWER: $ANSWER"""

_ANSWER = re.compile(r"ANSWER[*_]*\s*:[*_]*[ \t]*([^\n]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """One sampled solution; ``answer`` is None where the text states none."""

    text: str
    answer: str | None
    output: ModelOutput


def normalise(answer: str) -> str:
    """An answer without case, outer spaces, brackets, marks of Markdown and LaTeX, or a final full stop."""
    return " ".join(answer.strip().strip("*_`$() \t").rstrip(".").strip("*_`$() \t").casefold().split())


def extract_answer(text: str) -> str | None:
    """The normalised answer on the last line of the form ``ANSWER: ...``, or None."""
    found = _ANSWER.findall(text)
    return (normalise(found[-1]) or None) if found else None


def chosen_letter(answer: str | None) -> str | None:
    """The letter that a normalised answer to a multiple-choice question opens with, as in "b" or "b) four"."""
    found = re.match(r"([a-z])(?![a-z0-9])", answer or "")
    return found[1] if found else None


def question_of(state: TaskState) -> str:
    """The question's text, with lettered choices below it where the sample has them."""
    lines = [f"{chr(65 + i)}) {choice.value}" for i, choice in enumerate(state.choices)]
    return "\n".join([state.input_text, *(["", *lines] if lines else [])])


def rng_of(state: TaskState, seed: int) -> np.random.Generator:
    """A generator of one sample of one epoch: ties and seats repeat with the same seed."""
    digest = hashlib.sha256(f"{seed}/{state.sample_id}/{state.epoch}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def at_least(name: str, value: int, least: int) -> int:
    """The value, or a ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


async def draw_candidates(state: TaskState, n: int, generate: Solver | None = None) -> list[Candidate]:
    """n solutions of the sample's question by independent calls of the model under evaluation.

    Args:
        state: the sample. Its system messages are kept, its last user message is the question.
        n: number of solutions.
        generate: an Inspect solver that produces one solution in place of the built-in prompt; each runs on
            its own copy of the state, and should end with a line ``ANSWER: ...``.
    """
    if generate is not None:
        outputs = [done.output for done in await fork(state, [generate] * n)]
    else:
        messages = _ask(state)
        model = get_model()
        # Never from Inspect's cache: n identical prompts would get one solution n times.
        outputs = await collect(*(model.generate(messages, cache=False) for _ in range(n)))
    answers = [extract_answer(output.completion) for output in outputs]
    if len(state.choices):
        answers = [chosen_letter(answer) for answer in answers]
    return [Candidate(o.completion, answer, o) for o, answer in zip(outputs, answers, strict=True)]


def _ask(state: TaskState) -> list[ChatMessage]:
    what = "the letter of your choice" if len(state.choices) else "your final answer alone"
    prompt = _ASK.format(question=question_of(state), what=what)
    users = [i for i, message in enumerate(state.messages) if message.role == "user"]
    last = users[-1] if users else len(state.messages)
    return [*state.messages[:last], ChatMessageUser(content=prompt), *state.messages[last + 1 :]]


def agreed(candidates: Sequence[Candidate]) -> bool:
    """Whether all state one and the same answer."""
    first = candidates[0].answer
    return first is not None and all(candidate.answer == first for candidate in candidates)


def hand_back(state: TaskState, winner: Candidate, record: dict[str, Any]) -> TaskState:
    """Make the winner the sample's output, mark its choice, and keep the record in the sample's store."""
    state.output = winner.output
    state.messages.append(winner.output.message)
    for i in range(len(state.choices)):
        state.choices.mark_choice(i, winner.answer == chr(97 + i))
    state.store.set(STORE, record)
    return state
