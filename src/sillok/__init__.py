"""Sillok: Daily Papers digests made executable, their claims measured on your machine."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sillok import digest, papers, record, testbeds, verify
    from sillok.digest import read, write

__version__ = "0.1.0"
__all__ = ["digest", "papers", "read", "record", "testbeds", "verify", "write"]

_FUNCTIONS = {"read": "sillok.digest", "write": "sillok.digest"}


def __getattr__(name: str) -> Any:
    """Import rooms and functions when they are first asked for: ``import sillok`` alone loads nothing."""
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in __all__:
        return importlib.import_module(f"sillok.{name}")
    raise AttributeError(f"module 'sillok' has no attribute {name!r}")
