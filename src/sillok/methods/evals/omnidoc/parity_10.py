"""The same for version 1.0, whose three ways of matching all run."""

from __future__ import annotations

from itertools import count
from typing import Any

from sillok.methods.evals.omnidoc import parity
from sillok.methods.evals.omnidoc.cases import made_cases
from sillok.methods.evals.omnidoc.lines import gold_lines
from sillok.methods.evals.omnidoc.matching import METHODS
from sillok.methods.evals.omnidoc.page import gold_blocks


def parity_cases(seed: int, n: int) -> list[dict[str, Any]]:
    """``n`` pages with a prediction each, half of them by quick matching, the others by the two other ways in turn.

    Pages whose text is all marks are left out: their code fails on those.
    """
    ways = (METHODS[0], METHODS[1], METHODS[0], METHODS[2])
    cases: list[dict[str, Any]] = []
    for part in count():
        for case in made_cases(n, seed + 1000 * part):
            text = [
                item
                for item in gold_blocks(case["page"])
                if item.category not in ("table", "equation_isolated")
            ]
            if text and not gold_lines(text, "text", "1.0", strict=False):
                continue
            cases.append({**case, "match": ways[len(cases) % 4]})
            if len(cases) == n:
                return cases
    raise AssertionError("count() does not end")


def parity_score(case: dict[str, Any]) -> dict[str, Any]:
    """As `parity.parity_score`, by the rules of 1.0."""
    return parity.parity_score(case, "1.0")
