"""`sillok digest summarise` and `write`: from papers to summaries, and from summaries to a folder of digests."""

from __future__ import annotations

from datetime import date as Date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sillok.cli.digest_sources import (
    BudgetOption,
    CacheOption,
    CheckOption,
    ConnectionsOption,
    JudgeOption,
    LanguageOption,
    ModelArgOption,
    ModelOption,
    ModelOptions,
    PapersOption,
    PricesOption,
    RootOption,
    TimeoutOption,
    arguments_of,
    day_of,
    no_papers,
    prices_of,
    summarised,
    told,
)
from sillok.cli.options import JsonOption
from sillok.cli.out import remark

if TYPE_CHECKING:
    from sillok.digest.summarise import Summary

SUMMARISE = (
    "Examples: sillok digest summarise 2024-12-04 --model openai/gpt-4o --out day.json; "
    "sillok digest summarise list.jsonl --papers texts --language en"
)
WRITE = "Example: sillok digest write day.json --root digests"


def register(app: typer.Typer) -> None:
    """Add the commands to `sillok digest`."""
    app.command(epilog=SUMMARISE)(summarise)
    app.command(epilog=WRITE)(write)


def summarise(
    source: Annotated[
        str,
        typer.Argument(metavar="DATE|FILE", help="A day, or a list of papers: .jsonl, .json, or a digest."),
    ],
    model: ModelOption = None,
    language: LanguageOption = "ko",
    papers: PapersOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write JSON there, for `write`; default: Markdown is printed."
        ),
    ] = None,
    check: CheckOption = True,
    judge: JudgeOption = None,
    budget: BudgetOption = 24_000,
    connections: ConnectionsOption = 4,
    timeout: TimeoutOption = 300.0,
    prices: PricesOption = None,
    cache: CacheOption = None,
    model_args: ModelArgOption = None,
    as_json: JsonOption = False,
) -> None:
    """Summarise papers in your language, check each sentence by the paper, and mark what fails."""
    from sillok import digest
    from sillok.digest.files import write_if_changed
    from sillok.digest.summarise import dump

    options = ModelOptions(
        model,
        language,
        budget,
        connections,
        timeout,
        papers,
        prices_of(prices),
        cache,
        check,
        judge,
        arguments_of(model_args),
    )
    day, summaries = summarised(source, options, remark)
    if not summaries and day is not None:
        remark(no_papers(day))
    text = dump(day, summaries)
    if out is not None:
        write_if_changed(out, text)
    elif as_json:
        print(text, end="")
    else:
        print(digest.write(digest.Digest(day, tuple(one.entry() for one in summaries))), end="")
    remark(told(summaries, options) + (f"; written to {out}" if out is not None else ""))


def write(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Summaries in JSON: `sillok digest summarise --out`.")
    ],
    root: RootOption = Path("digests"),
    date: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="The day, if not the file's.")
    ] = None,
    roundups: Annotated[
        bool, typer.Option("--roundups/--no-roundups", help="Also the week's and the month's round-up.")
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write papers anew that stand otherwise in the day's file.")
    ] = False,
    feed_url: Annotated[
        str, typer.Option("--feed-url", metavar="URL", help="Where the folder is served, for the Atom feed.")
    ] = "",
) -> None:
    """Write a day as Markdown, JSON and HTML, with round-ups and feed; the same again changes no file."""
    from sillok.digest.summarise import load

    day, summaries = load(source.read_text(encoding="utf-8"), name=str(source))
    if date is not None:
        day = day_of(date)
    if day is None:
        raise ValueError(f"{source}: the file has no date; give one with --date")
    files, changed = publish(day, summaries, root, roundups=roundups, replace=replace, feed_url=feed_url)
    for path in files:
        print(path if path in changed else f"{path} (unchanged)")


def publish(
    day: Date,
    summaries: list[Summary],
    root: Path,
    *,
    roundups: bool,
    replace: bool = False,
    feed_url: str = "",
) -> tuple[list[Path], list[Path]]:
    """Write a day, its round-ups and the feed; return all files, and those that changed."""
    from sillok.digest import publish as room

    written = [room.write_day(day, summaries, root, replace_all=replace)]
    if roundups:
        written += [room.write_week(day, root), room.write_month(day, root)]
    written.append(room.write_feed(root, url=feed_url))
    for one in written:
        for line in one.remarks:
            remark(line)
    return [path for one in written for path in one.files], [path for one in written for path in one.changed]
