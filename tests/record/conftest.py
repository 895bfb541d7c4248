"""Both databases for real: a file of SQLite, and a PostgreSQL server started from Debian's package.

A machine without PostgreSQL fails these tests: a store that was tested on one database only is not
tested. `apt-get install postgresql` brings it.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from sillok.record import Record

_numbers = itertools.count()
NewUrl = Callable[[], str]


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.fail("PostgreSQL is missing: apt-get install postgresql", pytrace=False)
    return found[-1].parent if found else Path(str(on_path)).parent


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _as_server_user() -> tuple[list[str], int]:
    """PostgreSQL refuses to run as root: then it runs as the user that Debian's package made."""
    if os.geteuid() != 0:
        return [], os.geteuid()
    return ["runuser", "-u", "postgres", "--"], pwd.getpwnam("postgres").pw_uid


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server on a loopback port, without a database's name; stopped when the tests end."""
    binaries = _binaries()
    prefix, uid = _as_server_user()
    home = Path(tempfile.mkdtemp(prefix="sillok-pg-"))
    try:
        os.chown(home, uid, -1)
        init = [
            *prefix,
            binaries / "initdb",
            "-D",
            home / "data",
            "-U",
            "sillok",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        made = subprocess.run(
            [*init, "--locale=C.UTF-8", "--no-sync"], capture_output=True, text=True, cwd=home
        )
        assert made.returncode == 0, made.stderr
        port = _free_port()
        start = [*prefix, binaries / "postgres", "-D", home / "data", "-p", str(port), "-k", home, "-F"]
        with (home.parent / f"{home.name}.log").open("w") as log:
            settings = ["-c", "listen_addresses=127.0.0.1", "-c", "synchronous_commit=off"]
            server = subprocess.Popen([*start, *settings], stdout=log, stderr=log, cwd=home)
        try:
            url = f"postgresql://sillok@127.0.0.1:{port}"
            _wait(url, server, Path(log.name))
            yield url
        finally:
            # runuser hands the signal on; SIGINT is PostgreSQL's "fast" shutdown
            stop = [*prefix, binaries / "pg_ctl", "stop", "-D", home / "data", "-m", "immediate"]
            subprocess.run(stop, capture_output=True, cwd=home)
            server.wait(timeout=30)
            Path(log.name).unlink()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        try:
            psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
    pytest.fail(f"PostgreSQL did not start: {log.read_text()}")


@contextmanager
def databases(postgres_server: str) -> Iterator[NewUrl]:
    """Make empty databases, and drop them at the end."""
    made: list[str] = []

    def make() -> str:
        name = f"record_{next(_numbers)}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        made.append(name)
        return f"{postgres_server}/{name}"

    yield make
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def new_postgres(postgres_server: str) -> Iterator[NewUrl]:
    """Make empty databases; they are dropped after the test."""
    with databases(postgres_server) as make:
        yield make


@pytest.fixture
def new_sqlite(tmp_path: Path) -> NewUrl:
    """Name files that are not there yet."""
    return lambda: f"sqlite:///{tmp_path / f'record{next(_numbers)}.sqlite'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_url(request: pytest.FixtureRequest) -> NewUrl:
    """Make the URL of an empty database of either kind."""
    made: NewUrl = request.getfixturevalue("new_sqlite" if request.param == "sqlite" else "new_postgres")
    return made


@pytest.fixture
def url(new_url: NewUrl) -> str:
    return new_url()


@pytest.fixture
def record(url: str) -> Iterator[Record]:
    with Record.open(url) as opened:
        yield opened
