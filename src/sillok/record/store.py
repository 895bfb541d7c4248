"""The record: one object over SQLite or PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL

from sillok.record import exchange, library, migrate, runs, search
from sillok.record.engine import connect, locate, shown, told
from sillok.record.lists import Lists
from sillok.record.model import (
    Hit,
    Machine,
    RecordError,
    StoredClaim,
    StoredDigest,
    StoredPaper,
    StoredRun,
    StoredVerdict,
)
from sillok.record.watch import Watch


class _AtOnce(threading.local):
    """What a thread that reads `at_once` reads by."""

    connection: Connection | None = None
    version: str | None = None


_BATCH = 1000  # papers of one transaction: long enough to be fast, short enough to let others write


class Record:
    """What Sillok has read and measured: papers, digests, claims, runs, verdicts, machines.

    Every method that writes is one transaction, and raises RecordError in one clear line (read-only,
    full disk, unreachable server, damaged file). Safe to use from several threads and processes.
    """

    def __init__(self, url: URL, engine: Engine, *, read_only: bool) -> None:
        self._url = url
        self._engine = engine
        self.read_only = read_only
        self._watch = Watch(url, engine)
        self._at_once = _AtOnce()

    @classmethod
    def open(cls, url: str | Path | None = None, *, read_only: bool = False) -> Self:
        """Open a record by URL or path, creating or migrating it where needed.

        None is the environment's `SILLOK_RECORD`, else `record.sqlite` in the user's data folder. A file
        or folder that cannot be written opens for reading. Raises RecordError for an unreachable
        database, a damaged file, a record of a newer Sillok; TypeError for what is no URL and no path.
        """
        place = locate(url)
        engine, read_only = connect(place, read_only=read_only)
        try:
            with told(place, "open"):
                migrate.bring_up(engine, read_only=read_only, name=f"the record {shown(place)}")
        except BaseException:
            engine.dispose()
            raise
        return cls(place, engine, read_only=read_only)

    @staticmethod
    def address(url: str | Path | None = None) -> str:
        """The URL that `open` would take, without its password."""
        return shown(locate(url))

    @staticmethod
    def exists(url: str | Path | None = None) -> bool:
        """Whether there is something to open: a file for SQLite; for a server that is only known by opening."""
        place = locate(url)
        return place.get_backend_name() != "sqlite" or bool(place.database and Path(place.database).exists())

    @property
    def url(self) -> str:
        """The record's URL, without its password."""
        return shown(self._url)

    def __repr__(self) -> str:
        return f"<Record {self.url}{' (read-only)' if self.read_only else ''}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; the record may be used again, and opens new ones."""
        self._watch.close()
        self._engine.dispose()

    def version(self) -> str:
        """What changes whenever the record does: while two answers are equal, nothing was written between them.

        It tells one process about every other one, and means nothing to another process.
        """
        shared = self._at_once.version
        if shared is not None:
            return shared
        with told(self._url, "read"):
            return self._watch.version()

    @contextmanager
    def at_once(self) -> Iterator[str]:
        """Read as of one moment and on one connection: all that this thread reads inside, and `version`.

        A long block keeps SQLite from folding its write-ahead log away.
        """
        if self._at_once.version is not None or self._watch.alone:
            yield self.version()
            return
        with told(self._url, "read"), self._watch.reading() as (connection, version):
            self._at_once.connection, self._at_once.version = connection, version
            try:
                yield version
            finally:
                self._at_once.connection = self._at_once.version = None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        shared = self._at_once.connection
        if shared is not None:
            with told(self._url, "read"):
                yield shared
            return
        with told(self._url, "read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self.read_only:
            raise RecordError(f"cannot write the record {self.url}: it is read-only")
        with (
            told(self._url, "write"),
            self._engine.connect().execution_options(write=True) as connection,
            connection.begin(),
        ):
            yield connection

    # Runs, verdicts, machines

    def add_run(self, run: StoredRun, machine: Machine | None = None) -> bool:
        """Store a run, and the machine it ran on; False where a run of that id is there already.

        Raises ValueError for NaN or infinity among the numbers, an unknown mode or state, or a naive
        datetime; TypeError for what JSON cannot hold.
        """
        with self._writing() as connection:
            if machine is not None:
                runs.add_machine(connection, machine)
            return runs.add_run(connection, run)

    def runs(
        self,
        *,
        paper: str | Sequence[str] | None = None,
        claim: str | Sequence[str] | None = None,
        trial: str | Sequence[str] | None = None,
        version: int | None = None,
        scale: str | None = None,
        mode: str | None = None,
        machine: str | None = None,
        state: str | None = None,
        arm: str | None = None,
        limit: int | None = None,
        with_logs: bool = True,
    ) -> list[StoredRun]:
        """Read runs, the newest first; a filter that is a sequence accepts any of its values.

        Without logs each `log` is the empty string, and the list comes much faster.
        """
        where = {"paper": paper, "claim": claim, "trial": trial, "version": version, "scale": scale}
        where |= {"mode": mode, "machine": machine, "state": state, "arm": arm}
        with self._reading() as connection:
            return runs.read_runs(connection, where, limit=limit, with_logs=with_logs)

    def run(self, id: str) -> StoredRun | None:
        """Read one run; None where there is none of that id."""
        with self._reading() as connection:
            return next(iter(runs.read_runs(connection, {"id": id}, limit=1, with_logs=True)), None)

    def add_verdict(self, verdict: StoredVerdict) -> None:
        """Store a verdict in the place of an older one (same paper, claim, version, scale, mode, machine)."""
        with self._writing() as connection:
            if runs.add_verdict(connection, verdict):
                search.index(connection, [verdict.paper])  # a search may ask for verdicts

    def verdicts(
        self,
        *,
        paper: str | Sequence[str] | None = None,
        claim: str | Sequence[str] | None = None,
        trial: str | Sequence[str] | None = None,
        version: int | None = None,
        scale: str | None = None,
        mode: str | None = None,
        machine: str | None = None,
        verdict: str | Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[StoredVerdict]:
        """Read verdicts, the newest first; a filter that is a sequence accepts any of its values."""
        where = {"paper": paper, "claim": claim, "trial": trial, "version": version, "scale": scale}
        where |= {"mode": mode, "machine": machine, "verdict": verdict}
        with self._reading() as connection:
            return runs.read_verdicts(connection, where, limit=limit)

    def add_machine(self, machine: Machine) -> None:
        """Store a machine, or what is newly known of it."""
        with self._writing() as connection:
            runs.add_machine(connection, machine)

    def machine(self, id: str) -> Machine | None:
        """Read one machine; None where there is none of that id."""
        with self._reading() as connection:
            return next(iter(runs.read_machines(connection, {"id": id})), None)

    def machines(self) -> list[Machine]:
        """Read all machines, ordered by id."""
        with self._reading() as connection:
            return runs.read_machines(connection, {})

    # Papers, claims, digests

    def add_paper(
        self,
        id: str,
        *,
        title: str,
        authors: Sequence[str],
        published: Any = None,
        family: str | None = None,
        summaries: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Store a paper in the place of an earlier one of that id, and make it findable.

        `published` is a date or its ISO text; summaries in languages that are not named stay.
        """
        values = {"id": id, "title": title, "authors": authors, "published": published, "family": family}
        self.add_papers([values | {"summaries": summaries or {}, "facts": facts or {}}])

    def add_papers(self, papers: Iterable[StoredPaper | Mapping[str, Any]]) -> int:
        """Store many papers (mappings have the arguments of `add_paper`); returns how many.

        A thousand papers make a transaction: where one is refused, those before its thousand are stored.
        """
        count = 0
        each = iter(papers)
        while batch := [library.as_paper(paper) for paper in islice(each, _BATCH)]:
            with self._writing() as connection:
                library.put_papers(connection, batch)
            count += len(batch)
        return count

    def paper(self, id: str) -> StoredPaper | None:
        """Read one paper; None where there is none of that id."""
        with self._reading() as connection:
            found = library.read_papers(connection, id=id, family=None, limit=1, offset=0)
            return next(iter(found), None)

    def papers(
        self, family: str | None = None, limit: int | None = None, offset: int = 0
    ) -> list[StoredPaper]:
        """Read papers, the newest first."""
        with self._reading() as connection:
            return library.read_papers(connection, id=None, family=family, limit=limit, offset=offset)

    def set_claims(self, paper: str, claims: Iterable[Mapping[str, Any]]) -> None:
        """Store the claims of a paper (`id`, `text`, `data`) in the place of its earlier ones.

        Raises ValueError where the paper is not in the record.
        """
        with self._writing() as connection:
            library.put_claims(connection, paper, claims)

    def claims(self, paper: str | None = None) -> list[StoredClaim]:
        """Read the claims of a paper, or of all."""
        with self._reading() as connection:
            return library.read_claims(connection, paper)

    def add_digest(
        self, date: str | None, source: str, text: str, entries: Sequence[Mapping[str, Any]]
    ) -> int:
        """Store a digest once; returns how many entries that stored, 0 where it was there already.

        Each entry has `title`, and may have `position`, `paper` (None for none), `votes`, `authors` and
        `sections` (anything JSON can hold).
        """
        with self._writing() as connection:
            return library.put_digest(connection, date, source, text, entries)

    def digests(self) -> list[StoredDigest]:
        """Read all digests with their entries, the newest date first."""
        with self._reading() as connection:
            return library.read_digests(connection)

    def digest(self, date: str) -> StoredDigest | None:
        """Read the digest of a date, the one added last where there are several; None where there is none."""
        with self._reading() as connection:
            return next(iter(library.read_digests(connection, date)), None)

    def search(
        self,
        query: str,
        *,
        limit: int = 20,
        offset: int = 0,
        family: str | None = None,
        needs: str | None = None,
        verdict: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[Hit]:
        """Find papers that have every word of the query in title, authors or summaries, the best first.

        Any text is a query; one without words finds the newest papers that the filters let through. `needs`
        and `verdict` are looked up in the papers' facts and in the record's verdicts (rehearsals aside),
        `since` and `until` are ISO days. Only the newest few hundred matches are ranked, the rest follow
        newest first: see `sillok.record.search`. Raises ValueError for a negative limit or offset, and for
        what is no day.
        """
        for name, value in (("limit", limit), ("offset", offset)):
            if value < 0:
                raise ValueError(f"{name}: {value} is negative; 0 or more is accepted")
        filters = search.Filters(family=family, needs=needs, verdict=verdict, since=since, until=until)
        with self._reading() as connection:
            return search.find(connection, query, limit=limit, offset=offset, filters=filters)

    @property
    def lists(self) -> Lists:
        """Pages of what the record holds, for readers of a large one: each bounded, each by an index."""
        return Lists(self._reading)

    # The whole record as files

    def export(self, folder: str | Path, format: Literal["json", "parquet"] = "json") -> list[Path]:
        """Write every table as a file, and a manifest; returns the files.

        Raises ValueError for another format, RecordError where the folder cannot be written or
        pyarrow is missing.
        """
        with told(self._url, "read"), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":  # all tables as of one moment; SQLite reads so anyway
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            return exchange.write(connection, Path(folder), format)

    def import_(self, folder: str | Path) -> dict[str, int]:
        """Read back what `export` wrote, all or nothing; returns how many rows of each table were new.

        Rows that the record has already stay as they are, save that a newer verdict replaces an older.
        Raises RecordError for a folder without a manifest, a newer schema or a damaged file.
        """
        with self._writing() as connection:
            return exchange.read(connection, Path(folder))
