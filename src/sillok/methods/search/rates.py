"""Theory of the knockout tournament (arXiv 2411.19477), and estimates of its two rates from an Inspect log."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog


def _check(p_gen: float, p_comp: float, n: int, k: int) -> None:
    for name, p in (("p_gen", p_gen), ("p_comp", p_comp)):
        if not 0 <= p <= 1:
            raise ValueError(f"{name} must lie between 0 and 1, not {p!r}")
    for name, count in (("n", n), ("k", k)):
        if count < 1 or count != int(count):
            raise ValueError(f"{name} must be a whole number of at least 1, not {count!r}")


def majority_right(p_comp: float, k: int) -> float:
    """Probability that right beats wrong in a majority of k independent comparisons, a tie counting 1/2."""
    _check(0.5, p_comp, 1, k)
    total = 0.0
    for wins in range(k + 1):
        share = 1.0 if 2 * wins > k else 0.5 if 2 * wins == k else 0.0
        total += share * math.comb(k, wins) * p_comp**wins * (1 - p_comp) ** (k - wins)
    return total


def knockout_exact(p_gen: float, p_comp: float, n: int, k: int) -> float:
    """Probability that a knockout tournament ends with a wrong solution, for any n.

    Args:
        p_gen: probability that a sampled solution is right.
        p_comp: probability that right beats wrong in one comparison.
        n: number of candidates.
        k: comparisons of a pair.

    For n = 2^m it is the recursion q <- q^2 + 2 q (1 - q) (1 - p_K). Otherwise the bracket is followed with
    its byes; the two sides of a pair stand on disjoint candidates, and so stay independent.

    Raises:
        ValueError: a probability outside [0, 1], or ``n`` or ``k`` below 1.

    Reference:
        Follows from the assumptions of Y. Chen et al., arXiv 2411.19477, theorem 1.
    """
    _check(p_gen, p_comp, n, k)
    lose = 1 - majority_right(p_comp, k)
    field = [1 - p_gen] * n
    while len(field) > 1:
        alone = field[len(field) // 2 * 2 :]
        pairs = zip(field[0::2], field[1::2], strict=False)
        # as in the solver, whoever had the bye stands first in the next round
        field = alone + [a * b + (a * (1 - b) + b * (1 - a)) * lose for a, b in pairs]
    return field[0]


def knockout_bound(p_gen: float, p_comp: float, n: int, k: int) -> float:
    """The paper's upper bound on the failure probability; above 1 it says nothing (see `knockout_exact`).

    (1 - p_gen)^n + ceil(log2 n) exp(-2 k (p_comp - 1/2)^2)

    Raises:
        ValueError: as in `knockout_exact`, and ``p_comp`` below 1/2, where the theorem does not hold.

    Reference:
        Y. Chen et al., arXiv 2411.19477, theorem 1.
    """
    _check(p_gen, p_comp, n, k)
    if p_comp < 0.5:
        raise ValueError(f"p_comp must be at least 1/2 for the bound to hold, not {p_comp!r}")
    return float((1 - p_gen) ** n + (n - 1).bit_length() * math.exp(-2 * k * (p_comp - 0.5) ** 2))


def decay_exponent(p_comp: float, k: int) -> float:
    """The power of n with which failure falls as n grows: log2(1 / (2 (1 - p_K))).

    It is 0 at p_comp = 1/2, negative below, and infinite at 1.
    """
    lose = 1 - majority_right(p_comp, k)
    return math.inf if lose <= 0 else -math.log2(2 * lose)


@dataclass(frozen=True)
class Rate:
    """A rate with its Wilson interval, from ``n`` observations."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class QuestionRates:
    """Rates of one question; ``p_comp`` is None where no right solution met a wrong one."""

    p_gen: Rate
    p_comp: Rate | None


@dataclass(frozen=True)
class Rates:
    """Rates by question. Look at them one by one: an average of p_comp hides the questions below 1/2."""

    questions: dict[str | int, QuestionRates]

    @property
    def below_half(self) -> list[str | int]:
        """Questions whose estimated p_comp is below 1/2: there more candidates make it worse."""
        return [key for key, rates in self.questions.items() if rates.p_comp and rates.p_comp.value < 0.5]

    @property
    def surely_below_half(self) -> list[str | int]:
        """Those of `below_half` whose whole interval is below 1/2."""
        return [key for key, rates in self.questions.items() if rates.p_comp and rates.p_comp.high < 0.5]


def wilson(hits: float, n: int, level: float = 0.95) -> Rate:
    """A rate with its Wilson score interval; half hits widen it to the whole numbers on either side.

    Raises:
        ValueError: ``n`` below 1, or ``hits`` outside 0..n.
    """
    from scipy.stats import binomtest

    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"hits must lie in 0..n with n >= 1, not hits={hits!r}, n={n!r}")
    low = binomtest(math.floor(hits), n).proportion_ci(level, method="wilson").low
    high = binomtest(math.ceil(hits), n).proportion_ci(level, method="wilson").high
    return Rate(hits / n, float(low), float(high), n)


def estimate_rates(log: EvalLog, *, correct: Callable[[str, str], bool] | None = None) -> Rates:
    """p_gen and p_comp of every question in a log of `knockout`, `league` or `majority_vote`.

    Args:
        log: an Inspect log with samples. Epochs of a question are taken together.
        correct: whether an answer (normalised as by `sampling.normalise`) is right for a target; equality
            with the normalised target by default.

    p_gen is the share of right candidates. p_comp is the share of comparisons that the right one of a
    right-wrong pair won, ties and unreadable verdicts counting 1/2. Later rounds of a knockout see the
    candidates that won earlier ones: where right solutions differ in how well they do, that favours the better.

    Raises:
        ValueError: the log has no samples, or none of a solver of this family.
    """
    from sillok.methods.search.sampling import STORE, normalise

    totals: dict[str | int, list[float]] = {}
    for sample in log.samples or ():
        record = sample.store.get(STORE)
        if record is None:
            continue
        targets = [sample.target] if isinstance(sample.target, str) else list(sample.target)
        good = [
            answer is not None
            and any(correct(answer, t) if correct else answer == normalise(t) for t in targets)
            for answer in record["answers"]
        ]
        total = totals.setdefault(sample.id, [0, 0, 0.0, 0])
        total[0] += sum(good)
        total[1] += len(good)
        for meeting in (meeting for meetings in record["rounds"] for meeting in meetings):
            if good[meeting["a"]] != good[meeting["b"]]:
                total[2] += meeting["wins_a"] if good[meeting["a"]] else meeting["wins_b"]
                total[3] += round(meeting["wins_a"] + meeting["wins_b"])
    if not totals:
        raise ValueError("log has no sample of knockout, league or majority_vote (was it read header-only?)")
    return Rates(
        {
            key: QuestionRates(wilson(right, int(n)), wilson(wins, int(met)) if met else None)
            for key, (right, n, wins, met) in totals.items()
        }
    )
