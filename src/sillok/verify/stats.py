"""Paired statistics: intervals, three-valued comparisons, and what a verdict rule may ask."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_EXACT = 6  # up to so many pairs every resample is enumerated (6**6 = 46,656), so no chance is left in it
_RESAMPLES = 20_000

Array = NDArray[np.float64]


class Truth(Enum):
    """A comparison with a bound: held, broken, or not resolved by the interval."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "not resolved"

    @classmethod
    def of(cls, value: Truth | bool) -> Truth:
        if isinstance(value, Truth):
            return value
        if isinstance(value, bool | np.bool_):
            return cls.YES if value else cls.NO
        raise TypeError(f"a verdict rule must return a Truth or a bool, not {value!r}")

    def __and__(self, other: Truth | bool) -> Truth:
        pair = {self, Truth.of(other)}
        if Truth.NO in pair:
            return Truth.NO
        return Truth.UNKNOWN if Truth.UNKNOWN in pair else Truth.YES

    def __or__(self, other: Truth | bool) -> Truth:
        return ~(~self & ~Truth.of(other))

    def __invert__(self) -> Truth:
        return {Truth.YES: Truth.NO, Truth.NO: Truth.YES, Truth.UNKNOWN: Truth.UNKNOWN}[self]

    __rand__ = __and__
    __ror__ = __or__

    def __bool__(self) -> bool:
        raise TypeError("a Truth has three values: combine it with &, | and ~, and compare it with `is`")


@dataclass(frozen=True)
class Interval:
    """A bootstrap interval over seeds (or over items), with the values it stands on.

    ``low`` and ``high`` bound the mean at ``level``. With three pairs the interval is their range, which
    holds the true median in three cases of four only; with five, in fifteen of sixteen.
    """

    what: str
    low: float
    mean: float
    high: float
    n: int
    level: float = LEVEL
    asked: list[str] = field(default_factory=list, compare=False, repr=False)

    def _compare(self, sure: bool, broken: bool, text: str) -> Truth:
        truth = Truth.YES if sure else Truth.NO if broken else Truth.UNKNOWN
        self.asked.append(f"{self} {text}: {truth.value}")
        return truth

    def at_most(self, bound: float) -> Truth:
        """Whether the quantity is at most ``bound``: yes if the whole interval is, no if none of it is."""
        return self._compare(self.high <= bound, self.low > bound, f"<= {bound:.4g}")

    def at_least(self, bound: float) -> Truth:
        """Whether the quantity is at least ``bound``: yes if the whole interval is, no if none of it is."""
        return self._compare(self.low >= bound, self.high < bound, f">= {bound:.4g}")

    def below(self, bound: float) -> Truth:
        """Strict form of `at_most`."""
        return self._compare(self.high < bound, self.low >= bound, f"< {bound:.4g}")

    def above(self, bound: float) -> Truth:
        """Strict form of `at_least`."""
        return self._compare(self.low > bound, self.high <= bound, f"> {bound:.4g}")

    def __str__(self) -> str:
        return f"{self.what} = {self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap(values: Sequence[float] | Array, *, what: str = "mean", level: float = LEVEL) -> Interval:
    """Expanded percentile bootstrap interval of the mean.

    Args:
        values: one number a pair (seed or item), in the unit of the quantity.
        what: how the interval is named in reasons.
        level: nominal coverage, between 0 and 1.

    The percentiles are widened for small samples as in T. Hesterberg, "What Teachers Should Know About the
    Bootstrap" (2015), section 5.3: a plain percentile interval is too narrow by sqrt((n-1)/n) and by
    the normal instead of the t quantile. Up to six values all resamples are enumerated, so the same values
    give the same bounds; beyond that 20,000 resamples are drawn with a fixed seed.

    Raises:
        ValueError: no values, or one that is not finite, or a level outside (0, 1).
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ValueError(f"values must be a non-empty list of finite numbers, not {values!r}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}")
    n = int(x.size)
    mean = float(x.mean())
    if n == 1 or float(np.ptp(x)) == 0.0:
        return Interval(what, mean, mean, mean, n, level)
    if n <= _EXACT:
        index = np.array(list(itertools.product(range(n), repeat=n)))
    else:
        index = np.random.default_rng(0).integers(0, n, size=(_RESAMPLES, n))
    means = x[index].mean(axis=1)
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * _t_quantile(0.5 + level / 2, n - 1))
    low, high = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    return Interval(what, float(low), mean, float(high), n, level)


def _t_quantile(p: float, df: int) -> float:
    """Student's t quantile by bisection on its distribution function (the core does without SciPy)."""
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_cdf(middle, df) < p else (low, middle)
    return (low + high) / 2


def _t_cdf(t: float, df: int) -> float:
    """Distribution function of Student's t for t >= 0 and whole df (Abramowitz and Stegun 26.7.3-4)."""
    theta = math.atan(t / math.sqrt(df))
    cos2 = math.cos(theta) ** 2
    if df % 2:
        term = total = math.cos(theta) if df > 1 else 0.0
        for k in range(3, df - 1, 2):
            term *= cos2 * (k - 1) / k
            total += term
        area = 2 / math.pi * (theta + math.sin(theta) * total)
    else:
        term = total = 1.0
        for k in range(2, df - 1, 2):
            term *= cos2 * (k - 1) / k
            total += term
        area = math.sin(theta) * total
    return 0.5 + area / 2


def wilson(hits: int, trials: int, *, what: str = "rate", level: float = LEVEL) -> Interval:
    """Wilson score interval of a rate (E. B. Wilson, 1927).

    Raises:
        ValueError: ``hits`` outside 0..``trials``, or no trials.
    """
    if trials < 1 or not 0 <= hits <= trials:
        raise ValueError(f"hits must lie in 0..trials with trials >= 1, not hits={hits!r}, trials={trials!r}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = hits / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    return Interval(what, max(0.0, centre - half), rate, min(1.0, centre + half), trials, level)


class Paired:
    """Measurements of a claim, arm by seed, as a verdict rule sees them.

    Every interval that is asked for, and every bound that it is held to, is kept: together they are the
    reason that stands beside the verdict.
    """

    def __init__(
        self, arms: Sequence[str], table: Mapping[str, Mapping[int, Mapping[str, float]]], scale: str
    ):
        """``table[arm][seed][metric]``; only seeds that every judged arm has are paired."""
        self.arms = tuple(arms)
        self.scale = scale
        self._table = table
        self.seeds = sorted(set.intersection(*(set(table[arm]) for arm in arms)))
        self.intervals: list[Interval] = []

    @property
    def baseline(self) -> str:
        return self.arms[0]

    def values(self, metric: str, arm: str | None = None) -> Array:
        """The metric of one arm (default: the first arm after the baseline), one value a seed."""
        arm = self._arm(arm)
        try:
            return np.array([self._table[arm][seed][metric] for seed in self.seeds], dtype=np.float64)
        except KeyError:
            raise ValueError(f"arm {arm!r} measured no {metric!r}") from None

    def ratio(self, metric: str, arm: str | None = None, of: str | None = None) -> Interval:
        """The metric of ``arm`` over that of ``of`` (default: the baseline), pair by pair."""
        arm, of = self._arm(arm), of or self.baseline
        below = self.values(metric, of)
        if (below == 0).any():
            raise ValueError(f"{metric!r} of arm {of!r} is 0 in a pair: no ratio")
        return self.over_seeds(self.values(metric, arm) / below, f"{metric}, {arm} / {of}")

    def difference(self, metric: str, arm: str | None = None, of: str | None = None) -> Interval:
        """The metric of ``arm`` minus that of ``of`` (default: the baseline), pair by pair."""
        arm, of = self._arm(arm), of or self.baseline
        return self.over_seeds(self.values(metric, arm) - self.values(metric, of), f"{metric}, {arm} - {of}")

    def mean(self, metric: str, arm: str | None = None) -> Interval:
        """The metric of one arm alone."""
        arm = self._arm(arm)
        return self.over_seeds(self.values(metric, arm), f"{metric}, {arm}")

    def over_seeds(self, values: Sequence[float] | Array, what: str) -> Interval:
        """The interval of any quantity that has one value a seed."""
        interval = bootstrap(values, what=what)
        self.intervals.append(interval)
        return interval

    def pooled(self, hits: Sequence[float] | Array, cases: Sequence[float] | Array, what: str) -> Interval:
        """The rate of ``hits`` among ``cases``, the seeds' counts taken together (`wilson`).

        For shares near 0 or 1: five seeds that agree in a share of 0 leave a bootstrap interval no width, however
        few cases each has seen. The cases must be independent of one another.

        Raises:
            ValueError: counts that are no whole numbers, more hits than cases, or no case at all.
        """
        counts = [float(np.sum(np.asarray(values, dtype=np.float64))) for values in (hits, cases)]
        whole = [round(count) for count in counts]
        if any(abs(count - near) > 1e-6 * max(1.0, count) for count, near in zip(counts, whole, strict=True)):
            raise ValueError(f"hits and cases must be counts; got {counts[0]!r} of {counts[1]!r}")
        interval = wilson(whole[0], whole[1], what=f"{what}, {whole[0]} of {whole[1]}")
        self.intervals.append(interval)
        return interval

    def every(self, what: str, test: Callable[[int], bool]) -> Truth:
        """Whether ``test(i)`` holds for every pair i; "not resolved" when it holds for some of them."""
        held = sum(bool(test(i)) for i in range(len(self.seeds)))
        truth = Truth.YES if held == len(self.seeds) else Truth.NO if held == 0 else Truth.UNKNOWN
        note = f"{what} in {held} of {len(self.seeds)} seeds: {truth.value}"
        share = held / len(self.seeds)
        self.intervals.append(Interval(what, share, share, share, len(self.seeds), asked=[note]))
        return truth

    def reasons(self) -> list[str]:
        """What was asked of the intervals, and the answers."""
        return [text for interval in self.intervals for text in interval.asked]

    def _arm(self, arm: str | None) -> str:
        arm = arm or self.arms[1]
        if arm not in self._table:
            raise ValueError(f"there is no arm {arm!r}; there are {', '.join(self._table)}")
        return arm
