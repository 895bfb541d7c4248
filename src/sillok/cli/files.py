"""`sillok export` and `sillok import`, and how commands open the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sillok.cli import web
from sillok.cli.options import RecordOption, Scale

if TYPE_CHECKING:
    from sillok.record import Record

EXPORT_EXAMPLES = "Examples: sillok export site; sillok export --json backup; sillok export --parquet backup"


@contextmanager
def open_record(url: str | None, *, read_only: bool = False) -> Iterator[Record]:
    """The record, made where it is missing."""
    from sillok.record import Record

    record = Record.open(url, read_only=read_only)
    try:
        yield record
    finally:
        record.close()


@contextmanager
def open_if_there(url: str | None) -> Iterator[Record | None]:
    """The record for commands that also make sense without one: no file is made by looking."""
    from sillok.record import Record

    record = Record.open(url, read_only=True) if Record.exists(url) else None
    try:
        yield record
    finally:
        if record is not None:
            record.close()


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON Lines file a table.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="One Parquet file a table.")] = False,
    results: Annotated[
        bool, typer.Option("--results", help="Runs and verdicts, one file a machine.")
    ] = False,
    scale: Annotated[Scale, typer.Option(help="The scale of --results.")] = Scale.here,
    url: web.UrlOption = None,
    record: RecordOption = None,
) -> None:
    """Write the site as static files for any web host, or with an option the record itself, to be read back."""
    from sillok.verify import results as shipping

    if as_json + parquet + results > 1:
        raise typer.BadParameter("ask for one of --json, --parquet and --results, or for none: the site")
    if not as_json + parquet + results:
        web.export_site(folder, record, url)
        return
    with open_record(record, read_only=True) as opened:
        paths = (
            shipping.write(opened, folder, scale=scale.value)
            if results
            else opened.export(folder, "parquet" if parquet else "json")
        )
    for path in paths:
        print(path)


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `sillok export` wrote.")],
    record: RecordOption = None,
) -> None:
    """Read an exported record back; what is there already stays as it is."""
    with open_record(record) as opened:
        counts = opened.import_(folder)
    print(", ".join(f"{count} {table}" for table, count in counts.items()))
