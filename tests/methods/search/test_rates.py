"""The law of the tournament against enumeration and simulation; estimates against known rates."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.dataset import Sample

from sillok.methods.search.knockout import knockout, league, pair_up
from sillok.methods.search.rates import (
    decay_exponent,
    estimate_rates,
    knockout_bound,
    knockout_exact,
    majority_right,
    wilson,
)
from sillok.testbeds.sim_model import simulated_model
from sillok.verify.stats import wilson as by_hand

unit = st.floats(0, 1)
sizes = st.integers(1, 70)


def test_majority_right_by_enumeration() -> None:
    for k, p in itertools.product(range(1, 7), (0.2, 0.55, 0.9)):
        total = 0.0
        for wins in itertools.product((0, 1), repeat=k):
            share = 1.0 if 2 * sum(wins) > k else 0.5 if 2 * sum(wins) == k else 0.0
            total += share * math.prod(p if win else 1 - p for win in wins)
        assert majority_right(p, k) == pytest.approx(total)


def _enumerated(p_gen: float, lose: float, n: int) -> float:
    """Failure by going through every set of candidates and every outcome of every mixed pair."""

    def right(field: tuple[bool, ...]) -> float:
        if len(field) == 1:
            return float(field[0])
        pairs, alone = pair_up(field)
        total = 0.0
        options = [((True, 1 - lose), (False, lose)) if a != b else ((a, 1.0),) for a, b in pairs]
        for outcome in itertools.product(*options):
            weight = math.prod(w for _, w in outcome)
            total += weight * right((*alone, *(winner for winner, _ in outcome)))
        return total

    return 1 - sum(
        math.prod(p_gen if good else 1 - p_gen for good in field) * right(field)
        for field in itertools.product((True, False), repeat=n)
    )


@pytest.mark.parametrize("n", range(1, 8))
def test_exact_by_enumeration_byes_included(n: int) -> None:
    expected = _enumerated(0.3, 1 - majority_right(0.7, 3), n)
    assert knockout_exact(0.3, 0.7, n, 3) == pytest.approx(expected)


@given(unit, sizes, st.integers(1, 9))
def test_a_coin_for_a_judge_gains_nothing(p_gen: float, n: int, k: int) -> None:
    assert knockout_exact(p_gen, 0.5, n, k) == pytest.approx(1 - p_gen)


@given(unit, sizes, st.integers(1, 9))
def test_a_perfect_judge_fails_only_without_a_right_candidate(p_gen: float, n: int, k: int) -> None:
    assert knockout_exact(p_gen, 1.0, n, k) == pytest.approx((1 - p_gen) ** n, abs=1e-12)


@given(unit, st.floats(0.5, 1), sizes, st.integers(1, 20))
@settings(max_examples=300)
def test_bound_is_above_the_exact_value(p_gen: float, p_comp: float, n: int, k: int) -> None:
    assert knockout_exact(p_gen, p_comp, n, k) <= knockout_bound(p_gen, p_comp, n, k) + 1e-12


def test_bound_by_hand_and_above_one_where_the_exact_value_is_small() -> None:
    assert knockout_bound(0.5, 0.75, 8, 4) == pytest.approx(0.5**8 + 3 * math.exp(-0.5))
    assert knockout_bound(0.5, 0.75, 9, 4) == pytest.approx(0.5**9 + 4 * math.exp(-0.5))
    assert knockout_bound(0.5, 0.75, 64, 4) > 1
    assert knockout_exact(0.5, 0.75, 64, 4) < 0.02
    assert knockout_bound(0.3, 0.9, 1, 2) == pytest.approx(0.7)


def test_failure_falls_as_the_stated_power() -> None:
    here, there = knockout_exact(0.5, 0.8, 2**19, 3), knockout_exact(0.5, 0.8, 2**20, 3)
    assert math.log2(here / there) == pytest.approx(decay_exponent(0.8, 3), rel=1e-4)
    assert decay_exponent(0.5, 3) == pytest.approx(0)
    assert decay_exponent(0.4, 3) < 0
    assert decay_exponent(1.0, 3) == math.inf


def test_below_one_half_more_candidates_are_worse() -> None:
    assert knockout_exact(0.5, 0.45, 64, 2) > knockout_exact(0.5, 0.45, 2, 2) > 0.5


@pytest.mark.parametrize(
    ("bad", "name"),
    [
        ((1.5, 0.7, 2, 2), "p_gen"),
        ((0.5, -0.1, 2, 2), "p_comp"),
        ((0.5, 0.7, 0, 2), "n"),
        ((0.5, 0.7, 2, 0), "k"),
    ],
)
def test_bad_arguments(bad: tuple[float, float, int, int], name: str) -> None:
    for function in (knockout_exact, knockout_bound):
        with pytest.raises(ValueError, match=f"^{name} must"):
            function(*bad)


def test_bound_refuses_a_judge_worse_than_a_coin() -> None:
    with pytest.raises(ValueError, match="p_comp must be at least 1/2"):
        knockout_bound(0.5, 0.4, 8, 2)


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 7), (40, 40)])
def test_wilson_agrees_with_the_formula(hits: int, n: int) -> None:
    ours, theirs = wilson(hits, n), by_hand(hits, n)
    assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.mean, theirs.low, theirs.high))


def test_wilson_of_half_hits_covers_both_neighbours() -> None:
    half = wilson(2.5, 6)
    assert half.value == pytest.approx(2.5 / 6)
    assert (half.low, half.high) == (wilson(2, 6).low, wilson(3, 6).high)
    with pytest.raises(ValueError, match="hits"):
        wilson(7, 6)


def test_estimates_hold_the_true_rates_and_show_the_question_below_one_half(evaluate) -> None:
    p_gen = {"easy": 0.6, "hard": 0.4}
    p_comp = {"easy": 0.95, "hard": 0.25}
    model = simulated_model(p_gen, p_comp, tie=0.1, seed=5)
    samples = [Sample(input=f"The {key} question.", target="Right", id=key) for key in p_gen]
    log = evaluate(league(n=12, k=2, m=6), model, samples=samples, epochs=2)
    rates = estimate_rates(log)
    for key in p_gen:
        got = rates.questions[key]
        assert got.p_gen.n == 24
        assert got.p_gen.low <= p_gen[key] <= got.p_gen.high
        assert got.p_comp is not None
        # a tie counts one half, which draws the rate to the middle
        assert got.p_comp.low <= 0.9 * p_comp[key] + 0.05 <= got.p_comp.high
    assert np.mean([q.p_comp.value for q in rates.questions.values()]) > 0.5
    assert rates.below_half == rates.surely_below_half == ["hard"]


def test_estimates_without_a_mixed_pair_and_without_a_record(evaluate) -> None:
    log = evaluate(knockout(n=4), simulated_model(1.0, 0.5))
    assert estimate_rates(log).questions[0].p_comp is None
    assert estimate_rates(log, correct=lambda answer, target: answer == "other").questions[0].p_gen.value == 0
    log.samples = []
    with pytest.raises(ValueError, match="no sample"):
        estimate_rates(log)
