"""Figures over several completions of one problem: pass@k, majority vote, best of N."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import comb
from typing import TypeVar

from sillok.testbeds.base import check_count

T = TypeVar("T", bound=Hashable)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k of n completions, drawn without replacement, hold one of the c correct ones.

    The unbiased estimator 1 - C(n-c, k) / C(n, k) of Chen et al., "Evaluating Large Language Models Trained on
    Code" (2021), in exact integers.

    Raises:
        ValueError: c outside [0, n] or k outside [1, n].
    """
    check_count("n", n)
    check_count("c", c, 0)
    check_count("k", k)
    if c > n:
        raise ValueError(f"c must be at most n ({n}); got {c}")
    if k > n:
        raise ValueError(f"k must be at most n ({n}); got {k}")
    return 1 - comb(n - c, k) / comb(n, k)


def majority(answers: Sequence[T | None]) -> T | None:
    """The commonest answer, None (no answer given) not counting; the first given among equals.

    None when no completion has an answer.
    """
    counts: dict[T, int] = {}
    for answer in answers:
        if answer is not None:
            counts[answer] = counts.get(answer, 0) + 1
    return max(counts, key=lambda answer: counts[answer]) if counts else None


def best_of(scores: Sequence[float]) -> int:
    """Index of the highest score, the first among equals.

    Raises:
        ValueError: no scores, or one that is not a number.
    """
    if not scores or any(score != score for score in scores):
        raise ValueError(f"scores must be one number or more, none of them NaN; got {list(scores)[:8]}")
    return max(range(len(scores)), key=lambda place: scores[place])
