"""OmniDocBench (arXiv 2412.07626): document parsing scored by text, formulas, tables and reading order.

`omnidocbench` is the Inspect task, `omnidoc_score` scores saved predictions, `OmniDocBench` is the benchmark behind
both. The parts are public too: `parse_markdown`, `match_blocks`, `page_edit`, `teds`, `reading_order`.
"""

from .bench import OmniDocBench, omnidoc_score
from .lines import Gold
from .markdown import Block, Blocks, parse_markdown
from .matching import Match, match_blocks
from .page import gold_blocks, match_page
from .score import page_edit, reading_order, teds
from .task import load_pages, omnidocbench

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
