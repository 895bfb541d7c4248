"""Between values and rows: JSON that gives back the same floats, text that both databases accept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, select
from sqlalchemy.dialects import sqlite

from sillok.record.tables import summaries


def dump(argument: str, value: Any) -> str:
    """Write JSON; raises ValueError for NaN and infinity, TypeError for what JSON has no word for."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(errors="replace").decode()
    except ValueError as error:
        raise ValueError(
            f"{argument}: {value!r:.200} holds NaN or infinity; the record keeps finite numbers"
        ) from error
    except TypeError as error:
        raise TypeError(f"{argument}: {error}; the record keeps what JSON can hold") from error


def clean(text: str) -> str:
    """Replace what a database's text cannot hold: NUL and halves of surrogate pairs, as logs have them."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def aware(argument: str, value: datetime) -> datetime:
    """Return the datetime; raises ValueError where it has no time zone."""
    if value.tzinfo is None:
        raise ValueError(f"{argument}: {value!r} has no time zone; datetimes are aware, in UTC")
    return value


def one_of(argument: str, value: str, accepted: tuple[str, ...]) -> str:
    """Return the value; raises ValueError where it is none of those accepted."""
    if value not in accepted:
        raise ValueError(f"{argument}: {value!r} is none of {', '.join(map(repr, accepted))}")
    return value


_TEXTS = (
    select(summaries)
    .where(summaries.c.paper.in_(bindparam("ids", expanding=True)))
    .order_by(summaries.c.language)
)


def texts_of(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The summaries of papers: paper -> language -> text."""
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(ids), 1000):
        for paper, language, body in connection.execute(_TEXTS, {"ids": ids[start : start + 1000]}):
            found.setdefault(paper, {})[language] = body
    return found


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the connection's dialect."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # 30 ms that a record in SQLite need not wait for

        return postgresql.insert(table)
    return sqlite.insert(table)


def upsert(connection: Connection, table: Table, rows: list[Mapping[str, Any]]) -> None:
    """Insert rows, replacing those that have the same primary key."""
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    rest = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest), rows)


def add_missing(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    """Insert the rows whose primary key is not there yet; returns how many those were."""
    statement = insert(connection, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return sum(connection.execute(statement, row).rowcount for row in rows)
