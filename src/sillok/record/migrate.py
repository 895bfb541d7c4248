"""Bringing a record to the newest schema, or refusing it: one transaction, one process at a time."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, inspect, text

from sillok.record import search
from sillok.record.model import RecordError

HEAD = "0003"
REVISIONS = ("0001", "0002", "0003")
_LOCK = 0x5111_0C  # PostgreSQL's advisory lock that one migrating process holds


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None where it holds no record yet."""
    if connection.dialect.name == "postgresql":
        # Not to_regclass: it may answer from what this connection saw before it waited for the lock.
        known = connection.execute(
            text(
                "SELECT 1 FROM pg_tables WHERE tablename = 'alembic_version' "
                "AND schemaname = ANY (current_schemas(false))"
            )
        ).scalar()
    else:
        known = connection.execute(
            text("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
        ).scalar()
    if not known:
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def bring_up(engine: Engine, *, read_only: bool, name: str) -> None:
    """Create or migrate the record; Alembic is imported only where there is something to do.

    Raises RecordError for a record of a newer Sillok, for a database that holds something else, and
    for an older record that can only be read.
    """
    with engine.connect() as connection:
        revision = current(connection)
    if revision == HEAD:
        return
    _refuse_newer(revision, name)
    if read_only:
        what = "holds no record" if revision is None else f"is of an older version ({revision} before {HEAD})"
        raise RecordError(f"{name} {what} and can only be read; open it once where it can be written")
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        revision = current(connection)  # another process may have done it while this one waited
        if revision == HEAD:
            return
        _refuse_newer(revision, name)
        if revision is None and inspect(connection).has_table("papers"):
            raise RecordError(f"{name} holds a table 'papers' that is not Sillok's; name another database")
        upgrade(connection, HEAD)
        search.rebuild_if_short(connection)
        if revision is not None and revision < "0003":
            search.index_judged(connection)


def _refuse_newer(revision: str | None, name: str) -> None:
    if revision is not None and revision not in REVISIONS:
        raise RecordError(
            f"{name} was written by a newer Sillok (schema {revision}, this one knows up to {HEAD}); "
            "upgrade Sillok, or name another record"
        )


def upgrade(connection: Connection, revision: str) -> None:
    """Run the migrations up to `revision` on an open write transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "sillok.record:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
