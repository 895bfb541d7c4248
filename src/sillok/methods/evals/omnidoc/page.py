"""A page of the published data as gold blocks, and a prediction's blocks set against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sillok.methods.evals.omnidoc.lines import Gold
from sillok.methods.evals.omnidoc.markdown import Block, parse_markdown
from sillok.methods.evals.omnidoc.matching import IGNORED, Match, Method, match_blocks
from sillok.methods.evals.omnidoc.normalise import cell_texts

TEXT = (
    *(
        "text_block",
        "title",
        "code_txt",
        "code_txt_caption",
        "reference",
        "equation_caption",
        "figure_caption",
    ),
    *(
        "figure_footnote",
        "table_caption",
        "table_footnote",
        "code_algorithm",
        "code_algorithm_caption",
        "header",
    ),
    *("footer", "page_footnote", "page_number"),
)
FIELDS = ("layout_dets", "extra", "page_info")


@dataclass(slots=True)
class PageMatches:
    """What a page's score is made of: matches of text (ignored classes left out), formulas and tables.

    ``table_format`` is "html" or "latex", whichever the prediction has more of on a page with gold tables.
    """

    text: list[Match] = field(default_factory=list)
    formulas: list[Match] = field(default_factory=list)
    tables: list[Match] = field(default_factory=list)
    table_format: str = "html"


def page_name(page: Mapping[str, Any]) -> str:
    """The name of a page's picture, by which predictions are told apart."""
    return PurePosixPath(str(page["page_info"]["image_path"])).name


def page_key(page: Mapping[str, Any]) -> str:
    """The picture's name without its suffix: what a prediction's file is called before ``.md``."""
    return page_name(page)[:-4]


def page_labels(page: Mapping[str, Any]) -> list[str]:
    """A page's attributes as the benchmark labels them: "language: english", or a special issue's bare name."""
    labels: list[str] = []
    for name, value in page["page_info"].get("page_attribute", {}).items():
        if isinstance(value, list):
            labels += [str(issue) for issue in value if "table" not in issue]
        else:
            labels.append(f"{name}: {value}")
    return labels


def check_page(page: Any, at: int | None = None) -> None:
    """Raise ValueError naming what a page of the published format lacks, and which of a list it is."""
    where = "a record" if at is None else f"entry {at}"
    if not isinstance(page, Mapping) or any(part not in page for part in FIELDS):
        have = sorted(page) if isinstance(page, Mapping) else type(page).__name__
        raise ValueError(
            f"pages: {where} is no page of OmniDocBench, {', '.join(FIELDS)} are wanted, got {have}"
        )
    if "image_path" not in page["page_info"]:
        raise ValueError(
            f"pages: {where} has no page_info.image_path, so that no prediction can be found for it"
        )


def _order(item: Mapping[str, Any]) -> float:
    return item.get("order") or 0


def _truncated(page: Mapping[str, Any]) -> list[list[int]]:
    """Identifiers of blocks that are one paragraph, cut by a column or a page end."""
    chains: list[list[int]] = []
    for relation in page["extra"].get("relation", ()):
        if relation["relation_type"] != "truncated":
            continue
        ends = [relation["source_anno_id"], relation["target_anno_id"]]
        touched = [chain for chain in chains if ends[0] in chain or ends[1] in chain]
        for chain in touched:
            chain += ends
        if not touched:
            chains.append(ends)
    return chains


def _elements(page: Mapping[str, Any], strict: bool) -> dict[str, list[Mapping[str, Any]]]:
    """Annotations by class, the parts of a truncated paragraph joined in reading order."""
    chains = _truncated(page)
    in_chain = {identifier for chain in chains for identifier in chain}
    by_identifier = {item["anno_id"]: item for item in page["layout_dets"] if item["anno_id"] in in_chain}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in page["layout_dets"]:
        if item["anno_id"] not in in_chain:
            found.setdefault(item["category_type"], []).append(item)
    for chain in chains:
        # A chain of three names its middle block twice, and so, as published, does its text.
        names = dict.fromkeys(chain) if strict else chain
        blocks = sorted((by_identifier[name] for name in names if name in by_identifier), key=_order)
        if not blocks:
            continue
        first = blocks[0]
        joined = {
            "category_type": first["category_type"],
            "order": first.get("order"),
            "anno_id": first["anno_id"],
            "text": "".join(str(block.get("text", "")) for block in blocks),
        }
        found.setdefault(first["category_type"], []).append(joined)
    return found


def _gold(item: Mapping[str, Any]) -> Gold:
    category = item["category_type"]
    name = {"table": "html", "equation_isolated": "latex"}.get(category, "text")
    return Gold(
        category,
        str(item.get(name, "")),
        item.get("order"),
        dict(item.get("attribute") or {}),
        str(item.get("latex", "")) if category == "table" else "",
    )


def gold_blocks(page: Mapping[str, Any], strict: bool = False) -> list[Gold]:
    """A page's text, formulas and tables in reading order; what has no order stands first."""
    elements = _elements(page, strict)
    items = [item for kind in (*TEXT, "equation_isolated", "table") for item in elements.get(kind, ())]
    return [_gold(item) for item in sorted(items, key=_order)]


def _cells(table: Block) -> list[Block]:
    """The cells of a predicted table that no gold table took: they are text then."""
    return [Block("text", text, table.start, table.end, table.fine) for text in cell_texts(table.content)]


def _tables(
    gold: list[Gold], predicted: Sequence[Block], strict: bool
) -> tuple[list[Match], str, list[Block]]:
    """Matches of gold tables, the format that they are read in, and the tables that are left over."""
    latex = [block for block in predicted if block.kind == "latex_table"]
    html = [block for block in predicted if block.kind == "html_table"]
    if len(latex) > len(html):
        matches = match_blocks(gold, latex, "simple_match", kind="latex_table", strict=strict)
        tables, form = latex, "latex"
    else:
        matches = match_blocks(gold, html, "simple_match", kind="html_table", strict=strict)
        tables, form = html, "html"
    if not any(match.gold_index for match in matches):
        return [], form, []
    left = [tables[i] for match in matches if not match.gold_index for i in match.predicted_index]
    return [match for match in matches if match.gold_index], form, left


def _by_category(blocks: Sequence[Block]) -> list[Block]:
    """Formulas and paragraphs, those of the kind that comes first in the text first."""
    mixed = [block for block in blocks if block.kind in ("text", "formula")]
    kinds = dict.fromkeys(block.kind for block in mixed)
    return [block for kind in kinds for block in mixed if block.kind == kind]


def match_page(
    page: Mapping[str, Any],
    prediction: str,
    method: Method = "quick_match",
    version: str = "1.5",
    strict: bool = False,
) -> PageMatches:
    """A ``page`` of the published format against a ``prediction`` in Markdown, its text matched by ``method``.

    Tables are matched one to one first. In ``version`` 1.5 predicted tables that no gold table takes become text, and
    text and formulas are matched together; in 1.0 each is matched on its own. ``strict`` is `OmniDocBench`'s mode.
    """
    predicted = parse_markdown(prediction, version, strict)
    gold = gold_blocks(page, strict)
    tables = [item for item in gold if item.category == "table"]
    out = PageMatches()
    left: list[Block] = []
    if tables:
        out.tables, out.table_format, left = _tables(tables, predicted, strict)
    elif strict:  # as published, a table on a page without tables costs nothing
        left = [block for block in predicted if block.kind in ("html_table", "latex_table")]
    rest = [item for item in gold if item.category != "table"]
    if version == "1.0":
        return _separately(out, rest, predicted, method, strict)
    mixed = _by_category(predicted) + [cell for table in left for cell in _cells(table)]
    for match in match_blocks(rest, mixed, method, version=version, strict=strict):
        if match.category == "equation_isolated":
            out.formulas.append(match)
        elif match.category not in IGNORED and (match.category or strict):
            out.text.append(match)
    return out


def _separately(
    out: PageMatches, gold: list[Gold], predicted: Sequence[Block], method: Method, strict: bool
) -> PageMatches:
    formulas = [item for item in gold if item.category == "equation_isolated"]
    text = [item for item in gold if item.category != "equation_isolated"]
    paragraphs = [block for block in predicted if block.kind == "text"]
    if text:
        matches = match_blocks(text, paragraphs, method, kind="text", version="1.0", strict=strict)
        out.text = [match for match in matches if match.category not in IGNORED]
    if formulas:
        displayed = [block for block in predicted if block.kind == "formula"]
        matches = match_blocks(formulas, displayed, method, kind="formula", version="1.0", strict=strict)
        out.formulas = [match for match in matches if match.gold_index]
    return out
