"""OmniDocBench as a benchmark: pages in, predictions in Markdown, figures of the board's version out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from sillok.methods.evals.benchmark import Benchmark, Item, Record
from sillok.methods.evals.omnidoc.matching import METHODS, Method
from sillok.methods.evals.omnidoc.page import check_page, page_key, page_labels, page_name
from sillok.methods.evals.omnidoc.score import (
    FIGURES,
    FormulaScore,
    Version,
    by_block_attribute,
    figures_of,
    grade_page,
    page_values,
    settle,
)
from sillok.methods.evals.predictions import Mode, Prediction, Predictions

LANGUAGES = {"en": "language: english", "zh": "language: simplified_chinese"}
LONGEST = 200_000  # characters of a prediction that are read; the longest page of the demo has 25 thousand
CUT = f"longer than {LONGEST:,} characters and cut there"
NO_CDM = "formulas were not rendered: CDM needs LaTeX, and the board's figure needs CDM"


class OmniDocBench(Benchmark):
    """OmniDocBench (arXiv 2412.07626): a page image to Markdown, by text, formulas, tables and reading order.

    Records are pages of ``OmniDocBench.json``; a prediction is a page's Markdown under the picture's name, without its
    suffix or with it, or without ".pdf" in it, as the authors look for it.

    Figures: ``overall``; edit distances ``text_edit``, ``formula_edit``, ``table_edit``, ``order_edit`` (0 is perfect,
    1 the worst); ``teds``, ``teds_structure``, ``cdm`` of 100. Each is the mean over the pages that have the part. In
    version 1.0 the same again over English and over Chinese pages (``overall_en``, ...).

    Args:
        version: "1.5" (text and formulas matched together; overall of text, TEDS and CDM) or "1.0" (overall of four
            edit distances).
        match: how blocks are matched, "quick_match" on the board.
        formula_score: CDM, from gold and predicted LaTeX to a number from 0 to 1. It needs LaTeX and is not part of
            Sillok: without it ``cdm`` is None, and so is ``overall`` in 1.5.

    "strict" mode mends these faults of the published code: order and attributes of a block whose compared form is
    empty go to its neighbours; places of paragraphs drift from those of formulas; predicted text without a partner
    costs nothing (1.5), nor do tables on a page without tables; a dropped paragraph counts double on a page without
    spare text (1.0); a formula taken for text is lost where no page has text (1.5); of two table formats only the more
    frequent counts (1.0); the middle one of three parts of a paragraph is put in twice; gold formulas keep their "$$",
    so that even gold as prediction is not equal to gold (1.0; strict mode normalises formulas as 1.5 does).

    Raises:
        ValueError: an unknown version or way of matching.
    """

    slug = "omnidocbench"
    versions = ("1.5", "1.0")
    published_missing: Literal["skip"] = "skip"

    def __init__(
        self,
        version: str | None = None,
        match: str = "quick_match",
        formula_score: FormulaScore | None = None,
    ) -> None:
        super().__init__(version, match=match)
        if match not in METHODS:
            raise ValueError(f"match must be one of {', '.join(METHODS)}, not {match!r}")
        self.match, self.formula_score = cast(Method, match), formula_score

    def identify(self, record: Record) -> str:
        check_page(record)
        return page_key(record)

    def grade(self, record: Record, prediction: Prediction, mode: Mode) -> Item:
        graded = grade_page(
            record,
            prediction.text[:LONGEST],
            method=self.match,
            version=cast(Version, self.version),
            strict=mode == "strict",
            formula_score=self.formula_score,
        )
        edit = page_values(graded)["text_edit"]
        answer = prediction.text[:200] if prediction.text.strip() else None
        values = {"page": 0.0 if edit is None else edit, **graded}
        notes = (CUT,) if len(prediction.text) > LONGEST else ()
        return Item(self.identify(record), values, tuple(page_labels(record)), answer, notes)

    def total(self, items: Sequence[Item], mode: Mode) -> dict[str, float | None]:
        version = cast(Version, self.version)
        pages = settle([item.values for item in items], version, mode == "strict")
        figures = figures_of(pages, version)
        if version == "1.0":
            for short, label in LANGUAGES.items():
                part = [page for page, item in zip(pages, items, strict=True) if label in item.groups]
                figures |= {f"{name}_{short}": value for name, value in figures_of(part, version).items()}
        return figures

    def by_attribute(self, items: Sequence[Item], mode: Mode = "published") -> dict[str, dict[str, Any]]:
        """The figures of every page attribute, and means over blocks of every block attribute."""
        version = cast(Version, self.version)
        pages = settle([item.values for item in items], version, mode == "strict")
        labels = sorted({label for item in items for label in item.groups})
        chosen = {
            label: [page for page, item in zip(pages, items, strict=True) if label in item.groups]
            for label in labels
        }
        return {
            "page": {label: figures_of(part, version) for label, part in chosen.items()},
            "block": by_block_attribute(pages),
        }

    def blind_spots(self, items: Sequence[Item]) -> list[str]:
        why = (
            []
            if self.match == "quick_match"
            else [f"blocks were matched by {self.match}, on the board by quick_match"]
        )
        if cut := sum(CUT in item.notes for item in items):
            why.append(f"{cut} predictions are {CUT}")
        formulas = [entry for item in items for entry in item.values["formula"]]
        if self.version == "1.5" and any("cdm" not in entry for entry in formulas):
            why.append(NO_CDM)
        tables = [item.values["table_format"] for item in items if item.values["table"]]
        if self.version == "1.0" and tables.count("latex") > tables.count("html"):
            why.append(
                "tables are in LaTeX, which the published score converts by LaTeXML and this one cannot read"
            )
        return why

    def named(self, records: Sequence[Record], predictions: Predictions) -> Predictions:
        keys = {page_key(record) for record in records}
        others: dict[str, str] = {}
        for record in records:
            key = page_key(record)
            for other in (key.replace(".pdf", ""), page_name(record)):
                others.setdefault(other, key)
        named = Predictions(duplicated=list(predictions.duplicated), undecodable=predictions.undecodable)
        for name, prediction in predictions.by_id.items():
            named.add(name if name in keys else others.get(name, name), prediction)
        return named


def omnidoc_score(
    pages: Sequence[Record],
    predictions: Mapping[str, str],
    missing: Literal["published", "skip", "penalise"] = "skip",
    version: Version = "1.5",
    *,
    mode: Mode = "published",
    match: Method = "quick_match",
    formula_score: FormulaScore | None = None,
) -> dict[str, Any]:
    """Scores of predictions in Markdown, by page name.

    Args:
        pages: of the published format.
        predictions: Markdown by the name of the page's picture.
        missing: pages without a prediction are left out ("skip", what the authors do) or scored as empty.
        version: of the rules, "1.5" or "1.0".
        mode, match, formula_score: as `OmniDocBench` takes them.

    Returns:
        The figures that `OmniDocBench` names; ``pages`` with each page's own; ``by_attribute`` with those of every page
        and block attribute; ``counts``; ``comparable`` and ``reasons``; and, in 1.5, ``overall_formula_edit``, which
        has formulas by edit distance in CDM's place and stands on no board.

    Raises:
        ValueError: no page, a page that is none, an unknown version, mode, way of matching or policy.
    """
    for at, page in enumerate(pages):
        check_page(page, at)
    bench = OmniDocBench(version, match=match, formula_score=formula_score)
    result = bench.score(pages, predictions, mode=mode, missing=missing)
    found: dict[str, Any] = dict(result.figures)
    if version == "1.5":
        found["overall_formula_edit"] = _by_edit(result.figures)
    found["pages"] = {
        item.id: {name: value for name, value in page_values(page).items() if name in FIGURES}
        for item, page in zip(
            result.items, settle([x.values for x in result.items], version, mode == "strict"), strict=True
        )
    }
    found["by_attribute"] = bench.by_attribute(result.items, mode)
    found["counts"] = vars(result.counts).copy()
    found["comparable"], found["reasons"] = not result.reasons, list(result.reasons)
    return found


def _by_edit(figures: Mapping[str, float | None]) -> float | None:
    text, formula, table = (figures.get(name) for name in ("text_edit", "formula_edit", "teds"))
    if text is None or formula is None or table is None:
        return None
    return (100 * (1 - text) + 100 * (1 - formula) + table) / 3
