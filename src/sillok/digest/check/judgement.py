"""What came of checking one sentence: doubts, each of a kind, and the score that they make together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from sillok.digest.check.findings import Verdict
from sillok.digest.check.weights import BIAS, MOST, WEIGHTS

#: Kinds of doubt about directions and names: where several agree they weigh more than their sum.
_DIRECTIONS = frozenset(
    (
        "pairs",
        "turn",
        "level",
        "compared",
        "table",
        "extreme",
        "sides",
        "aligned",
        "rank-both",
        "rank-compared",
        "rank-extreme",
    )
)
_NAMES = frozenset(
    ("swap", "conflict", "stray", "loose", "replaced", "displaced", "grid", "underived", "object", "column")
)
#: Log-odds from which on a doubt is worth a line to the reader.
_TOLD = 0.1
#: Kinds of doubt that are weighed apart in sentences without figures.
_PLAIN = frozenset(
    (
        "rank-compared",
        "rank-extreme",
        "replaced",
        "replaced-fore",
        "displaced",
        "displaced-fore",
        "sides",
        "aligned",
    )
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something in a sentence that speaks against it.

    Attributes:
        kind: a key of `weights.WEIGHTS`.
        verdict: what the sentence is when it fails mainly for this.
        reason: one line for the reader.
        strength: from 0 to 1.
        about: keys of the sentence's names that it is about.
    """

    kind: str
    verdict: Verdict
    reason: str
    strength: float = 1.0
    about: frozenset[str] = frozenset()


@dataclass(slots=True)
class Judgement:
    """What came of one sentence.

    Attributes:
        passages: numbers of the passages of evidence, the most telling first.
        doubts: what speaks against the sentence.
        signals: what else the score is made of, by kind: how much of the sentence's words the paper has ...
        checked: how many things were looked up.
        empty: whether there was nothing to look up.
        plain: whether the sentence has no figure that tells anything by itself.
    """

    verdict: Verdict = "supported"
    reasons: list[str] = field(default_factory=list)
    passages: list[int] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    signals: dict[str, float] = field(default_factory=dict)
    checked: int = 0
    empty: bool = False
    plain: bool = False

    def doubt(
        self,
        kind: str,
        verdict: Verdict,
        reason: str,
        strength: float = 1.0,
        about: frozenset[str] = frozenset(),
    ) -> None:
        """Note what speaks against the sentence."""
        self.doubts.append(Doubt(kind, verdict, reason, strength, about))

    def fail(self, verdict: Verdict, reason: str) -> None:
        """Note a failure that needs no weighing; a contradiction outranks what was not found."""
        if self.verdict != "contradicted":
            self.verdict = verdict
        self.reasons.append(reason)

    def cite(self, passage: int) -> None:
        """Note a passage of evidence once."""
        if passage >= 0 and passage not in self.passages:
            self.passages.append(passage)

    def features(self) -> dict[str, float]:
        """Return what the score is made of: the signals, and by kind the strengths of all doubts, up to `MOST`."""
        total: dict[str, float] = defaultdict(float)
        for one in self.doubts:
            total[self.kind_of(one)] += one.strength
        agreeing = {one.kind for one in self.doubts} & _DIRECTIONS
        if len(agreeing) > 1:
            total["directions"] = len(agreeing) - 1.0
        names = {one.kind.split("-")[0] for one in self.doubts} & _NAMES
        if len(names) > 1:
            total["names"] = len(names) - 1.0
        return {**{kind: min(sum_, MOST) for kind, sum_ in total.items()}, **self.signals}

    def kind_of(self, one: Doubt) -> str:
        """Return the key of a doubt's weight; some are weighed apart in sentences without figures."""
        return f"{one.kind}-plain" if self.plain and one.kind in _PLAIN else one.kind

    def score(self) -> float:
        """Return the log-odds of an error; see `weights`."""
        return BIAS + sum(WEIGHTS.get(kind, 0.0) * value for kind, value in self.features().items())

    def decide(self) -> None:
        """Set the verdict: where the score is above nought the sentence fails, for its weightiest doubts."""
        if self.score() <= 0 or not self.doubts:
            return
        weights = {id(one): WEIGHTS.get(self.kind_of(one), 0.0) * one.strength for one in self.doubts}
        weighed = sorted(self.doubts, key=lambda one: -weights[id(one)])
        told = any(one.verdict == "contradicted" and weights[id(one)] > 1 for one in weighed)
        self.verdict = "contradicted" if told else weighed[0].verdict
        telling = [one for one in weighed if weights[id(one)] > _TOLD] or weighed[:1]
        self.reasons[:0] = dict.fromkeys(one.reason for one in telling)
