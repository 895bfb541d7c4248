"""Whether a record has changed, told cheaply: by the database's own counters, whoever wrote."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

_SNAPSHOT = text("SELECT CAST(txid_current_snapshot() AS text)")


class Watch:
    """Gives a word that changes with every commit. Safe to use from several threads."""

    def __init__(self, url: URL, engine: Engine) -> None:
        self._engine = engine
        self._postgres = url.get_backend_name() == "postgresql"
        self.alone = isinstance(engine.pool, StaticPool)  # in memory: one connection, which all share
        self._lock = threading.Lock()
        self._held: PoolProxiedConnection | None = None
        self._opened = 0  # how often: what two connections count cannot be compared

    def version(self) -> str:
        """The word as of now."""
        if self._postgres:
            with self._engine.connect() as connection:
                return self._snapshot(connection)
        with self._lock:
            if self._held is None:
                self._held = self._open()
                self._opened += 1
            held = self._held.dbapi_connection
            assert isinstance(held, sqlite3.Connection)
            # What others committed, and what was changed here: nothing, but for a record in memory.
            seen = held.execute("PRAGMA data_version").fetchone()[0]
            return f"{self._opened} {seen} {held.total_changes}"

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, str]]:
        """A connection that reads as of one moment, and the word, which is not younger than that moment."""
        if self._postgres:
            with self._engine.connect() as connection:
                fixed = connection.execution_options(isolation_level="REPEATABLE READ")
                yield fixed, self._snapshot(fixed)
            return
        before = self.version()
        with self._engine.connect() as connection:
            yield connection, before

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None and not self.alone:
                held.close()

    def _open(self) -> PoolProxiedConnection:
        """A connection that stays: SQLite counts the commits of the others for each."""
        found = self._engine.raw_connection()
        if not self.alone:
            found.detach()
        return found

    @staticmethod
    def _snapshot(connection: Connection) -> str:
        """Which transactions are visible: equal snapshots see the same rows."""
        return str(connection.execute(_SNAPSHOT).scalar_one())
