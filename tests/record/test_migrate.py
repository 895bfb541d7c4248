"""A record of an older Sillok migrates, one of a newer is refused, and nothing else is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from sillok.record import Record, RecordError, migrate, runs
from sillok.record.engine import connect, locate
from sillok.record.tables import metadata

from .samples import MACHINE, a_run, a_verdict

PAPER = (
    "INSERT INTO papers (id, title, authors, published, family, facts) "
    "VALUES ('2411.19870', 'DeMo', '[\"Bowen Peng\"]', '2024-11-29', 'optim', '{}')"
)
SUMMARY = "INSERT INTO summaries (paper, language, text) VALUES ('2411.19870', 'ko', '모델의 학습')"


def write_at(url: str, revision: str) -> None:
    """Make a record as the Sillok of that revision would have left it, with rows in it."""
    engine, _ = connect(locate(url), read_only=False)
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        migrate.upgrade(connection, revision)
        assert migrate.current(connection) == revision
        connection.execute(text(PAPER))
        connection.execute(text(SUMMARY))
        runs.add_machine(connection, MACHINE)
        runs.add_run(connection, a_run())
        runs.add_verdict(connection, a_verdict())
    engine.dispose()


def set_revision(url: str, revision: str) -> None:
    engine, _ = connect(locate(url), read_only=False)
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    engine.dispose()


def test_an_older_record_migrates(url: str) -> None:
    write_at(url, "0001")
    with pytest.raises(RecordError, match=r"older version.*open it once where it can be written"):
        Record.open(url, read_only=True)
    with Record.open(url) as record:
        assert record.runs() == [a_run()]
        assert record.verdicts() == [a_verdict()]
        assert record.machines() == [MACHINE]
        paper = record.paper("2411.19870")
        assert paper is not None and paper.summaries == {"ko": "모델의 학습"}
        assert [hit.id for hit in record.search("학습")] == ["2411.19870"]  # 0002 brought the search
        assert [hit.id for hit in record.search("bowen demo", family="optim")] == ["2411.19870"]


def test_a_newer_record_is_refused_and_left_alone(url: str) -> None:
    with Record.open(url) as record:
        record.add_run(a_run())
    set_revision(url, "0999")
    for read_only in (False, True):
        with pytest.raises(RecordError, match=r"newer Sillok .schema 0999.*upgrade Sillok") as caught:
            Record.open(url, read_only=read_only)
        assert "\n" not in str(caught.value)
    set_revision(url, migrate.HEAD)
    with Record.open(url) as record:
        assert record.runs() == [a_run()]


def test_a_database_of_something_else_is_refused(url: str) -> None:
    engine, _ = connect(locate(url), read_only=False)
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        connection.execute(text("CREATE TABLE papers (name TEXT)"))
    with pytest.raises(RecordError, match="'papers' that is not Sillok's"):
        Record.open(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["papers"]
    engine.dispose()


def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    sqlite = url.startswith("sqlite")

    def ours(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
        if kind == "index" and str(name).endswith("_vector"):  # PostgreSQL's; SQLite has FTS5's tables
            return not sqlite
        return not (kind == "table" and reflected and str(name).startswith("search_"))

    with Record.open(url) as record, record._engine.connect() as connection:
        options = {"include_object": ours, "compare_type": not sqlite}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        tables = set(inspect(connection).get_table_names())
        assert {table.name for table in metadata.sorted_tables} <= tables


def test_the_newest_revision_is_the_one_that_opening_asks_for() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "sillok.record:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [migrate.HEAD]
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == migrate.REVISIONS


def test_migrations_go_back(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    with Record.open(url) as record:
        record.add_run(a_run())
        config = Config()
        config.set_main_option("script_location", "sillok.record:migrations")
        with record._writing() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
            assert not inspect(connection).has_table("search")
    with Record.open(url) as record:
        assert record.runs() == [a_run()]


def test_a_broken_migration_leaves_the_record_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_at(url, "0001")

    def broken(connection: Connection) -> None:
        raise RecordError("broken on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(migrate.search, "rebuild_if_short", broken)
        with pytest.raises(RecordError, match="on purpose"):
            Record.open(url)
    engine, _ = connect(locate(url), read_only=False)
    with engine.connect() as connection:
        assert migrate.current(connection) == "0001" and not inspect(connection).has_table("search")
    engine.dispose()
    with Record.open(url) as record:
        assert record.runs() == [a_run()] and len(record.search("학습")) == 1


OPEN = "import sys; from sillok.record import Record; r = Record.open(sys.argv[1]); print(len(r.runs()))"


@pytest.mark.parametrize("older", [False, True])
def test_processes_that_open_at_once_do_not_collide(url: str, older: bool) -> None:
    if older:
        write_at(url, "0001")
    command = [sys.executable, "-c", OPEN, url]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in started:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert out.split() == [str(int(older))]
    with Record.open(url) as record:
        assert len(record.search("학습")) == int(older)


def test_opening_a_current_record_imports_no_alembic(url: str) -> None:
    Record.open(url).close()
    code = (
        OPEN
        + "; import json; print(json.dumps([m for m in ('alembic', 'pyarrow', 'numpy') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_values_come_without_sqlalchemy() -> None:
    code = "import sys, sillok, sillok.record.model, sillok.record; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
