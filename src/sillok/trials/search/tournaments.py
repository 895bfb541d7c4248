"""Many tournaments at once, in NumPy: what `knockout`, `league` and `majority_vote` do, without a model.

Answers are whole numbers, 0 the right one. ``table[a, b]`` is the probability that a solution with answer a is
preferred to one with answer b in one comparison. That these functions and the Inspect solvers have the same
failure rates is a test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int8]
Floats = NDArray[np.float64]


def preference_table(p_comp: float, answers: int = 2) -> Floats:
    """Right beats every wrong answer with p_comp; two wrong ones are a fair coin."""
    table = np.full((answers, answers), 0.5)
    table[0, 1:], table[1:, 0] = p_comp, 1 - p_comp
    return table


def draw(shares: list[float], tournaments: int, n: int, rng: np.random.Generator) -> Ints:
    """Answers (tournaments, n) of independent candidates."""
    edges = np.cumsum(shares)[:-1].astype(np.float32)
    u = rng.random((tournaments, n), dtype=np.float32)
    answers = np.zeros(u.shape, np.int8)
    for edge in edges:
        answers += u >= edge
    return answers


def wins_of_first(
    a: Ints,
    b: Ints,
    table: Floats,
    k: int,
    rng: np.random.Generator,
    *,
    bias: float = 0.0,
    swap: bool = True,
    dependence: float = 0.0,
) -> NDArray[np.int64]:
    """Comparisons of k that a wins, for arrays a and b of one shape.

    ``bias`` is added to the preference for the solution shown first; without ``swap`` that is always a.
    ``dependence`` is the probability that a comparison repeats the fixed outcome of its pair.
    """
    p = table[a, b]
    if dependence:
        copies = rng.binomial(k, dependence, p.shape)
        return copies * (rng.random(p.shape) < p) + rng.binomial(k - copies, p)
    if not bias:
        return rng.binomial(k, p)
    extra = rng.random(p.shape) < 0.5 if k % 2 and swap else 0
    first = k // 2 + extra if swap else k
    shown_first, shown_second = np.clip(p + bias, 0, 1), np.clip(p - bias, 0, 1)
    return rng.binomial(first, shown_first) + rng.binomial(k - first, shown_second)


def knockout_winners(
    answers: Ints, table: Floats, k: int, rng: np.random.Generator, *, loser: bool = False, **judge: Any
) -> Ints:
    """Winning answers (tournaments,) of answers (tournaments, n); ``loser`` advances the loser: a fault."""
    field = answers
    while field.shape[1] > 1:
        half = field.shape[1] // 2
        a, b, alone = field[:, 0 : 2 * half : 2], field[:, 1 : 2 * half : 2], field[:, 2 * half :]
        winners = a.copy()
        open_ = a != b  # between two of one answer it does not matter who wins
        left, right = a[open_], b[open_]
        lead = 2 * wins_of_first(left, right, table, k, rng, **judge) - k
        first = (lead > 0) | ((lead == 0) & (rng.random(lead.shape) < 0.5))
        winners[open_] = np.where(first != loser, left, right)
        field = np.concatenate([alone, winners], axis=1)
    return field[:, 0]


def league_winners(
    answers: Ints, table: Floats, k: int, m: int, rng: np.random.Generator, *, loser: bool = False
) -> Ints:
    """Winning answers when each of n challenges the next m in a circle k times; ``loser`` takes the lowest."""
    wins = np.zeros(answers.shape)
    for step in range(1, m + 1):
        won = wins_of_first(answers, np.roll(answers, -step, axis=1), table, k, rng)
        wins += won + np.roll(k - won, step, axis=1)
    wins = -wins if loser else wins
    best = np.argmax(wins + 0.5 * rng.random(wins.shape), axis=1)  # ties are broken at random
    return np.take_along_axis(answers, best[:, None], axis=1)[:, 0]


def majority_winners(shares: list[float], tournaments: int, n: int, rng: np.random.Generator) -> Ints:
    """The most frequent of n answers, ties broken at random, from their counts (tournaments, answers)."""
    votes = rng.multinomial(n, shares, size=tournaments)
    return np.argmax(votes + 0.5 * rng.random(votes.shape), axis=1).astype(np.int8)


def failure(winners: Ints) -> float:
    """The share of tournaments that a wrong answer won."""
    return float(np.mean(winners != 0))
