"""Reaching the database: where it is, how it is opened, and its errors in one line."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from sillok.record.model import RecordError

BUSY_SECONDS = 60.0  # how long a writer waits for another one


def locate(url: str | Path | None) -> URL:
    """Read a URL or a path; None is `SILLOK_RECORD`, else `record.sqlite` in the user's data folder."""
    if url is None:
        url = os.environ.get("SILLOK_RECORD") or None
    if url is None:
        import platformdirs

        url = Path(platformdirs.user_data_dir("sillok", appauthor=False)) / "record.sqlite"
    if isinstance(url, str) and "://" in url:
        return _parse(url)
    if not isinstance(url, str | Path) or not str(url):
        raise TypeError(f"url: {url!r} is neither a database URL nor a path")
    return URL.create("sqlite", database=str(Path(url).expanduser().absolute()))


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise RecordError("the record's URL is not one that SQLAlchemy reads (driver://...)") from error
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise RecordError(f"the record lives in SQLite or PostgreSQL, not in {backend!r}")
    database = (url.database or "").removeprefix("file:")
    if database and database != ":memory:":
        return url.set(database=str(Path(database).expanduser().absolute()))
    return url


def shown(url: URL) -> str:
    """The URL as it may be shown: without its password."""
    return url.render_as_string(hide_password=True)


def connect(url: URL, *, read_only: bool) -> tuple[Engine, bool]:
    """Make the engine; the second value says whether the database can only be read."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, read_only)
    try:
        # Short statements on a local or near server: what matters is to notice a dead one soon.
        engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10})
    except (ImportError, NoSuchModuleError) as error:
        raise RecordError('PostgreSQL needs its driver: pip install "sillok[postgres]"') from error
    if read_only:

        @event.listens_for(engine, "connect")
        def _set_read_only(connection: Any, _: Any) -> None:
            connection.read_only = True

    return engine, read_only


def _sqlite(url: URL, read_only: bool) -> tuple[Engine, bool]:
    if not url.database or url.database == ":memory:":
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        _begin_by_hand(engine)
        return engine, False
    path = Path(url.database)
    read_only = read_only or url.query.get("mode") == "ro"  # as SQLite's own URIs say it
    if not read_only:
        read_only = _prepare(path)
    if read_only and not path.exists():
        raise RecordError(f"there is no record at {path}")
    if path.is_dir():
        raise RecordError(f"{path} is a folder, not a record")
    engine = create_engine("sqlite://", creator=_opener(path, read_only), poolclass=QueuePool)
    _begin_by_hand(engine)
    return engine, read_only


def _prepare(path: Path) -> bool:
    """Make the folder of a record that is to be written; True when file or folder allow reading only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if path.exists():
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RecordError(f"cannot make a record in {path.parent}: the folder is read-only")
    return False


def _opener(path: Path, read_only: bool) -> Callable[[], sqlite3.Connection]:
    def opened(query: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.as_uri()}{query}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,  # transactions are begun by hand, see _begin_by_hand
            check_same_thread=False,
        )
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def read() -> sqlite3.Connection:
        connection = opened("?mode=ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            wal = Path(f"{path}-wal")
            if wal.exists() and wal.stat().st_size:
                raise
            # WAL needs a file beside the record even to read; where the folder is read-only and no
            # writer has left anything behind, the file alone is the whole record.
            connection = opened("?mode=ro&immutable=1")
        return connection

    def write() -> sqlite3.Connection:
        connection = opened("?mode=rwc")
        _set_wal(connection)
        # With WAL this loses nothing when the process is killed; a power cut may cost the last commits
        # unless each one is synced, and a run can take ten minutes: sync each one.
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    return read if read_only else write


def _set_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait for another process that is doing the same, so wait here."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_by_hand(engine: Engine) -> None:
    """Let writers take the lock when they begin: two that begin by reading could not both go on."""

    @event.listens_for(engine, "connect")
    def _manual(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


# In the database's words, in ours.
_CAUSES = {
    ("readonly database", "read-only transaction"): "it is read-only",
    ("permission denied",): "this user may not do that there",
    (
        "disk is full",
        "disk I/O error",
        "No space left",
    ): "the disk is full or failing; what was there is kept",
    (
        "not a database",
        "malformed",
    ): "the file is damaged or no record; restore it from an export or a backup",
    ("database is locked",): f"another process has held it for {BUSY_SECONDS:.0f} s; try again",
    ("unable to open",): "it cannot be opened",
    ("does not exist", "no such table"): "the database, or one of its tables, is missing",
    (
        "connection failed",
        "could not connect",
        "Connection refused",
        "closed the connection",
        "could not translate",
        "connection timeout",
    ): "the server cannot be reached",
}


@contextmanager
def told(url: URL, doing: str) -> Iterator[None]:
    """Turn what the database raises into a RecordError of one line."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        said = " ".join(str(cause).split())
        known = next((ours for theirs, ours in _CAUSES.items() if any(t in said for t in theirs)), None)
        detail = f"{known} ({said[:160]})" if known else said[:240]
        password = url.password
        if password:
            detail = detail.replace(str(password), "***")
        raise RecordError(f"cannot {doing} the record {shown(url)}: {detail}") from error
