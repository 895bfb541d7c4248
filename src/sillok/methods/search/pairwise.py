"""Comparison of two solutions by a language model, repeated in both orders."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from inspect_ai.model import Model
from inspect_ai.util import collect

_PROMPT = """Two solutions to the same question are shown. Decide which of them answers it correctly, or better \
where both or neither are correct. The order in which they are shown means nothing.

<question>
{question}
</question>

<solution_1>
{first}
</solution_1>

<solution_2>
{second}
</solution_2>

{instruction}
VERDICT: 1 (solution 1 is better)
VERDICT: 2 (solution 2 is better)
VERDICT: tie (neither is better)"""

_COT = (
    "Check both solutions step by step and look for mistakes in either. Then end your reply with one line, "
    "which is one of these, without the words in brackets:"
)
_DIRECT = "Reply with one line and nothing else. It is one of these, without the words in brackets:"

_VERDICT = re.compile(r"VERDICT[\W_]*(?:solution[\W_]*)?(1|2|tie)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Comparison:
    """Outcome of comparing a with b: the comparisons won by each, a tie counting one half to both.

    ``verdicts`` are the comparisons one by one: 1.0 won by a, 0.0 won by b, 0.5 a tie or an unreadable reply.
    """

    wins_a: float
    wins_b: float
    verdicts: tuple[float, ...] = ()
    unparsable: int = 0


@runtime_checkable
class Compare(Protocol):
    """Anything that compares two solutions k times; `pairwise` is one."""

    def __call__(
        self, question: str, a: str, b: str, /, *, k: int, judge: Model
    ) -> Awaitable[Comparison]: ...


def comparison_prompt(question: str, first: str, second: str, *, cot: bool = True) -> str:
    """The prompt that shows two solutions and asks for a verdict, with reasoning before it if ``cot``."""
    instruction = _COT if cot else _DIRECT
    return _PROMPT.format(question=question, first=first, second=second, instruction=instruction)


def parse_verdict(reply: str) -> float | None:
    """The share of the first solution: 1.0, 0.0, 0.5 for a tie, None where the reply holds no verdict.

    The last verdict of a reply counts: a model that reasons may name others on the way.
    """
    found = _VERDICT.findall(reply)
    return {"1": 1.0, "2": 0.0, "tie": 0.5}[found[-1].lower()] if found else None


def swap_counts(k: int) -> tuple[int, int]:
    """Comparisons that show a first, and that show b first; the odd one shows a first."""
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k!r}")
    return k - k // 2, k // 2


async def pairwise(question: str, a: str, b: str, /, *, k: int, judge: Model, cot: bool = True) -> Comparison:
    """Compare two solutions k times by independent calls, half of them in swapped order.

    Args:
        question: the question as the solver saw it.
        a, b: texts of the two solutions. With odd k, a stands first once more than b.
        k: number of comparisons, at least 1.
        judge: any Inspect model. It must sample (temperature above 0, no fixed seed), or the k comparisons
            are one. Inspect's cache is switched off for these calls, for the same reason.
        cot: ask for reasoning before the verdict.

    Returns:
        A `Comparison` with ``wins_a + wins_b == k``; a tie or a reply without verdict counts 1/2 to each.

    Raises:
        ValueError: ``k`` below 1.

    Reference:
        Y. Chen et al., "A Simple and Provable Scaling Law for the Test-Time Compute of Large Language
        Models", arXiv 2411.19477, section 2.
    """
    straight, swapped = swap_counts(k)
    prompts = [comparison_prompt(question, a, b, cot=cot)] * straight
    prompts += [comparison_prompt(question, b, a, cot=cot)] * swapped
    outputs = await collect(*(judge.generate(prompt, cache=False) for prompt in prompts))
    shares = [parse_verdict(output.completion) for output in outputs]
    unparsable = sum(share is None for share in shares)
    first = [0.5 if share is None else share for share in shares]
    verdicts = tuple(share if i < straight else 1 - share for i, share in enumerate(first))
    wins = sum(verdicts)
    return Comparison(wins, k - wins, verdicts, unparsable)
