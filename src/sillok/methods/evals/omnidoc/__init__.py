"""OmniDocBench (arXiv 2412.07626): document parsing scored by text, formulas, tables and reading order.

`omnidocbench` is the Inspect task, `omnidoc_score` scores saved predictions, `OmniDocBench` is the benchmark behind
both. The parts are public too: `parse_markdown`, `match_blocks`, `page_edit`, `teds`, `reading_order`.
"""

from sillok.methods.evals.omnidoc.bench import OmniDocBench, omnidoc_score
from sillok.methods.evals.omnidoc.lines import Gold
from sillok.methods.evals.omnidoc.markdown import Block, Blocks, parse_markdown
from sillok.methods.evals.omnidoc.matching import Match, match_blocks
from sillok.methods.evals.omnidoc.page import gold_blocks, match_page
from sillok.methods.evals.omnidoc.score import page_edit, reading_order, teds
from sillok.methods.evals.omnidoc.task import load_pages, omnidocbench

__all__ = [
    "Block",
    "Blocks",
    "Gold",
    "Match",
    "OmniDocBench",
    "gold_blocks",
    "load_pages",
    "match_blocks",
    "match_page",
    "omnidoc_score",
    "omnidocbench",
    "page_edit",
    "parse_markdown",
    "reading_order",
    "teds",
]
