"""What a check says of each sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sillok.digest.text import Passage

Verdict = Literal["supported", "not found", "contradicted"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of a summary and its verdict.

    Attributes:
        id: arXiv identifier of the entry; None where the entry links to no paper.
        section: name of the section, or None.
        sentence: as it stands, Markdown included.
        verdict: "supported", "not found" or "contradicted".
        evidence: passages of the paper, the most telling first.
        reasons: one line each: what failed and what the paper says instead; or what could not be checked.
        line: line of the file where the sentence begins, from 1 (0 when made in Python).
    """

    id: str | None
    section: str | None
    sentence: str
    verdict: Verdict
    evidence: tuple[Passage, ...] = ()
    reasons: tuple[str, ...] = ()
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "id": self.id,
            "section": self.section,
            "sentence": self.sentence,
            "verdict": self.verdict,
            "evidence": [asdict(passage) for passage in self.evidence],
            "reasons": list(self.reasons),
            "line": self.line,
        }
