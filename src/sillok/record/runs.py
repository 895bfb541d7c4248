"""Runs, verdicts and machines: from rows and to rows."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, literal, select

from sillok.record.codec import add_missing, aware, clean, dump, one_of, upsert
from sillok.record.model import MODES, STATES, VERDICTS, Machine, StoredRun, StoredVerdict
from sillok.record.tables import machines, runs, verdicts

_RUN = tuple(field.name for field in fields(StoredRun))
_parse = json.JSONDecoder().raw_decode


def add_run(connection: Connection, run: StoredRun) -> bool:
    """Store a run; False where a run of that id is there already."""
    one_of("mode", run.mode, MODES)
    one_of("state", run.state, STATES)
    row = {name: getattr(run, name) for name in _RUN}
    for name in ("measures", "units", "curves", "fingerprint"):
        row[name] = dump(name, row[name])
    row["log"] = clean(run.log)
    row["reason"] = None if run.reason is None else clean(run.reason)
    row["started"] = aware("started", run.started)
    row["seconds"] = float(run.seconds)
    return add_missing(connection, runs, [row]) == 1


def read_runs(
    connection: Connection, where: dict[str, Any], *, limit: int | None, with_logs: bool
) -> list[StoredRun]:
    """Read runs, the newest first; without logs each `log` is the empty string.

    Listing ten thousand runs is a page of the site: what many runs share word for word (units,
    fingerprints) is parsed once and copied, and values are set without a call per field.
    """
    columns = [literal("").label("log") if name == "log" and not with_logs else runs.c[name] for name in _RUN]
    query = _filtered(select(*columns), runs, where).order_by(runs.c.started.desc(), runs.c.id)
    seen: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], dict[str, Any]]] = {}
    out: list[StoredRun] = []
    with _collector_paused():
        for rows in connection.execute(query.limit(limit)).partitions(200):
            for row in rows:
                values: dict[str, Any] = dict(zip(_RUN, row, strict=True))
                values["measures"] = _parse(values["measures"])[0]
                values["curves"] = _parse(written)[0] if (written := values["curves"]) != "[]" else []
                for name in ("units", "fingerprint"):
                    written = values[name]
                    if written not in seen:
                        seen[written] = _copied(written)
                    copy, value = seen[written]
                    values[name] = copy(value)
                run = object.__new__(StoredRun)
                object.__setattr__(run, "__dict__", values)  # the class is frozen: it sets field by field
                out.append(run)
    return out


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Hold the garbage collector back while thousands of values are made: it would walk them all, in vain."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _copied(written: str) -> tuple[Callable[[dict[str, Any]], dict[str, Any]], dict[str, Any]]:
    """A value read from JSON, and the cheapest way to copy it so that no two runs share a part."""
    value: dict[str, Any] = json.loads(written)
    flat = not any(isinstance(item, dict | list) for item in value.values())
    return (dict.copy if flat else deepcopy), value


def add_verdict(connection: Connection, verdict: StoredVerdict) -> bool:
    """Store a verdict in the place of an older one of the same key; True where the record then holds it anew."""
    one_of("mode", verdict.mode, MODES)
    one_of("verdict", verdict.verdict, VERDICTS)
    row = {field.name: getattr(verdict, field.name) for field in fields(StoredVerdict)}
    row |= {"intervals": dump("intervals", verdict.intervals), "seeds": dump("seeds", list(verdict.seeds))}
    row["declaration"] = dump("declaration", verdict.declaration)
    row |= {"reason": clean(verdict.reason), "decided": aware("decided", verdict.decided)}
    return put_verdict(connection, row)


def put_verdict(connection: Connection, row: dict[str, Any]) -> bool:
    """Store a verdict's row unless a newer one is there; True where the record then holds it anew."""
    keys = [column.name for column in verdicts.primary_key]
    same = [verdicts.c[key] == row[key] for key in keys]
    # Locked, so that of two processes that decide at once the newer verdict stays.
    there = connection.execute(select(verdicts).where(*same).with_for_update()).one_or_none()
    if there is not None and (there.decided > row["decided"] or there._asdict() == row):
        return False
    upsert(connection, verdicts, [row])
    return True


def read_verdicts(
    connection: Connection,
    where: dict[str, Any],
    *,
    limit: int | None,
    more: Sequence[ColumnElement[bool]] = (),
) -> list[StoredVerdict]:
    """Read verdicts, the newest first; `more` are further conditions."""
    query = _filtered(select(verdicts), verdicts, where).where(*more)
    query = query.order_by(verdicts.c.decided.desc(), verdicts.c.paper, verdicts.c.claim).limit(limit)
    out = []
    for row in connection.execute(query):
        values = row._asdict()
        values |= {"intervals": json.loads(row.intervals), "seeds": json.loads(row.seeds)}
        values["declaration"] = json.loads(row.declaration)
        out.append(StoredVerdict(**values))
    return out


def add_machine(connection: Connection, machine: Machine) -> None:
    """Store a machine, or what is newly known of it."""
    row = {"id": machine.id, "data": dump("machine.data", machine.data)}
    there = connection.execute(select(machines.c.data).where(machines.c.id == machine.id)).scalar()
    if there != row["data"]:
        upsert(connection, machines, [row])


def read_machines(connection: Connection, where: dict[str, Any]) -> list[Machine]:
    """Read machines, ordered by id."""
    query = _filtered(select(machines), machines, where).order_by(machines.c.id)
    return [Machine(id=row.id, data=json.loads(row.data)) for row in connection.execute(query)]


def _filtered(query: Select[Any], table: Table, where: dict[str, Any]) -> Select[Any]:
    for name, value in where.items():
        if value is None:
            continue
        several = isinstance(value, Sequence) and not isinstance(value, str)
        query = query.where(table.c[name].in_(value) if several else table.c[name] == value)
    return query
