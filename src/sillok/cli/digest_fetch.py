"""`sillok digest fetch`: the papers of a day, of a listing or by name, with their full texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sillok.cli.digest_sources import day_of, no_papers
from sillok.cli.options import ERROR, JsonOption
from sillok.cli.out import console, emit, remark

if TYPE_CHECKING:
    from sillok.digest.fetch import Client, Fetched
    from sillok.digest.text import Listing


def register(app: typer.Typer) -> None:
    """Add the command to `sillok digest`."""
    app.command(
        epilog="Examples: sillok digest fetch 2024-12-04; sillok digest fetch --ids 2411.19870,2410.02367 --out "
        "papers; sillok digest fetch 2024-12-02 --until 2024-12-06 --listing cs.LG --no-text"
    )(fetch)


def fetch(
    date: Annotated[
        str | None,
        typer.Argument(metavar="[DATE]", help="YYYY-MM-DD, today or yesterday (in UTC); default: today."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="The last day of a range that begins with DATE.")
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(metavar="ID,ID...", help="Papers by arXiv id, with or without version; no DATE then."),
    ] = None,
    listing: Annotated[
        str | None,
        typer.Option(
            metavar="CATEGORY",
            help="What was submitted to an arXiv category (cs.LG), instead of the Hub's list.",
        ),
    ] = None,
    text: Annotated[bool, typer.Option("--text/--no-text", help="Fetch the full texts too.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Put the papers' files there too, for `--papers` of the other commands."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="SILLOK_CACHE",
            metavar="DIR",
            help="Where what came is kept; default: the user's cache folder.",
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Serve what the cache has, ask nobody.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch the day's papers from Hugging Face and arXiv; given again after a stop, it goes on where it was."""
    from sillok.digest import fetch as fetching

    if ids and (date or until or listing):
        raise typer.BadParameter("--ids stands alone: name papers, or a DATE, --until and --listing")
    if until and not date:
        raise typer.BadParameter("--until needs the DATE that the range begins with")
    if out is not None and out.exists() and not out.is_dir():
        raise typer.BadParameter(f"--out {out} is a file")
    with fetching.Client(cache, offline=offline, report=remark) as client:
        listings = _listings(client, date, until, ids or [], listing)

        def progress(done: Fetched) -> None:
            if done.problem:
                remark(f"{done.listing.id}: {done.problem}")
            for warning in done.text.warnings if done.text else ():
                remark(f"{done.listing.id}: {warning}")

        results = fetching.fetch(listings, out=out, texts=text, client=client, progress=progress)
    if as_json:
        emit([_row(result) for result in results])
    elif results:
        _table(results, text)
    failed = sum(bool(result.problem) for result in results)
    if failed:
        remark(f"{failed} of {len(results)} papers have no text yet: the same command goes on from there")
        raise typer.Exit(ERROR)


def _listings(
    client: Client, date: str | None, until: str | None, ids: list[str], listing: str | None
) -> list[Listing]:
    """The papers that the options name, each once."""
    from sillok.digest import fetch as fetching

    if ids:
        named = [id for part in ids for id in part.replace(",", " ").split()]
        found = fetching.fetch_listings(named, client=client)
        if not found:
            raise ValueError("none of these papers is known to arXiv")
        return found
    first = day_of(date or "today")
    last = day_of(until) if until else first
    if listing is not None:
        return fetching.search_listing(listing, first, last, client=client)
    days = fetching.fetch_range(first, last, client=client)
    for day, papers in days.items():
        if not papers:
            remark(no_papers(day))
    return list({paper.id: paper for papers in days.values() for paper in papers}.values())


def _row(result: Fetched) -> dict[str, Any]:
    listing, text = result.listing, result.text
    return {
        "id": listing.id,
        "version": listing.version,
        "title": listing.title,
        "authors": list(listing.authors),
        "votes": listing.votes,
        "published": listing.published,
        "withdrawn": listing.withdrawn,
        "abstract": listing.abstract,
        "picture": {"kind": listing.picture.kind, "urls": listing.picture.urls} if listing.picture else None,
        "text": {
            "source": text.source,
            "version": text.version,
            "passages": len(text.passages),
            "characters": sum(len(passage.text) for passage in text.passages),
            "warnings": list(text.warnings),
        }
        if text
        else None,
        "path": result.path,
        "problem": result.problem or None,
    }


def _table(results: list[Fetched], with_text: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("id", "votes", *(("text", "words") if with_text else ()), "title"):
        table.add_column(
            name, justify="right" if name in ("votes", "words") else "left", no_wrap=name != "title"
        )
    for result in results:
        listing, text = result.listing, result.text
        id = listing.id + (f"v{listing.version}" if listing.version else "")
        cells = [id, "-" if listing.votes is None else str(listing.votes)]
        if with_text:
            words = sum(len(passage.text.split()) for passage in text.passages) if text else None
            cells += [text.source if text else "-", f"{words:,}" if words is not None else "-"]
        title = ("[withdrawn] " if listing.withdrawn else "") + listing.title
        table.add_row(*cells, Text(title))
    console().print(table)
