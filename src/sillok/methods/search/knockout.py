"""Knockout and league: tournaments over sampled solutions, as Inspect solvers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from inspect_ai.model import get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import collect

from sillok.methods.search.pairwise import Compare, Comparison, pairwise
from sillok.methods.search.sampling import (
    Candidate,
    agreed,
    at_least,
    draw_candidates,
    hand_back,
    question_of,
    rng_of,
)

T = TypeVar("T")


def pair_up(field: Sequence[T]) -> tuple[list[tuple[T, T]], list[T]]:
    """Neighbours as pairs, and the last one alone where the number is odd: it gets a bye."""
    pairs = list(zip(field[0::2], field[1::2], strict=False))
    return pairs, list(field[len(pairs) * 2 :])


def fixtures(n: int, m: int) -> dict[tuple[int, int], int]:
    """Meetings of each pair (i < j) when every candidate challenges the next m in a circle."""
    met: dict[tuple[int, int], int] = {}
    for i in range(n):
        for step in range(1, m + 1):
            j = (i + step) % n
            pair = (min(i, j), max(i, j))
            met[pair] = met.get(pair, 0) + 1
    return met


async def _compare_all(
    state: TaskState,
    candidates: Sequence[Candidate],
    meetings: Sequence[tuple[int, int, int]],
    compare: Compare,
    rng: np.random.Generator,
) -> list[Comparison]:
    """Comparisons (a, b, k) at once. A coin decides who is passed first, and so leads with odd k."""
    question, judge = question_of(state), get_model(role="judge")
    swaps = rng.random(len(meetings)) < 0.5
    calls = []
    for (a, b, k), swap in zip(meetings, swaps, strict=True):
        first, second = (b, a) if swap else (a, b)
        calls.append(compare(question, candidates[first].text, candidates[second].text, k=k, judge=judge))
    results = await collect(*calls)
    return [
        Comparison(r.wins_b, r.wins_a, tuple(1 - v for v in r.verdicts), r.unparsable) if swap else r
        for r, swap in zip(results, swaps, strict=True)
    ]


def _record(method: str, candidates: Sequence[Candidate], n: int, k: int) -> dict[str, Any]:
    return {
        "method": method,
        "n": n,
        "k": k,
        "answers": [candidate.answer for candidate in candidates],
        # fewer distinct texts than candidates: the model does not sample, and more calls bring nothing
        "distinct": len({candidate.text for candidate in candidates}),
        "rounds": [],
        "calls": n,
        "unparsable": 0,
    }


def _meeting(a: int, b: int, result: Comparison, record: dict[str, Any], k: int) -> dict[str, Any]:
    record["calls"] += k
    record["unparsable"] += result.unparsable
    return {"a": a, "b": b, "wins_a": result.wins_a, "wins_b": result.wins_b}


@solver
def knockout(
    *,
    n: int = 16,
    k: int = 2,
    generate: Solver | None = None,
    compare: Compare | None = None,
    early_stop: bool = True,
    cot: bool = True,
    seed: int = 0,
) -> Solver:
    """Sample n solutions, and let the winner of each pair's k comparisons advance until one is left.

    The sample's output becomes the winning solution, so any scorer follows. Calls of the model:
    n + k (n - 1) at most. Both models must sample: temperature above 0, no fixed seed.

    Args:
        n: number of candidate solutions.
        k: comparisons of a pair, half of them in swapped order (see `pairwise`).
        generate: an Inspect solver that draws one candidate, in place of the built-in prompt.
        compare: compares two solutions, in place of `pairwise` with the model role "judge" (the evaluated
            model where no such role is given).
        early_stop: end when all that remain state the same answer. It changes which solution wins, and
            never its answer.
        cot: the judge reasons before its verdict.
        seed: of ties, which a fair coin breaks, and of who leads where k is odd.

    The sample's store keeps answers, rounds, wins and calls under "tournament"; `estimate_rates` reads it.

    Raises:
        ValueError: ``n`` or ``k`` below 1.

    Reference:
        Y. Chen et al., "A Simple and Provable Scaling Law for the Test-Time Compute of Large Language
        Models", arXiv 2411.19477, section 2.

    Differs from the paper:
        With odd k the order that is shown once more is drawn at random. Prompts are Sillok's own.
    """
    at_least("n", n, 1)
    at_least("k", k, 1)
    decide: Compare = compare or partial(pairwise, cot=cot)

    async def solve(state: TaskState, _: Generate) -> TaskState:
        rng = rng_of(state, seed)
        candidates = await draw_candidates(state, n, generate)
        record = _record("knockout", candidates, n, k)
        field = list(range(n))
        while len(field) > 1 and not (early_stop and agreed([candidates[i] for i in field])):
            pairs, alone = pair_up(field)
            results = await _compare_all(state, candidates, [(a, b, k) for a, b in pairs], decide, rng)
            coins = rng.random(len(pairs)) < 0.5
            meetings, winners = [], []
            for (a, b), result, coin in zip(pairs, results, coins, strict=True):
                meeting = _meeting(a, b, result, record, k)
                lead = result.wins_a - result.wins_b
                meeting["winner"] = a if lead > 0 or (lead == 0 and coin) else b
                meetings.append(meeting)
                winners.append(meeting["winner"])
            record["rounds"].append(meetings)
            field = alone + winners  # whoever had the bye is paired first in the next round
        record["winner"] = field[0]
        return hand_back(state, candidates[field[0]], record)

    return solve


@solver
def league(
    *,
    n: int = 16,
    k: int = 2,
    m: int | None = None,
    generate: Solver | None = None,
    compare: Compare | None = None,
    early_stop: bool = True,
    cot: bool = True,
    seed: int = 0,
) -> Solver:
    """Sample n solutions, let each challenge m others k times, and take the highest mean win rate.

    It needs a right solution that wins on average over its opponents, and not against each of them. Calls
    of the model: n + n m k at most.

    Args:
        n, k, generate, compare, early_stop, cot, seed: as in `knockout`; ties for the first place are
            broken by a fair coin.
        m: opponents that each candidate challenges (the next m in a circle), at most n - 1, the default. A
            pair that challenge each other meet 2 k times.

    Raises:
        ValueError: ``n``, ``k`` or ``m`` below 1, or ``m`` above n - 1.

    Reference:
        Y. Chen et al., arXiv 2411.19477, the league-style algorithm of the later versions.
    """
    at_least("n", n, 1)
    at_least("k", k, 1)
    if m is not None and not (at_least("m", m, 1) <= n - 1):
        raise ValueError(f"m must be at most n - 1 = {n - 1}, not {m!r}")
    opponents = n - 1 if m is None else m
    decide: Compare = compare or partial(pairwise, cot=cot)

    async def solve(state: TaskState, _: Generate) -> TaskState:
        rng = rng_of(state, seed)
        candidates = await draw_candidates(state, n, generate)
        record = _record("league", candidates, n, k)
        if n == 1 or (early_stop and agreed(candidates)):
            record["winner"] = 0
            return hand_back(state, candidates[0], record)
        meetings = [(a, b, k * times) for (a, b), times in fixtures(n, opponents).items()]
        results = await _compare_all(state, candidates, meetings, decide, rng)
        wins, played = np.zeros(n), np.zeros(n)
        kept = []
        for (a, b, times), result in zip(meetings, results, strict=True):
            kept.append(_meeting(a, b, result, record, times))
            wins[[a, b]] += result.wins_a, result.wins_b
            played[[a, b]] += times
        record["rounds"].append(kept)
        rate = wins / played
        best = np.flatnonzero(np.isclose(rate, rate.max()))
        record["winner"] = int(rng.choice(best))
        record["win_rates"] = rate.tolist()
        return hand_back(state, candidates[record["winner"]], record)

    return solve
