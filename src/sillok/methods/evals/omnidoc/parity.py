"""Made-up pages and predictions for parity with OmniDocBench's script, and what Sillok makes of them (version 1.5)."""

from __future__ import annotations

from typing import Any

from sillok.methods.evals.omnidoc.cases import made_cases
from sillok.methods.evals.omnidoc.score import PARTS, Version, grade_page, settle

VERSION: Version = "1.5"


def parity_cases(seed: int, n: int) -> list[dict[str, Any]]:
    """``n`` pages with a prediction each, by the way of matching that the board uses."""
    return [{**case, "match": "quick_match"} for case in made_cases(n, seed)]


def parity_score(case: dict[str, Any], version: Version = VERSION) -> dict[str, Any]:
    """Edits and lengths by part, and TEDS of every table, as the adapter of the authors' code gives them."""
    graded = grade_page(case["page"], case["prediction"], method=case["match"], version=version)
    page = settle([graded], version, strict=False)[0]
    found: dict[str, Any] = {}
    for part in PARTS:
        if page[part]:
            found[f"{part}/edits"] = sum(entry["edits"] for entry in page[part])
            found[f"{part}/length"] = sum(entry["length"] for entry in page[part])
    for at, entry in enumerate(page["table"]):
        found[f"teds/{at}"], found[f"structure/{at}"] = entry["teds"], entry["teds_structure"]
    return found
