"""The tables of the record: SQLAlchemy Core, the same in SQLite and PostgreSQL.

JSON is kept as text that Sillok itself writes, so that a float comes back as the float it was
(PostgreSQL's jsonb would turn 1e16 into an integer). The tables change by a migration only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC to the microsecond: timestamptz in PostgreSQL, sortable text in SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            DateTime(timezone=True) if dialect.name == "postgresql" else String(32)
        )

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value)


class TSVector(UserDefinedType[str]):
    """PostgreSQL's tsvector, written as a literal (SQLAlchemy's own brings its whole dialect with it)."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TSVECTOR"


metadata = MetaData()

machines = Table(
    "machines",
    metadata,
    Column("id", Text, primary_key=True),
    Column("data", Text, nullable=False),
)

papers = Table(
    "papers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("authors", Text, nullable=False),
    Column("published", Text, index=True),
    Column("family", Text, index=True),
    Column("facts", Text, nullable=False),
)

summaries = Table(
    "summaries",
    metadata,
    Column("paper", Text, ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True),
    Column("language", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("paper", Text, ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("data", Text, nullable=False),
)

digests = Table(
    "digests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("date", Text, index=True),
    Column("source", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("added", Instant, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("digest", Text, ForeignKey("digests.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("paper", Text, index=True),  # no foreign key: a digest may name papers without a card
    Column("title", Text, nullable=False),
    Column("votes", Integer),
    Column("authors", Text, nullable=False),
    Column("sections", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("paper", Text, nullable=False),
    Column("claim", Text, nullable=False),
    Column("trial", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("arm", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("scale", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("measures", Text, nullable=False),
    Column("units", Text, nullable=False),
    Column("curves", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("reason", Text),
    Column("started", Instant, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("machine", Text, nullable=False),
    Column("log", Text, nullable=False),  # last: SQLite need not read a long log to reach the rest
    Index("ix_runs_trial", "trial", "version", "scale", "mode", "machine"),
    Index("ix_runs_paper", "paper", "claim"),
    Index("ix_runs_started", "started"),
    Index("ix_runs_machine", "machine", "started"),
    Index("ix_runs_state", "state", "started"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("paper", Text, primary_key=True),
    Column("claim", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("scale", Text, primary_key=True),
    Column("mode", Text, primary_key=True),
    Column("machine", Text, primary_key=True),
    Column("trial", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("intervals", Text, nullable=False),
    Column("declaration", Text, nullable=False),
    Column("seeds", Text, nullable=False),
    Column("decided", Instant, nullable=False),
    Index("ix_verdicts_machine", "machine", "mode", "decided"),
    Index("ix_verdicts_decided", "mode", "decided"),
    Index("ix_verdicts_counts", "mode", "scale", "machine", "verdict", "paper"),  # counting reads no row
)

# Derived from papers and summaries, and rebuilt from them: never exported.
_vector = TSVector().with_variant(Text(), "sqlite")  # SQLite's full-text index is two tables beside this one
search = Table(
    "search",
    metadata,
    Column("key", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("paper", Text, ForeignKey("papers.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("tag", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("authors", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("title_vector", _vector),
    Column("vector", _vector),
    # GIN indexes, as their migration says; saying so here would import the whole dialect of PostgreSQL.
    Index("ix_search_title_vector", "title_vector").ddl_if(dialect="postgresql"),
    Index("ix_search_vector", "vector").ddl_if(dialect="postgresql"),
)
words = Table(
    "words",
    metadata,
    Column("word", Text(collation="C").with_variant(Text(), "sqlite"), primary_key=True),
    Column("papers", Integer, nullable=False),
)

# What an export holds, in an order in which it can be read back.
KEPT = (machines, papers, summaries, claims, digests, entries, runs, verdicts)
JSON_COLUMNS = {
    "machines": ("data",),
    "papers": ("authors", "facts"),
    "claims": ("data",),
    "entries": ("authors", "sections"),
    "runs": ("measures", "units", "curves", "fingerprint"),
    "verdicts": ("intervals", "seeds", "declaration"),
}
