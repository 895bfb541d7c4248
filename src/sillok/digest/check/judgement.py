"""What came of checking one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field

from sillok.digest.check.findings import Verdict


@dataclass(slots=True)
class Judgement:
    """What came of one sentence.

    Attributes:
        passages: numbers of the passages of evidence, the most telling first.
        checked: how many things were looked up.
        empty: whether there was nothing to look up.
    """

    verdict: Verdict = "supported"
    reasons: list[str] = field(default_factory=list)
    passages: list[int] = field(default_factory=list)
    checked: int = 0
    empty: bool = False

    def fail(self, verdict: Verdict, reason: str) -> None:
        """Note a failure; a contradiction outranks what was not found."""
        if self.verdict != "contradicted":
            self.verdict = verdict
        self.reasons.append(reason)

    def cite(self, passage: int) -> None:
        """Note a passage of evidence once."""
        if passage >= 0 and passage not in self.passages:
            self.passages.append(passage)
