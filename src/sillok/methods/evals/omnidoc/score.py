"""OmniDocBench's figures: of one page, and of a data set, overall and by attribute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from sillok.methods.evals.omnidoc.matching import Match, Method
from sillok.methods.evals.omnidoc.normalise import (
    clean,
    latex_to_unicode,
    normalise_gold_table,
    normalise_table,
)
from sillok.methods.evals.omnidoc.page import PageMatches, match_page
from sillok.methods.evals.omnidoc.trees import similarities

FormulaScore = Callable[[str, str], float]
Version = Literal["1.0", "1.5"]
PARTS = ("text", "formula", "table", "order")
FIGURES = (*(f"{part}_edit" for part in PARTS), "teds", "teds_structure", "cdm")
SILENT_FORMULA = ("equation_inline", "equation_isolated", "")


def reading_order(matches: Iterable[Match]) -> tuple[int, int]:
    """Edits between the gold order and the gold blocks of ``matches`` as the prediction orders them, and the length.

    Blocks without a partner are missing from the second sequence.
    """
    from rapidfuzz.distance import Levenshtein

    matches = list(matches)
    gold = sorted(order for match in matches for order in match.orders if order)
    found = sorted((match for match in matches if match.orders and match.position is not None), key=_position)
    predicted = [order for match in found for order in match.orders if order]
    return int(Levenshtein.distance(gold, predicted)), max(len(gold), len(predicted))


def _position(match: Match) -> int:
    return match.position or 0


def page_edit(matches: Iterable[Match]) -> float | None:
    """Edits of all ``matches`` over the sum of their longer lengths: 0 is perfect; None where nothing was compared."""
    edits, lengths = _summed(match.lengths() for match in matches)
    return edits / lengths if lengths else None


def _summed(pairs: Iterable[Sequence[float]]) -> tuple[float, float]:
    pairs = list(pairs)
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def teds(html_a: str, html_b: str, structure_only: bool = False) -> float:
    """Tree edit distance similarity of two HTML tables, 1 for equal ones and 0 where either is no table.

    ``html_a`` and ``html_b`` are normalised first (`normalise_table`); ``structure_only`` leaves out what is in the
    cells.
    """
    return similarities(normalise_table(html_a), normalise_gold_table(html_b))[structure_only]


def _entry(match: Match) -> dict[str, Any]:
    edits, length = match.lengths()
    return {"edits": edits, "length": length, "attributes": match.attributes}


def _as_text(match: Match) -> dict[str, Any]:
    """A gold formula that was matched to plain text is compared as text."""
    try:
        gold = latex_to_unicode(match.gold)
    except Exception:  # a formula that pylatexenc cannot read is compared as it is written
        gold = match.gold
    match.gold, match.norm_gold = gold, clean(gold)
    return _entry(match)


def _table(match: Match, form: str, version: str) -> dict[str, Any]:
    gold = normalise_gold_table(match.gold)
    predicted = normalise_table(match.predicted) if form == "html" else ""
    if version == "1.5" and form == "latex":
        match.predicted = ""
    match.norm_gold, match.norm_predicted = gold, predicted
    shown = predicted or match.predicted
    entry = _entry(match)
    entry["teds"], entry["teds_structure"] = similarities(shown, gold or match.gold)
    return entry


def grade_page(
    page: Mapping[str, Any],
    prediction: str,
    *,
    method: Method = "quick_match",
    version: Version = "1.5",
    strict: bool = False,
    formula_score: FormulaScore | None = None,
) -> dict[str, Any]:
    """One page's entries: for every match its edits and length, for tables TEDS too, for the page its order.

    ``formula_score`` is CDM or its like: it gets gold and predicted LaTeX and gives a number from 0 to 1.
    """
    return grade_matches(match_page(page, prediction, method, version, strict), version, formula_score)


def grade_matches(
    matches: PageMatches, version: Version, formula_score: FormulaScore | None = None
) -> dict[str, Any]:
    """The entries of a page whose blocks are matched."""
    order = reading_order(matches.text) if matches.text else (0, 0)
    out: dict[str, Any] = {
        "text": [_entry(match) for match in matches.text],
        "formula": [],
        "formula_as_text": [],
        "table": [_table(match, matches.table_format, version) for match in matches.tables],
        "table_format": matches.table_format,
        "order": [{"edits": order[0], "length": order[1], "attributes": []}] if order[1] else [],
    }
    for match in matches.formulas:
        if version == "1.5" and match.predicted_category not in SILENT_FORMULA:
            out["formula_as_text"].append(_as_text(match))
            continue
        entry = _entry(match)
        if formula_score is not None:
            entry["cdm"] = formula_score(match.gold, match.predicted)
        out["formula"].append(entry)
    return out


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def page_values(graded: Mapping[str, Any]) -> dict[str, float | None]:
    """One page's figures: edit distances of text, formulas, tables and order, TEDS and CDM; None for what it lacks."""
    values: dict[str, float | None] = {}
    for part in PARTS:
        edits, lengths = _summed((entry["edits"], entry["length"]) for entry in graded[part])
        values[f"{part}_edit"] = edits / lengths if lengths else None
    for name, part in (("teds", "table"), ("teds_structure", "table"), ("cdm", "formula")):
        values[name] = _mean([entry[name] for entry in graded[part] if name in entry])
    return values


def settle(graded: Sequence[Mapping[str, Any]], version: Version, strict: bool) -> list[dict[str, Any]]:
    """Pages' entries with what depends on the whole data set decided.

    In 1.0, tables are those of the format that most were in; in 1.5, formulas matched to text count as text, if
    there is text anywhere.
    """
    settled = [dict(entry) for entry in graded]
    if version == "1.0":
        count = {
            form: sum(len(x["table"]) for x in settled if x["table_format"] == form)
            for form in ("html", "latex")
        }
        chosen = "latex" if count["latex"] > count["html"] else "html"
        for entry in settled:
            if entry["table_format"] != chosen and not strict:
                entry["table"] = []
    elif strict or any(entry["text"] for entry in settled):
        for entry in settled:
            entry["text"] = entry["text"] + entry["formula_as_text"]
    return settled


def by_block_attribute(settled: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Means over blocks of every annotated attribute, by part: edit distance, for tables TEDS too."""
    found: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for graded in settled:
        for part in ("text", "formula", "table"):
            for entry in graded[part]:
                labels = {
                    f"{name}: {value}" for block in entry["attributes"] for name, value in block.items()
                }
                for label in labels:
                    if entry["length"]:
                        found[part][label]["edit"].append(entry["edits"] / entry["length"])
                    for name in ("teds", "teds_structure", "cdm"):
                        if name in entry:
                            found[part][label][name].append(entry[name])
    return {
        part: {
            label: {metric: sum(values) / len(values) for metric, values in sorted(metrics.items())}
            for label, metrics in sorted(labels.items())
        }
        for part, labels in found.items()
    }


def overall(figures: Mapping[str, float | None], version: Version) -> float | None:
    """The board's figure: in 1.0 the mean of four edit distances, in 1.5 that of text, TEDS and CDM, of 100.

    None where one of them is missing. In 1.5 each is rounded to three decimals first, as the authors' table does.
    """
    names = [f"{part}_edit" for part in PARTS] if version == "1.0" else ["text_edit", "teds", "cdm"]
    values = [figures.get(name) for name in names]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    if version == "1.0":
        return sum(known) / 4
    return ((1 - round(known[0], 3)) * 100 + round(known[1], 3) + round(known[2], 3)) / 3


def figures_of(settled: Sequence[Mapping[str, Any]], version: Version) -> dict[str, float | None]:
    """The board's figure and its parts, each a mean over the pages that have it.

    ``*_edit`` are edit distances from 0 to 1, ``teds``, ``teds_structure`` and ``cdm`` similarities of 100.
    """
    pages = [page_values(entry) for entry in settled]
    figures: dict[str, float | None] = {"overall": None}
    for name in FIGURES:
        mean = _mean([value for page in pages if (value := page[name]) is not None])
        figures[name] = mean if mean is None or name.endswith("_edit") else 100 * mean
    figures["overall"] = overall(figures, version)
    return figures
