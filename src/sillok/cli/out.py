"""Where the commands write to: a table's console, JSON, and remarks beside the output."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> Console:
    """A console as wide as the terminal, or 120 columns where there is none."""
    from rich.console import Console

    out = Console(stderr=stderr, highlight=False)
    return out if out.is_terminal else Console(stderr=stderr, highlight=False, width=120)


def emit(value: Any) -> None:
    """Print JSON for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def remark(text: str) -> None:
    """A line beside the output."""
    print(text, file=sys.stderr)
