"""Adversarial battles for parity with VideoAutoArena's script, and what Sillok makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sillok.methods.evals.arena import Tally, arena_win_rate, bradley_terry, separable, winner_of
from sillok.methods.evals.video_arena import OVERALL, judged

#: Overall verdicts as judges write them, and as they should not.
VERDICTS: tuple[Any, ...] = (
    "A",
    "B",
    "Tie",
    " A ",
    "B\n",
    "TIE",
    "Tie (both are good)",
    "Tie (both are bad)",
    "Model A",
    "Model B is better",
    "Both are bad",
    "Both A and B are good",
    "Neither",
    "neither answer",
    "a",
    "b",
    "",
    "A/B/Tie",
    "All in all, the second",
    "Better: A",
    "```\nA\n```",
    "무승부",
    "The entity tie-break goes to A",
    None,
    7,
)
_USUAL = (0.38, 0.36, 0.14)


def parity_cases(seed: int, n: int) -> list[list[dict[str, Any]]]:
    """`n` sets of battles between two to eight systems; in some, a system stands on one side only, or is hardly met.

    Sets in which a rating is infinite in truth are left out: there the script prints where its optimizer stopped.
    """
    rng = np.random.default_rng([seed, 41])
    cases: list[list[dict[str, Any]]] = []
    while len(cases) < n:
        battles = _battles(rng)
        fought = judged(battles)
        if fought and not separable(fought):
            cases.append(battles)
    return cases


def _battles(rng: np.random.Generator) -> list[dict[str, Any]]:
    weights = np.full(len(VERDICTS), (1 - sum(_USUAL)) / (len(VERDICTS) - len(_USUAL)))
    weights[: len(_USUAL)] = _USUAL
    systems = [f"S{i}" for i in range(int(rng.integers(2, 9)))]
    one_sided = systems[-1] if rng.random() < 0.2 else None
    battles: list[dict[str, Any]] = []
    for at in range(int(rng.integers(10, 160))):
        a, b = rng.choice(len(systems), 2, replace=False)
        if systems[b] == one_sided:
            a, b = b, a
        record: dict[str, Any] = {"qid": str(at), "model a": systems[a], "model b": systems[b]}
        if rng.random() > 0.02:  # a judgement may lack its last section
            record[OVERALL] = VERDICTS[int(rng.choice(len(VERDICTS), p=weights))]
        battles.append(record)
    return battles


def parity_score(case: list[dict[str, Any]]) -> dict[str, Any]:
    """Winners, win rates and ratings of one set of battles, under the names that the authors' adapter gives them."""
    found: dict[str, Any] = {f"winner/{i}": winner_of(record.get(OVERALL)) for i, record in enumerate(case)}
    tally = Tally.of(judged(case))
    found |= {f"win_rate/{name}": rate for name, rate in arena_win_rate(tally).items()}
    ratings = bradley_terry(tally)
    if not ratings:  # the script has nothing to fit, and fails in scikit-learn
        return found | {"error": "ValueError"}
    return found | {f"elo/{name}": rating for name, rating in ratings.items()}
