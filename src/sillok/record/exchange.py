"""The whole record as files that outlive any server: JSON lines or Parquet, one file a table.

`manifest.json` is written last and names the schema and each table's file and rows, so that an export
that broke off is known as such. What is derived (the search index) is left out and made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Connection, Float, Integer, Table, select

from sillok import __version__
from sillok.record import migrate, search
from sillok.record.codec import add_missing
from sillok.record.model import RecordError
from sillok.record.runs import put_verdict
from sillok.record.tables import JSON_COLUMNS, KEPT, Instant

MANIFEST = "manifest.json"
_KIND = "sillok record"
_BATCH = 1000

Row = dict[str, Any]


def write(connection: Connection, folder: Path, format: str) -> list[Path]:
    """Write every table and the manifest into `folder`; returns the files, the manifest last."""
    writers: dict[str, Callable[[Table, Path, Iterable[Row]], int]] = {
        "json": _write_json,
        "parquet": _write_parquet,
    }
    if format not in writers:
        raise ValueError(f"format: {format!r} is none of 'json', 'parquet'")
    suffix = {"json": "jsonl", "parquet": "parquet"}[format]
    files: list[Path] = []
    tables: dict[str, dict[str, Any]] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)  # of an earlier export: not true of these files
        for table in KEPT:
            path = folder / f"{table.name}.{suffix}"
            rows = writers[format](table, path, _rows(connection, table))
            tables[table.name] = {"file": path.name, "rows": rows}
            files.append(path)
        manifest = {
            "kind": _KIND,
            "schema": migrate.HEAD,
            "sillok": __version__,
            "format": format,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "tables": tables,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write the export to {folder}: {error.strerror or error}") from error
    return [*files, folder / MANIFEST]


def read(connection: Connection, folder: Path) -> dict[str, int]:
    """Read an export into the record; returns how many rows of each table were new."""
    manifest = _manifest(folder)
    added: dict[str, int] = {}
    touched: set[str] = set()
    for table in KEPT:
        described = manifest["tables"].get(table.name)
        added[table.name] = 0
        if described is None:  # a table that the exporting version did not have yet
            continue
        path = folder / Path(described["file"]).name
        count = 0
        for row in _read(table, path, manifest["format"]):
            count += 1
            try:
                new = (
                    put_verdict(connection, row) if table.name == "verdicts" else _add(connection, table, row)
                )
            except KeyError as error:
                raise RecordError(f"{path}: row {count} has no {error}") from error
            added[table.name] += new
            if new and table.name in ("papers", "summaries", "verdicts"):
                touched.add(row["id" if table.name == "papers" else "paper"])
        if count != described["rows"]:
            raise RecordError(f"{path} holds {count} rows where the manifest says {described['rows']}")
    ids = sorted(touched)
    for start in range(0, len(ids), _BATCH):
        search.index(connection, ids[start : start + _BATCH])
    return added


def _add(connection: Connection, table: Table, row: Row) -> bool:
    return add_missing(connection, table, [row]) == 1


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        schema, _, _ = manifest["schema"], manifest["format"], manifest["tables"].items()
    except FileNotFoundError as error:
        raise RecordError(f"{folder} holds no export of a record: {MANIFEST} is missing") from error
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is no manifest of a record's export") from error
    if schema not in migrate.REVISIONS:
        raise RecordError(
            f"{folder} was exported by a newer Sillok (schema {schema}, this one knows up to "
            f"{migrate.HEAD}); upgrade Sillok"
        )
    if manifest["format"] not in ("json", "parquet"):
        raise RecordError(f"{path}: format {manifest['format']!r} is none of 'json', 'parquet'")
    return dict(manifest)


def _rows(connection: Connection, table: Table) -> Iterator[Row]:
    query = select(table).order_by(*table.primary_key)
    result = connection.execution_options(yield_per=_BATCH).execute(query)
    for row in result:
        yield dict(row._mapping)


def _write_json(table: Table, path: Path, rows: Iterable[Row]) -> int:
    inner = JSON_COLUMNS.get(table.name, ())
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            values = {
                name: json.loads(value) if name in inner else _text(value) for name, value in row.items()
            }
            file.write(json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
            count += 1
    return count


def _text(value: Any) -> Any:
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else value


def _read(table: Table, path: Path, format: str) -> Iterator[Row]:
    try:
        yield from (_read_json if format == "json" else _read_parquet)(table, path)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error


def _read_json(table: Table, path: Path) -> Iterator[Row]:
    inner = JSON_COLUMNS.get(table.name, ())
    instants = [column.name for column in table.columns if isinstance(column.type, Instant)]
    with path.open(encoding="utf-8", newline="\n") as file:
        for number in range(1, 1 << 62):
            try:
                line = file.readline()
                if not line:
                    return
                values = json.loads(line)
                row = {column.name: values[column.name] for column in table.columns}
                for name in inner:
                    row[name] = json.dumps(row[name], ensure_ascii=False, allow_nan=False)
                for name in instants:
                    row[name] = datetime.fromisoformat(row[name])
            except (ValueError, KeyError, TypeError) as error:
                raise RecordError(f"{path}, line {number}: no row of {table.name!r} ({error})") from error
            yield row


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise RecordError('Parquet needs pyarrow: pip install "sillok[parquet]"') from error
    return pyarrow, pyarrow.parquet


def _write_parquet(table: Table, path: Path, rows: Iterable[Row]) -> int:
    arrow, parquet = _arrow()
    schema = arrow.schema(
        [arrow.field(c.name, _arrow_type(arrow, c.type), nullable=True) for c in table.columns]
    )
    count = 0
    each = iter(rows)
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(each, _BATCH)):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _arrow_type(arrow: Any, kind: Any) -> Any:
    if isinstance(kind, Instant):
        return arrow.timestamp("us", tz="UTC")
    if isinstance(kind, BigInteger | Integer):
        return arrow.int64()
    return arrow.float64() if isinstance(kind, Float) else arrow.string()


def _read_parquet(table: Table, path: Path) -> Iterator[Row]:
    arrow, parquet = _arrow()
    try:
        with parquet.ParquetFile(path) as file:
            missing = {column.name for column in table.columns} - set(file.schema_arrow.names)
            if missing:
                raise RecordError(f"{path}: {', '.join(sorted(missing))} missing")
            for batch in file.iter_batches(_BATCH, columns=[column.name for column in table.columns]):
                for row in batch.to_pylist():
                    yield {
                        name: value.astimezone(UTC) if isinstance(value, datetime) else value
                        for name, value in row.items()
                    }
    except arrow.ArrowException as error:
        raise RecordError(f"{path} is no Parquet file, or a damaged one ({error})") from error
