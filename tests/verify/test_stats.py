"""Intervals, three-valued truth, and the table that a rule sees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from sillok.verify.stats import Interval, Paired, Truth, _t_quantile, bootstrap, wilson

YES, NO, UNKNOWN = Truth.YES, Truth.NO, Truth.UNKNOWN


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 10, 31, 200])
@pytest.mark.parametrize("p", [0.9, 0.975, 0.995])
def test_t_quantile_agrees_with_scipy(p: float, df: int) -> None:
    assert _t_quantile(p, df) == pytest.approx(reference.t.ppf(p, df), rel=1e-7)


@pytest.mark.parametrize(("hits", "trials"), [(0, 5), (5, 5), (3, 10), (480, 1000)])
def test_wilson_agrees_with_scipy(hits: int, trials: int) -> None:
    theirs = reference.binomtest(hits, trials).proportion_ci(method="wilson")
    ours = wilson(hits, trials)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_pooled_counts_are_judged_by_wilson_over_all_seeds() -> None:
    paired = Paired(["a", "b"], {arm: {seed: {"x": 0.0} for seed in range(5)} for arm in "ab"}, "here")
    assert (
        paired.pooled([0] * 5, [24] * 5, "false").at_most(0.01) is UNKNOWN
    )  # where a bootstrap has no width
    assert paired.pooled([0] * 5, [80] * 5, "false").at_most(0.01) is YES
    assert paired.pooled([6, 0, 0, 0, 0], [24] * 5, "false").at_most(0.01) is NO
    same = wilson(6, 120)
    assert (paired.intervals[-1].low, paired.intervals[-1].high) == (same.low, same.high)
    assert paired.reasons()[-1].startswith("false, 6 of 120")
    assert paired.pooled([0.1 * 3 * 10], [3], "rounding of floats").mean == 1
    for hits, cases in (([0.5], [2]), ([3], [2]), ([0], [0])):
        with pytest.raises(ValueError, match="hits"):
            paired.pooled(hits, cases, "x")


def test_three_values_span_their_range() -> None:
    interval = bootstrap([1.0, 2.0, 6.0])
    assert (interval.low, interval.mean, interval.high, interval.n) == (1.0, 3.0, 6.0, 3)


def test_five_values_against_the_distribution_enumerated_another_way() -> None:
    values = [0.3, 1.7, 2.9, 4.1, 9.0]
    means = sorted(sum(c) / 5 for c in itertools.product(values, repeat=5))
    tail = reference.norm.cdf(-np.sqrt(5 / 4) * reference.t.ppf(0.975, 4))
    expected = means[int(np.ceil(tail * len(means))) - 1]
    assert bootstrap(values).low == pytest.approx(expected)


@pytest.mark.parametrize(("n", "least"), [(5, 0.87), (12, 0.92)])
def test_coverage(n: int, least: float) -> None:
    """Intervals hold the true mean about as often as they say; a plain percentile bootstrap does not at 5."""
    rng = np.random.default_rng(0)
    held = [(i := bootstrap(rng.normal(size=n))).low <= 0 <= i.high for _ in range(400)]
    assert least < np.mean(held) < 0.99


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_interval_holds_the_mean_and_moves_with_the_values(
    values: list[float], scale: float, shift: float
) -> None:
    interval = bootstrap(values)
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= interval.low <= interval.mean + slack
    assert interval.mean - slack <= interval.high <= max(values) + slack
    moved = bootstrap([scale * v + shift for v in values])
    assert moved.low == pytest.approx(scale * interval.low + shift, rel=1e-6, abs=1e-4)


def test_constant_values_have_no_width() -> None:
    interval = bootstrap([0.5] * 7)
    assert interval.low == interval.high == 0.5


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")], [[1.0, 2.0]]])
def test_bootstrap_refuses(values: list[float]) -> None:
    with pytest.raises(ValueError, match="values must be"):
        bootstrap(values)


def test_truth_tables() -> None:
    assert (YES & YES, YES & UNKNOWN, UNKNOWN & NO, YES & False) == (YES, UNKNOWN, NO, NO)
    assert (NO | NO, NO | UNKNOWN, UNKNOWN | YES, False | YES) == (NO, UNKNOWN, YES, YES)
    assert (~YES, ~NO, ~UNKNOWN) == (NO, YES, UNKNOWN)


def test_truth_is_not_a_bool() -> None:
    with pytest.raises(TypeError, match="three values"):
        bool(YES)
    with pytest.raises(TypeError, match="must return"):
        Truth.of(1)  # type: ignore[arg-type]


def test_bounds_are_compared_with_the_whole_interval() -> None:
    interval = Interval("x", 1.0, 2.0, 3.0, 5)
    assert [interval.at_most(b) for b in (3.0, 2.5, 0.9)] == [YES, UNKNOWN, NO]
    assert [interval.at_least(b) for b in (1.0, 1.5, 3.1)] == [YES, UNKNOWN, NO]
    assert [interval.below(b) for b in (3.0, 3.1, 1.0)] == [UNKNOWN, YES, NO]
    assert [interval.above(b) for b in (1.0, 0.9, 3.0)] == [UNKNOWN, YES, NO]


TABLE = {
    "base": {0: {"loss": 2.0}, 1: {"loss": 4.0}, 2: {"loss": 8.0}, 3: {"loss": 1.0}},
    "method": {0: {"loss": 1.0}, 1: {"loss": 2.0}, 2: {"loss": 4.0}},
    "other": {0: {"loss": 3.0}, 1: {"loss": 5.0}, 2: {"loss": 9.0}, 3: {"loss": 0.0}},
}


def test_pairs_are_seeds_that_every_arm_has() -> None:
    paired = Paired(["base", "method", "other"], TABLE, "here")
    assert paired.seeds == [0, 1, 2]
    ratio = paired.ratio("loss")
    assert (ratio.low, ratio.high) == (0.5, 0.5)  # pair by pair: the spread between seeds is no noise
    assert paired.difference("loss", "other").mean == 1.0


def test_another_arm_may_be_the_reference() -> None:
    paired = Paired(["base", "method", "other"], TABLE, "here")
    assert paired.difference("loss", "other", of="method").mean == pytest.approx((2 + 3 + 5) / 3)


def test_rules_leave_their_reasons() -> None:
    paired = Paired(["base", "method"], TABLE, "here")
    verdict = paired.ratio("loss").at_most(0.6) & paired.every("halved", lambda i: i < 2)
    assert verdict is UNKNOWN
    assert paired.reasons() == [
        "loss, method / base = 0.5 [0.5, 0.5] <= 0.6: yes",
        "halved in 2 of 3 seeds: not resolved",
    ]


def test_unknown_names_and_zeros() -> None:
    paired = Paired(["base", "other"], TABLE, "here")
    with pytest.raises(ValueError, match="no 'speed'"):
        paired.ratio("speed")
    with pytest.raises(ValueError, match="no arm 'none'"):
        paired.mean("loss", "none")
    with pytest.raises(ValueError, match="no ratio"):
        paired.ratio("loss", "base", of="other")
