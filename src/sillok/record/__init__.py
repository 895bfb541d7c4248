"""The record: runs, verdicts, papers and digests in SQLite or PostgreSQL.

`Record.open()` is all that most callers need. SQLAlchemy is imported with `Record`, and not before: the
values (`StoredRun`, `Machine` ...) and `run_id` are free of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sillok.record.model import (
    Hit,
    Machine,
    RecordError,
    StoredClaim,
    StoredDigest,
    StoredEntry,
    StoredPaper,
    StoredRun,
    StoredVerdict,
    run_id,
)

if TYPE_CHECKING:
    from sillok.record.store import Record

__all__ = [
    "Hit",
    "Machine",
    "Record",
    "RecordError",
    "StoredClaim",
    "StoredDigest",
    "StoredEntry",
    "StoredPaper",
    "StoredRun",
    "StoredVerdict",
    "run_id",
]


def __getattr__(name: str) -> Any:
    if name == "Record":
        from sillok.record.store import Record

        return Record
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
