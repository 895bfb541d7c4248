"""A simulated language model with stated error rates, as an ordinary Inspect model without any network.

It answers a question rightly with a stated probability, and compares two solutions with stated errors: what
a method of test-time compute does to known rates can then be held against theory. The provider is
registered as ``sillok/simulated``; `simulated_model` makes one in Python.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

# A prompt that holds both tags is a comparison; all others are questions.
_PAIR = re.compile(
    r"<solution_1>(?P<first>.*?)</solution_1>.*?<solution_2>(?P<second>.*?)</solution_2>", re.DOTALL
)
_ANSWER = re.compile(r"ANSWER:[ \t]*(.+)")


def _rate(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, not {value!r}")
    return float(value)


def _rates(name: str, value: Any) -> float | dict[str, float]:
    if isinstance(value, Mapping):
        if not value:
            raise ValueError(f"{name} must name at least one question, not {value!r}")
        return {str(key): _rate(f"{name}[{key!r}]", rate) for key, rate in value.items()}
    return _rate(name, value)


def _shares(wrong: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    if isinstance(wrong, str) or not wrong:
        raise ValueError(f"wrong_answers must be a non-empty list, or a mapping to weights, not {wrong!r}")
    weights = dict(wrong) if isinstance(wrong, Mapping) else dict.fromkeys(wrong, 1.0)
    total = sum(weights.values())
    if min(weights.values()) < 0 or not math.isfinite(total) or total <= 0:
        raise ValueError(f"wrong_answers must have finite weights >= 0 with a sum above 0, not {wrong!r}")
    return {str(answer): weight / total for answer, weight in weights.items()}


def _table(preferences: Mapping[str, Mapping[str, float]] | None) -> dict[tuple[str, str], float]:
    """P(row is preferred to column), both ways round."""
    table: dict[tuple[str, str], float] = {}
    for row, columns in (preferences or {}).items():
        for column, value in columns.items():
            rate = _rate(f"preferences[{row!r}][{column!r}]", value)
            known = table.get((row, column), rate)
            if row == column or abs(known - rate) > 1e-12:
                raise ValueError(f"preferences of {row!r} and {column!r} contradict: {known} and {rate}")
            table[row, column], table[column, row] = rate, 1 - rate
    return table


class SimulatedAPI(ModelAPI):
    """The provider behind `simulated_model`; its arguments are described there."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (the host's signature)
        *,
        p_gen: float | Mapping[str, float] = 0.5,
        p_comp: float | Mapping[str, float] = 0.75,
        right: str | Mapping[str, str] = "right",
        wrong_answers: Sequence[str] | Mapping[str, float] = ("wrong",),
        position_bias: float = 0.0,
        tie: float = 0.0,
        unparsable: float = 0.0,
        preferences: Mapping[str, Mapping[str, float]] | None = None,
        dependence: float = 0.0,
        seed: int = 0,
    ):
        super().__init__(model_name, base_url, api_key, [], config)
        self._p_gen, self._p_comp = _rates("p_gen", p_gen), _rates("p_comp", p_comp)
        self._right = right if isinstance(right, str) else dict(right)
        self._wrong = _shares(wrong_answers)
        rights = {self._right} if isinstance(self._right, str) else set(self._right.values())
        if rights & set(self._wrong):
            raise ValueError(
                f"wrong_answers must not hold a right answer: {sorted(rights & set(self._wrong))}"
            )
        if not -1 <= position_bias <= 1:
            raise ValueError(f"position_bias must lie between -1 and 1, not {position_bias!r}")
        self._bias = position_bias
        self._tie, self._unparsable = _rate("tie", tie), _rate("unparsable", unparsable)
        if self._tie + self._unparsable > 1:
            raise ValueError(f"tie + unparsable must be at most 1, not {self._tie + self._unparsable}")
        self._preferences = _table(preferences)
        self._dependence = _rate("dependence", dependence)
        self._seed = int(seed)
        self._seen: Counter[bytes] = Counter()

    def max_connections(self) -> int:
        return 1000

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer the last user message, or give a verdict when it shows two solutions."""
        prompt = "\n".join(f"{message.role}: {message.text}" for message in input)
        key = hashlib.sha256(prompt.encode()).digest()
        rng = self._rng(key, self._seen[key])
        self._seen[key] += 1  # no await stands between reading the count and raising it
        pair = _PAIR.search(prompt)
        text = self._verdict(prompt, pair, rng) if pair else self._solution(prompt, rng)
        output = ModelOutput.from_content(model=self.model_name, content=text)
        # Stated here in words, since Inspect would otherwise fetch a tokenizer to estimate it.
        read, written = len(prompt.split()), len(text.split())
        output.usage = ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)
        return output

    def _rng(self, key: bytes, index: int | str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self._seed}/{index}/".encode() + key).digest()
        return np.random.default_rng(int.from_bytes(digest[:16], "big"))

    def _of(self, name: str, values: Any, prompt: str) -> Any:
        """The value of the question in the prompt: of the longest key that the prompt contains."""
        if not isinstance(values, dict):
            return values
        found = [key for key in values if key in prompt]
        if not found:
            raise ValueError(f"{name} names no question of this prompt: {prompt[:200]!r}")
        return values[max(found, key=len)]

    def _solution(self, prompt: str, rng: np.random.Generator) -> str:
        answer = self._of("right", self._right, prompt)
        if rng.random() >= self._of("p_gen", self._p_gen, prompt):
            answer = str(rng.choice(list(self._wrong), p=list(self._wrong.values())))
        # A number of its own makes two solutions with one answer two texts, as with a real model.
        return f"Attempt {rng.integers(2**40):010x} at this question.\nANSWER: {answer}"

    def _verdict(self, prompt: str, pair: re.Match[str], rng: np.random.Generator) -> str:
        kind = rng.random()
        if kind < self._unparsable:
            return "Both have their merits."
        if kind < self._unparsable + self._tie:
            return "They are equally good.\nVERDICT: tie"
        texts = pair["first"].strip(), pair["second"].strip()
        p = self._preferred(prompt[: pair.start()] + prompt[pair.end() :], *texts)
        if rng.random() < self._dependence:
            # One uniform number for the pair, whichever order it is shown in: every such comparison
            # of the pair has the same outcome (bias aside).
            key = hashlib.sha256("\0".join(sorted(texts)).encode()).digest()
            u = self._rng(key, "pair").random()
            u = u if texts[0] <= texts[1] else 1 - u
        else:
            u = rng.random()
        first = u < p + self._bias
        return f"Solution {1 if first else 2} is better.\nVERDICT: {1 if first else 2}"

    def _preferred(self, prompt: str, first: str, second: str) -> float:
        """P(the first solution is preferred) by its answer, before any bias of position."""
        answers = [(_ANSWER.findall(text) or [text])[-1].strip() for text in (first, second)]
        if (answers[0], answers[1]) in self._preferences:
            return self._preferences[answers[0], answers[1]]
        right = self._of("right", self._right, prompt)
        good = [answer == right for answer in answers]
        if good[0] == good[1]:
            return 0.5
        p_comp: float = self._of("p_comp", self._p_comp, prompt)
        return p_comp if good[0] else 1 - p_comp


@modelapi(name="sillok")
def sillok() -> type[ModelAPI]:
    """The Inspect provider ``sillok``; its one model is ``sillok/simulated``."""
    return SimulatedAPI


def simulated_model(
    p_gen: float | Mapping[str, float],
    p_comp: float | Mapping[str, float],
    *,
    right: str | Mapping[str, str] = "right",
    wrong_answers: Sequence[str] | Mapping[str, float] = ("wrong",),
    position_bias: float = 0.0,
    tie: float = 0.0,
    unparsable: float = 0.0,
    preferences: Mapping[str, Mapping[str, float]] | None = None,
    dependence: float = 0.0,
    seed: int = 0,
) -> Model:
    """An Inspect model that answers and judges with stated error rates.

    A prompt that shows two solutions in ``<solution_1>`` and ``<solution_2>`` tags is a comparison: the reply
    ends in ``VERDICT: 1``, ``2`` or ``tie``. Any other prompt is a question: the reply ends in ``ANSWER: ...``.

    Args:
        p_gen: probability of a right answer; a mapping gives it by question (a text that the prompt contains).
        p_comp: probability that right is preferred to wrong; a mapping gives it by question. Two right or
            two wrong solutions are a fair coin.
        right: the right answer, or a mapping from questions to right answers.
        wrong_answers: answers when it errs, equally likely, or a mapping from answers to weights.
        position_bias: added to the probability that the first of two shown is preferred (clipped to [0, 1]).
        tie, unparsable: shares of verdicts that are a tie, or that hold no verdict.
        preferences: ``{"a": {"b": 0.8}}``: answer a is preferred to b with 0.8, whatever is right. It need not
            be transitive, and goes before ``p_comp``.
        dependence: probability that a comparison repeats the fixed outcome of its pair of solutions instead
            of drawing a new one. Rates stay as stated; comparisons of one pair are then correlated by its square.
        seed: every draw follows from the seed, the prompt and how often this model has seen that very prompt.

    Identical prompts give fresh independent draws, the same sequence for the same seed. Since each prompt
    counts for itself, replies do not depend on the order in which different prompts arrive; concurrent
    identical prompts share out one fixed sequence in the order in which they start.

    Raises:
        ValueError: a rate outside [0, 1], no wrong answer, or preferences that contradict each other.
    """
    # not memoised: a second model of the same seed starts its sequence anew
    return get_model(
        "sillok/simulated",
        memoize=False,
        p_gen=p_gen,
        p_comp=p_comp,
        right=right,
        wrong_answers=wrong_answers,
        position_bias=position_bias,
        tie=tie,
        unparsable=unparsable,
        preferences=preferences,
        dependence=dependence,
        seed=seed,
    )
