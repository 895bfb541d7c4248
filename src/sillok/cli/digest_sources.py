"""What `sillok digest`'s commands take in: dates, lists of papers, texts, and the model's options."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sillok.digest.check.judge import ModelJudge
    from sillok.digest.summarise import Prices, Summary
    from sillok.digest.text import Listing, PaperText
    from sillok.digest.texts import Folder

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        envvar="SILLOK_MODEL",
        metavar="NAME",
        help="A model as Inspect names it; without one, the papers' own sentences.",
    ),
]
LanguageOption = Annotated[
    str,
    typer.Option("--language", envvar="SILLOK_LANGUAGE", help="A tag (ko, en, pt-BR) or a name (Korean)."),
]
BudgetOption = Annotated[
    int,
    typer.Option("--budget", min=500, help="Tokens of a paper in one call; a longer one is read by section."),
]
ConnectionsOption = Annotated[int, typer.Option("--connections", min=1, help="Model calls at one time.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1.0, help="Seconds for one answer.")]
PapersOption = Annotated[
    Path | None,
    typer.Option(
        "--papers", metavar="DIR", help="Papers' texts, <arXiv id>.html|.md|.txt|.pdf; default: from arXiv."
    ),
]
PricesOption = Annotated[
    str | None,
    typer.Option(
        "--prices", metavar="IN,OUT", help="Prices per million tokens, to report what this run cost."
    ),
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", envvar="SILLOK_CACHE", metavar="DIR", help="Where answers and texts are kept."),
]
CheckOption = Annotated[
    bool, typer.Option("--check/--no-check", help="Look up each sentence of a model in the paper.")
]
ModelArgOption = Annotated[
    list[str] | None,
    typer.Option("-M", metavar="KEY=VALUE", help="An argument of the model's provider; may be repeated."),
]
JudgeOption = Annotated[
    str | None,
    typer.Option(
        "--judge",
        envvar="SILLOK_JUDGE",
        metavar="NAME",
        help="A model as Inspect names it that checks sentences too; what it does not quote does not count.",
    ),
]
RootOption = Annotated[
    Path, typer.Option("--root", envvar="SILLOK_DIGESTS", metavar="DIR", help="The folder of the digests.")
]


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The options of whatever calls a model."""

    model: str | None
    language: str
    budget: int
    connections: int
    timeout: float
    papers: Path | None
    prices: Prices | None
    cache: Path | None
    check: bool
    judge: str | None
    model_args: dict[str, Any]


def day_of(given: str) -> Date:
    """Return the day that an argument names; "today" and "yesterday" are days in UTC.

    Raises:
        ValueError: no date, or one in the future.
    """
    from sillok.digest.fetch import parse_day

    today = datetime.now(UTC).date()
    named = {"today": today, "yesterday": today - timedelta(1)}
    try:
        day = named.get(given) or Date.fromisoformat(given)
    except ValueError:
        raise ValueError(f"date: {given!r} is no day; YYYY-MM-DD, today and yesterday are accepted") from None
    return parse_day(day)


def no_papers(day: Date) -> str:
    """Return the line for a day without a list: a weekend, a holiday, or a day that has just begun."""
    return f"{day} ({day:%A}): no papers are listed"


def texts_in(path: Path, report: Callable[[str], None]) -> Folder:
    """Return the papers' texts of a folder; an empty one, or one of other files, is a line to `report`."""
    from sillok.digest import texts

    found = texts.folder(path)
    if not found:
        report(f"{path}: no paper's text in it; <arXiv id>.html, .md, .txt and .pdf are read")
    return found


def is_day(given: str) -> bool:
    """Tell whether an argument names a day rather than a file."""
    try:
        Date.fromisoformat(given)
    except ValueError:
        return given in ("today", "yesterday")
    return True


def listings_of_file(path: Path) -> tuple[Date | None, list[Listing]]:
    """Return the date, if the file tells it, and the papers of a list: JSON Lines, JSON, or a digest.

    Raises:
        ValueError: another file.
    """
    from sillok import digest
    from sillok.digest.text import Listing

    if path.suffix.lower() == ".md":
        found = digest.read(path)
        if isinstance(found, list):
            raise ValueError(f"{path}: holds {len(found)} digests; one is accepted")
        listed = [
            Listing(e.id, e.title, e.version, e.authors, e.votes, picture=e.picture)
            for e in found.entries
            if e.id is not None
        ]
        return found.date, listed
    text = path.read_text(encoding="utf-8")
    try:
        day = None
        rows: Any
        if path.suffix.lower() == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            value = json.loads(text)
            day = value.get("date") if isinstance(value, dict) else None
            rows = value.get("papers", value.get("listings")) if isinstance(value, dict) else value
        return (
            Date.fromisoformat(day) if day else None,
            [Listing.from_json(json.dumps(row.get("listing", row))) for row in rows],
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no list of papers in JSON ({error})") from None


def cache_folder(given: Path | None) -> Path:
    """Return the folder of the model's answers."""
    from sillok.digest.fetch.cache import cache_root

    return cache_root(given) / "answers"


def prices_of(given: str | None) -> Prices | None:
    """Return the prices of an option "IN,OUT".

    Raises:
        ValueError: not two numbers from 0 on.
    """
    from sillok.digest.summarise import Prices

    if given is None:
        return None
    try:
        input, output = (float(part) for part in given.split(","))
    except ValueError:
        input = output = -1.0
    if not (input >= 0 and output >= 0):
        raise ValueError(f"--prices: {given!r} is not two numbers from 0 on, such as 2.5,10")
    return Prices(input, output)


def arguments_of(given: list[str] | None) -> dict[str, Any]:
    """Return the arguments of -M options; a value that is JSON is read as such.

    Raises:
        ValueError: an option without "=".
    """
    found: dict[str, Any] = {}
    for one in given or ():
        key, sign, value = one.partition("=")
        if not sign or not key:
            raise ValueError(f"-M: {one!r} is not KEY=VALUE")
        try:
            found[key.replace("-", "_")] = json.loads(value)
        except ValueError:
            found[key.replace("-", "_")] = value
    return found


def summarised(
    source: str, options: ModelOptions, report: Callable[[str], None]
) -> tuple[Date | None, list[Summary]]:
    """Summarise the papers of a day or of a file with the options of a command."""
    from sillok.digest import fetch
    from sillok.digest import summarise as room
    from sillok.digest.check import check_entry
    from sillok.digest.model import by_votes

    # Inspect's log of each retry belongs to its own tools; here one line a paper says what went wrong.
    os.environ.setdefault("INSPECT_LOG_LEVEL", "error")
    day: Date | None
    with ExitStack() as stack:
        by_day = is_day(source)
        client = None
        if by_day or options.papers is None:
            client = stack.enter_context(fetch.Client(options.cache, report=report))
        if by_day:
            day = day_of(source)
            listings = fetch.fetch_day(day, client=client)
        else:
            day, listings = listings_of_file(Path(source))
        listings.sort(key=by_votes, reverse=True)
        known = {listing.id: listing for listing in listings}

        def text(id: str, version: int | None) -> PaperText:
            return fetch.fetch_text(id, version, client=client, listing=known.get(id))

        judge = _judge(options, report)
        summaries = room.summarise(
            listings,
            model=options.model,
            language=options.language,
            texts=texts_in(options.papers, report) if options.papers is not None else text,
            checker=None if not options.check else partial(check_entry, judge=judge) if judge else "default",
            budget=options.budget,
            connections=options.connections,
            timeout=options.timeout,
            cache=cache_folder(options.cache),
            model_args=options.model_args,
            report=report,
        )
        if judge is not None:
            cost = judge.spent.cost(options.prices)
            price = f", cost {cost:.4f} at the prices of --model" if cost is not None else ""
            report(f"{options.judge}: {judge.spent.total:,} tokens spent on judging{price}")
        return day, summaries


def _judge(options: ModelOptions, report: Callable[[str], None]) -> ModelJudge | None:
    """Return the language model that checks too; without one, without a writer or a check, None."""
    if options.judge is None or options.model is None or not options.check:
        return None
    from sillok.digest.check import load_judge

    return load_judge(
        options.judge,
        connections=options.connections,
        timeout=options.timeout,
        cache=cache_folder(options.cache),
        report=report,
    )


def told(summaries: list[Summary], options: ModelOptions) -> str:
    """Return what summarising came to, in one line."""
    from sillok.digest.summarise import Usage

    used, spent = Usage(), Usage()
    for one in summaries:
        used, spent = used + one.usage, spent + one.spent
    own = sum(one.model is None for one in summaries)
    parts = [f"{len(summaries)} papers"]
    if own:
        parts.append(
            f"{own} in their own sentences" if own < len(summaries) else "all in their own sentences"
        )
    parts.append(f"{sum(len(one.findings) for one in summaries):,} sentences checked")
    parts.append(f"{sum(len(one.flagged) for one in summaries):,} flagged")
    if options.model is not None:
        about = "about " if used.estimated or spent.estimated else ""
        cost = spent.cost(options.prices)
        price = f", cost {cost:.4f}" if cost is not None else ""
        parts.append(f"{about}{used.total:,} tokens in the answers, {spent.total:,} spent now{price}")
    return ", ".join(parts)
