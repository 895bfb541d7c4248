"""Arenas: battles between two systems, verdicts read from a judge's words, and ratings fitted to them.

Shared by the arenas among the benchmarks. Ratings are Bradley-Terry strengths found by logistic regression (R. A.
Bradley and M. E. Terry, 1952; as LMSYS's Chatbot Arena computes them), never the online Elo update, which depends on
the order of the battles. Verdicts and tables are read as VideoAutoArena (arXiv 2411.13281) reads them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from sillok.methods.evals.predictions import Mode, reading

Winner = Literal["A", "B", "tie"]

_OVERALL = "Overall Judge"
_STRICT = re.compile(
    r"(?:the\s+)?(?:winner\s*(?:is|:)\s*)?(?:model\s+|assistant\s+|response\s+)?(?:(?P<side>[AB])(?:\s+(?:is\s+better|wins?))?"
    r"|(?P<tie>(?:it\s+is\s+)?(?:a\s+)?tie(?:\s*\(both\s+(?:are\s+)?(?:good|bad)\))?))",
    re.IGNORECASE,
)


class Battle(NamedTuple):
    """Two systems, and which of them won: "A" the first, "B" the second, or "tie"."""

    a: str
    b: str
    winner: Winner


def parse_judgement(text: str, mode: Mode = "published") -> dict[str, Any]:
    """A judgement's sections by heading, and the overall verdict under "winner".

    Args:
        text: the judge's reply: sections headed ``[Instruction Following]`` ... ``[Overall Judge]``.
        mode: how the last of them is read. "published": "A" anywhere in it, overridden by "B" anywhere, overridden by
            "tie" in any case, as VideoAutoArena's script does, so that "Both are bad" is a victory of B, and "Neither"
            is None. "strict": a verdict and nothing else ("A", "Model B", "Tie (both are good)"), else None.

    Returns:
        Headings with their texts, and "winner": "A", "B", "tie" or None.

    Raises:
        ValueError: another mode.
    """
    found = sections(text)
    return {**found, "winner": winner_of(found.get(_OVERALL), mode)}


def sections(text: str) -> dict[str, str]:
    """The texts under headings in square brackets, each up to the next bracket, without the fences around them.

    A heading that comes twice keeps its last text. A bracket that is never closed heads nothing.
    """
    found: dict[str, str] = {}
    at = text.find("[")
    while at >= 0 and (close := text.find("]", at)) >= 0:
        following = text.find("[", close + 1)
        body = text[close + 1 : following if following >= 0 else len(text)].strip()
        if body.startswith("```"):
            body = body[3:].removeprefix("\n")
        if body.endswith("```"):
            body = body[:-3].removesuffix("\n")
        found[text[at + 1 : close].strip()] = body
        at = following
    return found


def winner_of(verdict: object, mode: Mode = "published") -> Winner | None:
    """The winner that an overall verdict names, read as `parse_judgement` does; None of what is no text.

    Raises:
        ValueError: another mode.
    """
    reading(mode)
    if not isinstance(verdict, str):
        return None
    if mode == "strict":
        found = _STRICT.fullmatch(verdict.strip().strip("`*\"'. \n"))
        if found is None:
            return None
        return "tie" if found["tie"] else "A" if found["side"].upper() == "A" else "B"
    winner: Winner | None = "A" if "A" in verdict.strip() else None
    winner = "B" if "B" in verdict.strip() else winner
    return "tie" if "tie" in verdict.lower() else winner


@dataclass(frozen=True)
class Tally:
    """Battles counted: ``a_wins[i, j]`` where system i was shown first, j second, and the first won; and so on."""

    systems: tuple[str, ...]
    a_wins: NDArray[np.int64]
    b_wins: NDArray[np.int64]
    ties: NDArray[np.int64]

    @classmethod
    def of(cls, battles: Iterable[Battle]) -> Tally:
        """Count battles.

        Raises:
            ValueError: no battle, a system against itself, or an unknown winner.
        """
        battles = list(battles)
        if not battles:
            raise ValueError("battles must hold at least one battle")
        systems = tuple(sorted({name for battle in battles for name in battle[:2]}))
        index = {name: at for at, name in enumerate(systems)}
        counts = {kind: np.zeros((len(systems), len(systems)), np.int64) for kind in get_args(Winner)}
        for a, b, winner in battles:
            if winner not in counts or a == b:
                raise ValueError(
                    f"battles must be of two systems with a winner A, B or tie, not {(a, b, winner)!r}"
                )
            counts[winner][index[a], index[b]] += 1
        return cls(systems, counts["A"], counts["B"], counts["tie"])

    @property
    def wins(self) -> NDArray[np.int64]:
        """(n, n) victories of row over column, on whichever side."""
        return self.a_wins + self.b_wins.T

    @property
    def drawn(self) -> NDArray[np.int64]:
        """(n, n) ties of row and column, symmetric."""
        return self.ties + self.ties.T


def bradley_terry(
    battles: Iterable[Battle] | Tally,
    *,
    scale: float = 400.0,
    base: float = 10.0,
    init: float = 1000.0,
    mode: Mode = "published",
) -> dict[str, float]:
    """Ratings that make the battles' outcomes likeliest, best first; a tie is half a victory for each.

    P(i beats j) = 1 / (1 + base^((R_j - R_i) / scale)); ratings average `init`, so that a further system moves all.

    Args:
        battles: at least one.
        scale: points in which odds change by a factor of `base`.
        init: mean rating.
        mode: "published" leaves out what VideoAutoArena's script leaves out (see `published_pairs`); "strict" counts
            every battle, and rates a system without bound (infinite) where the likelihood has no maximum.

    Returns:
        system -> rating, in points. In "published" mode a system whose likeliest rating is infinite has a large number
        that depends on where the optimizer stops (`separable` tells), and nothing is rated where no battle counts.

    Raises:
        ValueError: no battles, an unknown mode, or in "strict" mode systems that no chain of battles connects.

    Reference:
        Z. Luo et al., arXiv 2411.13281, section 3.4: logistic regression without intercept and penalty.
    """
    tally = battles if isinstance(battles, Tally) else Tally.of(battles)
    reading(mode)
    weights = (2 * tally.wins + tally.drawn).astype(np.float64)
    systems = np.arange(len(tally.systems))
    if mode == "published":
        systems, counted = published_pairs(tally)
        weights = np.where(counted, weights, 0.0)
        if not weights.any():
            return {}
    unbounded = _unbounded(weights, tally.systems) if mode == "strict" else {}
    kept = [i for i in systems if tally.systems[i] not in unbounded]
    ratings = dict(unbounded)
    if kept:
        fitted = _logistic(weights[np.ix_(kept, kept)], scale, base) + init
        ratings |= {tally.systems[i]: float(rating) for i, rating in zip(kept, fitted, strict=True)}
    return dict(sorted(ratings.items(), key=lambda item: -item[1]))


def separable(battles: Iterable[Battle] | Tally) -> bool:
    """Whether some rating of the published fit is infinite in truth: a system beat, or lost to, all that it met."""
    tally = battles if isinstance(battles, Tally) else Tally.of(battles)
    systems, counted = published_pairs(tally)
    weights = np.where(counted, 2.0 * tally.wins + tally.drawn, 0.0)[np.ix_(systems, systems)]
    return bool(len(weights)) and _groups(weights, strong=True)[0] > _groups(weights, strong=False)[0]


def published_pairs(tally: Tally) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The systems that VideoAutoArena's script rates, and (n, n) which pairs of them it counts.

    Its tables are made from three lists of battles: a system that is in no battle won by the first side is not rated,
    and where there are ties, a pair is dropped unless both of its systems stood on both sides of some tie, since
    adding two tables that lack each other's rows gives no numbers there.
    """
    rated = (tally.a_wins.sum(1) + tally.a_wins.sum(0)) > 0
    counted = np.outer(rated, rated)
    if tally.ties.sum():
        first, second = tally.ties.sum(1) > 0, tally.ties.sum(0) > 0
        # a cell of table + table.T is a number only where both have it; what neither has is filled with zeros later
        rows = first | second
        both = first & second
        cell = np.outer(both, both)
        unknown = np.outer(rows, rows) & ~cell
        pair = ~(unknown | unknown.T)
        counted &= pair
    return np.flatnonzero(rated), counted


def _logistic(weights: NDArray[np.float64], scale: float, base: float) -> NDArray[np.float64]:
    """Ratings around 0 by scikit-learn's logistic regression, a row for each ordered pair and outcome."""
    from sklearn.linear_model import LogisticRegression

    n = len(weights)
    if n < 2 or not weights.sum():
        return np.zeros(n)
    i, j = (side.ravel() for side in np.indices((n, n)))
    i, j = i[i != j], j[i != j]
    rows = np.zeros((len(i), n))
    rows[np.arange(len(i)), i], rows[np.arange(len(i)), j] = math.log(base), -math.log(base)
    x, y = np.repeat(rows, 2, axis=0), np.tile([1.0, 0.0], len(i))
    weight = np.stack([weights[i, j], weights[j, i]], 1).ravel()
    model = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-6).fit(x, y, sample_weight=weight)
    return np.asarray(scale * model.coef_[0])


def _unbounded(weights: NDArray[np.float64], systems: Sequence[str]) -> dict[str, float]:
    """Systems whose likeliest rating is infinite, since they beat, or lose to, the rest without exception.

    Raises:
        ValueError: the rest falls into groups between which no battle decides.
    """
    if _groups(weights, strong=False)[0] > 1:
        raise ValueError(
            "battles must connect all systems: some never met the others, directly or by a chain"
        )
    count, labels = _groups(weights, strong=True)
    if count == 1:
        return {}
    sizes = np.bincount(labels)
    core = int(sizes.argmax())
    ahead = labels == core  # and then all that beat the core, directly or through others
    while True:
        wider = ahead | (weights[:, ahead] > 0).any(1)
        if (wider == ahead).all():
            break
        ahead = wider
    return {systems[i]: math.inf if ahead[i] else -math.inf for i in range(len(systems)) if labels[i] != core}


def _groups(weights: NDArray[np.float64], *, strong: bool) -> tuple[int, NDArray[np.int32]]:
    """Number of groups that battles connect (each system beats each other in a chain, where `strong`), and labels."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    found: tuple[int, NDArray[np.int32]] = connected_components(
        csr_array(weights > 0), directed=strong, connection="strong"
    )
    return found


def arena_win_rate(battles: Iterable[Battle] | Tally, *, mode: Mode = "published") -> dict[str, float]:
    """Mean over opponents of the share of battles won against each, best first; a tie is no victory.

    Args:
        battles: at least one.
        mode: "published" leaves out what VideoAutoArena's tables lack (opponents that are missing on one side of
            its lists of victories); "strict" counts every opponent that was met.

    Returns:
        system -> share in [0, 1]; in "published" mode a system without any counted opponent is left out.

    Raises:
        ValueError: no battles, or an unknown mode.
    """
    tally = battles if isinstance(battles, Tally) else Tally.of(battles)
    reading(mode)
    met = tally.wins + tally.wins.T + tally.drawn
    counted = met > 0
    if mode == "published":
        rows = (tally.a_wins.sum(1) > 0) & (tally.b_wins.sum(0) > 0)
        columns = (tally.a_wins.sum(0) > 0) & (tally.b_wins.sum(1) > 0)
        counted &= np.outer(rows, columns)
    with np.errstate(invalid="ignore"):
        shares = np.where(counted, tally.wins / np.maximum(met, 1), np.nan)
    rates = {
        name: float(np.nanmean(row))
        for name, row in zip(tally.systems, shares, strict=True)
        if not np.isnan(row).all()
    }
    return dict(sorted(rates.items(), key=lambda item: -item[1]))


def bootstrap_ratings(
    battles: Sequence[Battle], rng: np.random.Generator, *, rounds: int = 100, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of Bradley-Terry ratings over resampled battles.

    Args:
        battles: at least one.
        rng: draws the resamples.
        rounds: number of resamples.
        level: nominal coverage.

    Returns:
        system -> (low, high), in points; resamples in which a system does not occur are left out for it.

    Raises:
        ValueError: no battles, or fewer than two rounds.
    """
    if rounds < 2:
        raise ValueError(f"rounds must be at least 2, not {rounds!r}")
    Tally.of(battles)
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        chosen = [battles[i] for i in rng.integers(0, len(battles), len(battles))]
        for name, rating in bradley_terry(chosen, mode="published").items():
            found.setdefault(name, []).append(rating)
    tails = [50 * (1 - level), 100 - 50 * (1 - level)]
    bounds = {name: np.percentile(values, tails) for name, values in found.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def online_elo(
    battles: Iterable[Battle], *, k: float = 32.0, scale: float = 400.0, init: float = 1000.0
) -> dict[str, float]:
    """Ratings by one pass of Elo's update, battle by battle: what a fit is to be preferred to.

    Args:
        battles: in the order in which they were fought, on which the result depends.
        k: points that a surprise moves at most.

    Returns:
        system -> rating, best first.
    """
    ratings: dict[str, float] = {}
    for a, b, winner in battles:
        mine, other = ratings.setdefault(a, init), ratings.setdefault(b, init)
        surprise = {"A": 1.0, "B": 0.0, "tie": 0.5}[winner] - expected_score(ratings, a, b, scale=scale)
        ratings[a], ratings[b] = mine + k * surprise, other - k * surprise
    return dict(sorted(ratings.items(), key=lambda item: -item[1]))


def expected_score(
    ratings: Mapping[str, float], a: str, b: str, *, scale: float = 400.0, base: float = 10.0
) -> float:
    """P(a beats b) by their ratings."""
    return float(1 / (1 + base ** ((ratings[b] - ratings[a]) / scale)))
