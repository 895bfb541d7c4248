"""What an embedding or entailment model adds to a judgement, where the user names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sillok.digest.check.judgement import Judgement
from sillok.digest.check.models import Embedder, Entailment
from sillok.digest.check.paper import Paper
from sillok.digest.check.signals import UNCOVERED

#: Cosine from which on a passage counts as saying what a sentence says.
SAME = 0.8
#: Probability from which on an entailment model is believed.
SURE = 0.9


class Semantics:
    """Asks the models about one paper.

    A model can lift a sentence that failed for want of shared words only, and an entailment model can overrule
    "supported"; neither can lift a figure or a name that is wrong.
    """

    def __init__(self, paper: Paper, embedder: Embedder | None, entailment: Entailment | None) -> None:
        self.paper = paper
        self.embedder = embedder
        self.entailment = entailment
        self._rows: list[list[float]] | None = None

    def refine(self, sentence: str, result: Judgement) -> None:
        """Bring the models' opinion into a judgement."""
        lacking = result.reasons == [UNCOVERED]
        if self.embedder is not None and (lacking or not result.passages):
            near = self._nearest(sentence)
            for _, number in near[:2]:
                result.cite(number)
            if lacking and near and near[0][0] >= SAME:
                result.verdict, result.reasons = (
                    "supported",
                    [f"no shared words, but close in meaning ({near[0][0]:.2f})"],
                )
                lacking = False
        if self.entailment is None:
            return
        entailed, contradicted = 0.0, 0.0
        for number in result.passages[:3]:
            chances = _named(self.entailment(self.paper.text.passages[number].text, sentence))
            entailed, contradicted = max(entailed, chances[0]), max(contradicted, chances[1])
        if lacking and entailed >= SURE:
            result.verdict, result.reasons = "supported", [f"no shared words, but entailed ({entailed:.2f})"]
        elif result.verdict != "contradicted" and contradicted >= SURE > entailed:
            result.fail("contradicted", f"the entailment model says so ({contradicted:.2f})")

    def _nearest(self, sentence: str) -> list[tuple[float, int]]:
        assert self.embedder is not None
        if self._rows is None:
            texts = [passage.text for passage in self.paper.text.passages]
            self._rows = _unit(self.embedder(texts)) if texts else []
        (row,) = _unit(self.embedder([sentence]))
        scores = [sum(a * b for a, b in zip(row, other, strict=True)) for other in self._rows]
        return sorted(
            ((score, number) for number, score in enumerate(scores)), key=lambda pair: (-pair[0], pair[1])
        )


def _unit(rows: Any) -> list[list[float]]:
    """Rows as lists of length 1."""
    found = []
    for row in rows.tolist() if hasattr(rows, "tolist") else rows:
        norm = sum(float(value) ** 2 for value in row) ** 0.5 or 1.0
        found.append([float(value) / norm for value in row])
    return found


def _named(chances: Any) -> tuple[float, float]:
    if isinstance(chances, Mapping):
        return float(chances.get("entailment", 0.0)), float(chances.get("contradiction", 0.0))
    entailed, _, contradicted = chances
    return float(entailed), float(contradicted)
