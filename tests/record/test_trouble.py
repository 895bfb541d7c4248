"""Several writers, no room, no permission, no server, damage: nothing lost, and one clear line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sillok.record import Record, RecordError

from .samples import MACHINE, START, a_run, a_verdict

HERE = Path(__file__).parent
WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from samples import a_run, a_verdict, MACHINE
from sillok.record import Record
name = sys.argv[2]
with Record.open(sys.argv[1]) as record:
    for seed in range(60):
        record.add_run(a_run(arm=name, seed=seed), MACHINE)
        record.add_run(a_run(arm="both", seed=seed))
        record.add_verdict(a_verdict(claim=name))
        record.add_verdict(a_verdict())
        record.add_paper(f"{name}{seed}", title="shared words", authors=[name], summaries={"ko": "모델 학습"})
"""


def test_two_processes_that_write_at_once_lose_nothing(url: str) -> None:
    with Record.open(url):
        command = [sys.executable, "-c", WRITER, url]
        writers = [
            subprocess.Popen([*command, name, str(HERE)], stderr=subprocess.PIPE, text=True) for name in "ab"
        ]
        for writer in writers:
            _, errors = writer.communicate(timeout=120)
            assert writer.returncode == 0, errors
    with Record.open(url) as record:
        for name in ("a", "b", "both"):
            assert {run.seed for run in record.runs(arm=name)} == set(range(60)), name
        assert len(record.runs()) == 180 and len(record.verdicts()) == 3 and record.machines() == [MACHINE]
        assert len(record.search("shared 모델", limit=200)) == 120
        assert len(record.search("shared a", limit=200)) == 60


def test_threads_share_a_record(record: Record) -> None:
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda seed: record.add_run(a_run(seed=seed % 40)), range(80)))
    assert sum(stored) == 40 and {run.seed for run in record.runs()} == set(range(40))


def test_a_writer_that_is_killed_loses_only_what_it_had_not_stored(url: str) -> None:
    code = WRITER.replace("range(60)", "range(10_000)")
    code = code.replace(
        "        record.add_verdict", "        print(seed, flush=True)\n        record.add_verdict", 1
    )
    Record.open(url).close()
    command = [sys.executable, "-c", code, url, "a", str(HERE)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(15)]
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with Record.open(url) as record:
        assert {run.seed for run in record.runs(arm="a")} >= set(said) == set(range(15))
        assert record.add_run(a_run(arm="after")) is True


FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from samples import a_run
from sillok.record import Record, RecordError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Record.open(sys.argv[1]) as record:
    record.add_run(a_run(seed=0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    stored = 1
    try:
        for seed in range(1, 1000):
            record.add_run(a_run(seed=seed, log="x" * 20_000))
            stored += 1
    except RecordError as error:
        print(error)
    try:
        record.add_run(a_run(seed=5000, log="x" * 900_000))
    except RecordError as error:
        print(error)
    print(stored, len(record.runs()))
"""


def test_a_full_disk_loses_nothing_earlier(new_sqlite: Any) -> None:
    url = new_sqlite()
    done = subprocess.run([sys.executable, "-c", FULL, url, str(HERE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, counts = done.stdout.splitlines()
    assert "the disk is full" in first and "the disk is full" in second
    stored, listed = map(int, counts.split())
    assert stored == listed > 1
    with Record.open(url) as record:  # with room again
        assert {run.seed for run in record.runs()} == set(range(stored))
        assert record.add_run(a_run(seed=9999)) is True


def test_reading_only(url: str) -> None:
    with pytest.raises(RecordError, match=r"no record|only be read"):
        Record.open(url, read_only=True)
    with Record.open(url) as record:
        record.add_run(a_run(), MACHINE)
        record.add_paper("1", title="모델", authors=[])
    with Record.open(url, read_only=True) as record:
        assert record.read_only and "(read-only)" in repr(record)
        assert record.runs() == [a_run()] and record.machines() == [MACHINE]
        assert [hit.id for hit in record.search("모델")] == ["1"]
        writes = [
            lambda: record.add_run(a_run(seed=1)),
            lambda: record.add_verdict(a_verdict()),
            lambda: record.add_paper("2", title="t", authors=[]),
            lambda: record.add_digest(None, "s", "t", []),
            lambda: record.import_("anywhere"),
        ]
        for write in writes:
            with pytest.raises(RecordError, match="it is read-only") as caught:
                write()
            assert "\n" not in str(caught.value)


def test_the_database_itself_guards_a_read_only_record(url: str) -> None:
    Record.open(url).close()
    with Record.open(url, read_only=True) as record:
        record.read_only = False  # as if the check before the statement were missing
        with pytest.raises(RecordError, match="it is read-only"):
            record.add_run(a_run())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter (pytest's own are private)."""
    folder = Path(tempfile.mkdtemp(prefix="sillok-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


READ_ONLY = """
import os, sys
sys.path.insert(0, sys.argv[2])
from samples import a_run
import sqlalchemy.dialects.sqlite
from sillok.record import Record, RecordError, store
if os.geteuid() == 0:
    os.setuid(65534)
with Record.open(sys.argv[1]) as record:
    print(len(record.runs()), record.read_only)
    try:
        record.add_run(a_run(seed=1))
    except RecordError as error:
        print(error)
if not os.access(os.path.dirname(sys.argv[1]), os.W_OK):
    try:
        Record.open(os.path.dirname(sys.argv[1]) + "/new.sqlite")
    except RecordError as error:
        print(error)
"""


@pytest.mark.parametrize("what", ["file and folder", "folder", "file"])
def test_a_record_that_cannot_be_written_is_read(open_folder: Path, what: str) -> None:
    path = open_folder / "record.sqlite"
    with Record.open(path) as record:
        record.add_run(a_run())
    if "file" in what:
        path.chmod(0o444)
    elif os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    if "folder" in what:
        open_folder.chmod(0o555)
    elif os.geteuid() == 0:
        os.chown(open_folder, 65534, 65534)
    done = subprocess.run([sys.executable, "-c", READ_ONLY, path, str(HERE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second, *third = done.stdout.splitlines()
    assert first == "1 True" and second.endswith("it is read-only")
    if "folder" in what:
        assert "the folder is read-only" in third[0]


def test_what_is_no_record(tmp_path: Path) -> None:
    noise = tmp_path / "noise.sqlite"
    noise.write_bytes(b"this is no database, whatever its name says " * 100)
    with pytest.raises(RecordError, match="damaged or no record"):
        Record.open(noise)
    assert noise.read_bytes().startswith(b"this is no database")
    with pytest.raises(RecordError, match="is a folder"):
        Record.open(tmp_path)
    with pytest.raises(RecordError, match="cannot make the folder"):
        Record.open(noise / "inside" / "record.sqlite")
    with pytest.raises(RecordError, match="no record at"):
        Record.open(tmp_path / "none.sqlite", read_only=True)
    with pytest.raises(RecordError, match="not in 'mysql'"):
        Record.open("mysql://localhost/x")
    with pytest.raises(RecordError, match="not one that SQLAlchemy reads"):
        Record.open("://")
    with pytest.raises(TypeError, match="url: 3"):
        Record.open(3)  # type: ignore[arg-type]


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with Record.open(path) as record:
        for seed in range(50):
            record.add_run(a_run(seed=seed, log="x" * 4000))
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    with pytest.raises(RecordError, match="damaged") as caught, Record.open(path) as record:
        record.runs()
    assert "\n" not in str(caught.value)


def test_a_cut_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    with Record.open(path) as record:
        for seed in range(50):
            record.add_run(a_run(seed=seed, log="x" * 4000))
    os.truncate(path, 100_000)
    with pytest.raises(RecordError, match="damaged"), Record.open(path) as record:
        record.runs()


@pytest.mark.postgres
def test_a_server_that_goes_away_and_comes_back(new_postgres: Any, postgres_server: str) -> None:
    with Record.open(new_postgres()) as record:
        record.add_run(a_run())
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'record%'"
            )
        time.sleep(0.2)
        assert record.add_run(a_run(seed=1)) is True  # a new connection in the place of the dead one
        assert len(record.runs()) == 2


@pytest.mark.postgres
def test_servers_and_databases_that_are_not_there(postgres_server: str) -> None:
    with pytest.raises(RecordError, match="database, or one of its tables, is missing"):
        Record.open(f"{postgres_server}/nothing_here")
    with pytest.raises(RecordError, match="server cannot be reached"):
        Record.open("postgresql://127.0.0.1:1/x")


@pytest.mark.postgres
def test_a_user_without_rights_is_told(new_postgres: Any, postgres_server: str) -> None:
    url = new_postgres()
    with Record.open(url) as record:
        record.add_run(a_run())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    try:
        with Record.open(url.replace("sillok@", "reader@")) as record:
            assert record.runs() == [a_run()]
            with pytest.raises(RecordError, match="this user may not"):
                record.add_run(a_run(seed=1, started=START))
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RecordError, match=r'pip install "sillok\[postgres\]"'):
        Record.open("postgresql://localhost/x")
