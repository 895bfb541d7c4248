"""The knockout trial: its vectorised tournaments, and what its rule catches."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from sillok.methods.search.rates import knockout_exact
from sillok.trials.search import tournaments as t
from sillok.trials.search.knockout import CYCLE, CYCLE_SHARES, RIGHT_45, calls, scaling
from sillok.verify.contract import Run
from sillok.verify.worker import checked, judge

T = 20_000


def _near(measured: float, expected: float, n: int = T) -> bool:
    return abs(measured - expected) < 3.5 * (expected * (1 - expected) / n) ** 0.5 + 1e-9


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (5, 1), (7, 4), (16, 3), (11, 2)])
def test_tournaments_follow_the_exact_law_byes_included(n: int, k: int) -> None:
    rng = np.random.default_rng([n, k])
    winners = t.knockout_winners(t.draw([0.3, 0.7], T, n, rng), t.preference_table(0.7), k, rng)
    assert winners.shape == (T,)
    assert _near(t.failure(winners), knockout_exact(0.3, 0.7, n, k))
    faulty = t.knockout_winners(t.draw([0.3, 0.7], T, n, rng), t.preference_table(0.7), k, rng, loser=True)
    assert _near(t.failure(faulty), knockout_exact(0.3, 0.3, n, k))


def test_wrong_answers_of_several_kinds_are_one_to_the_law() -> None:
    rng = np.random.default_rng(1)
    winners = t.knockout_winners(t.draw(RIGHT_45, T, 8, rng), t.preference_table(0.7, 4), 2, rng)
    assert _near(t.failure(winners), knockout_exact(0.45, 0.7, 8, 2))
    counts = np.bincount(t.draw(RIGHT_45, T, 8, rng).ravel(), minlength=4) / (8 * T)
    assert counts == pytest.approx(RIGHT_45, abs=0.005)


def test_position_bias_and_dependence_of_comparisons() -> None:
    rng, table = np.random.default_rng(2), t.preference_table(0.6)
    right, wrong = np.zeros(T, int), np.ones(T, int)
    for a, b, swapped, one_way in ((right, wrong, 0.6, 0.9), (wrong, right, 0.4, 0.7)):
        for k in (1, 3, 4):
            mean = t.wins_of_first(a, b, table, k, rng, bias=0.3).mean() / k
            assert mean == pytest.approx(swapped, abs=0.02)
            mean = t.wins_of_first(a, b, table, k, rng, bias=0.3, swap=False).mean() / k
            assert mean == pytest.approx(one_way, abs=0.02)
    wins = t.wins_of_first(right, wrong, table, 5, rng, dependence=1.0)
    assert set(wins) == {0, 5} and wins.mean() / 5 == pytest.approx(0.6, abs=0.02)


def test_league_of_two_is_a_knockout_of_twice_k() -> None:
    rng = np.random.default_rng(3)
    winners = t.league_winners(t.draw([0.5, 0.5], T, 2, rng), t.preference_table(0.7), 3, 1, rng)
    assert _near(t.failure(winners), knockout_exact(0.5, 0.7, 2, 6))


def test_majority_of_three_by_hand() -> None:
    rng = np.random.default_rng(4)
    right = 0.4**3 + 3 * 0.4**2 * 0.6 + 6 * 0.4 * 0.35 * 0.25 / 3  # all different: one of three at random
    assert _near(t.failure(t.majority_winners([0.4, 0.35, 0.25], T, 3, rng)), 1 - right)


def test_cycle_defeats_the_knockout_and_not_the_league() -> None:
    rng = np.random.default_rng(5)
    assert pytest.approx(np.ones((3, 3))) == CYCLE + CYCLE.T
    mean = CYCLE @ CYCLE_SHARES
    assert mean[0] == mean.max() and CYCLE[2, 0] > 0.5 > CYCLE[1, 0] and CYCLE[1, 2] > 0.5
    answers = t.draw(CYCLE_SHARES, 300, 1024, rng)
    assert t.failure(t.knockout_winners(answers, CYCLE, 2, rng)) > 0.85
    assert t.failure(t.league_winners(answers, CYCLE, 2, 16, rng)) < 0.05


def test_majority_gets_as_many_calls() -> None:
    assert [calls(1, 2), calls(8, 2), calls(1024, 2)] == [1, 22, 3070]


@cache
def _measured(arm: str, seed: int, fault: bool = False) -> dict[str, float]:
    run = Run(arm=arm, seed=seed, scale="smoke", fault=fault)
    measured = checked(scaling.body(run), scaling)
    assert run.curves
    return measured


def _verdict(arms: dict[str, tuple[str, bool]]) -> dict[str, Any]:
    table = {label: {s: _measured(arm, s, fault) for s in range(3)} for label, (arm, fault) in arms.items()}
    return judge(scaling, {"table": table, "scale": "smoke"})


def test_verdicts_of_trial_placebo_and_fault_at_smoke() -> None:
    real = _verdict({"majority": ("majority", False), "knockout": ("knockout", False)})
    placebo = _verdict({"majority": ("majority", False), "knockout": ("majority", False)})
    fault = _verdict({"majority": ("majority", False), "knockout": ("knockout", True)})
    assert (real["verdict"], placebo["verdict"], fault["verdict"]) == ("upheld", "not upheld", "not upheld")


def test_broken_assumptions_are_measured_beside_the_law() -> None:
    ours = _measured("knockout", 0)
    assert ours["dependent"] > 3 * ours["dependent_law"]
    assert ours["mixed"] > 3 * ours["mixed_law"]
    assert ours["unswapped"] > 2 * ours["swapped"]
    assert ours["cycle"] > 0.8 > 0.1 > _measured("league", 0)["cycle"]


def test_repeats_with_its_seed() -> None:
    run = Run(arm="knockout", seed=0, scale="smoke")
    assert dict(scaling.body(run)) == _measured("knockout", 0)
    assert {curve["series"] for curve in run.curves} >= {"measured, K=2", "exact, K=2", "bound, K=2"}
    assert all(y > 0 for curve in run.curves for _, y in curve["points"])
