"""`sillok digest deliver` and `daily`: a day to its readers, and all of a day in one command."""

from __future__ import annotations

import sys
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
from sillok.cli.digest_write import publish
from sillok.cli.options import ERROR
from sillok.cli.out import remark

if TYPE_CHECKING:
    from sillok.digest.summarise import Summary

DELIVER = "Example: sillok digest deliver 2024-12-04 --root digests --to slack --to mail --dry-run"
DAILY = (
    "Example: sillok digest daily 2024-12-04 --model openai/gpt-4o --language ko --root digests --to slack"
)

ToOption = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="CHANNEL", help="A channel: atom, slack or mail; may be repeated."),
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Send also what an earlier run may have sent when it was killed.")
]
ChannelOption = Annotated[str, typer.Option("--channel", help="Slack's channel; default: $SLACK_CHANNEL.")]
SenderOption = Annotated[str, typer.Option("--from", help="The mail's sender; default: $MAIL_FROM.")]
RecipientOption = Annotated[
    list[str] | None,
    typer.Option("--recipient", help="The mail's recipient; may be repeated; default: $MAIL_TO."),
]
FeedOption = Annotated[
    str, typer.Option("--feed-url", metavar="URL", help="Where the folder is served, for the Atom feed.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `sillok digest`."""
    app.command(epilog=DELIVER)(deliver)
    app.command(epilog=DAILY)(daily)


def deliver(
    date: Annotated[str, typer.Argument(metavar="DATE", help="YYYY-MM-DD, today or yesterday.")],
    root: RootOption = Path("digests"),
    to: ToOption = None,
    dry_run: DryOption = False,
    again: AgainOption = False,
    channel: ChannelOption = "",
    sender: SenderOption = "",
    recipients: RecipientOption = None,
    feed_url: FeedOption = "",
) -> None:
    """Send a written day to Slack, by e-mail, or into the Atom feed; each message once."""
    from sillok.digest.deliver import checked
    from sillok.digest.publish import load_day

    day = day_of(date)
    checked(to or ())
    if not to:
        raise typer.BadParameter("name a channel: --to atom, --to slack or --to mail")
    failures = _deliver(
        day, load_day(root, day), root, to, dry_run, again, channel, sender, recipients, feed_url
    )
    if failures:
        raise typer.Exit(ERROR)


def daily(
    date: Annotated[
        str, typer.Argument(metavar="[DATE]", help="YYYY-MM-DD, today or yesterday (in UTC).")
    ] = "today",
    model: ModelOption = None,
    language: LanguageOption = "ko",
    root: RootOption = Path("digests"),
    to: ToOption = None,
    listings: Annotated[
        Path | None,
        typer.Option("--listings", metavar="FILE", help="The day's papers, instead of Hugging Face's list."),
    ] = None,
    papers: PapersOption = None,
    check: CheckOption = True,
    judge: JudgeOption = None,
    budget: BudgetOption = 24_000,
    connections: ConnectionsOption = 4,
    timeout: TimeoutOption = 300.0,
    prices: PricesOption = None,
    cache: CacheOption = None,
    model_args: ModelArgOption = None,
    dry_run: DryOption = False,
    again: AgainOption = False,
    channel: ChannelOption = "",
    sender: SenderOption = "",
    recipients: RecipientOption = None,
    feed_url: FeedOption = "",
) -> None:
    """Fetch, summarise, check, write and deliver a day; one line says what came of it.

    Given again, it goes on where it was: nothing is paid for, written or sent twice.
    """
    from sillok.digest.deliver import checked

    day = day_of(date)
    checked(to or ())  # before anything is paid for
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
    _, summaries = summarised(str(listings) if listings is not None else day.isoformat(), options, remark)
    if not summaries:
        print(f"{no_papers(day)}; nothing was written or sent")
        return
    files, changed = publish(day, summaries, root, roundups=True, feed_url=feed_url)
    from sillok.digest.publish import load_day

    failures: list[str] = []
    if to:
        # The day as it stands in the folder: with entries of earlier runs, and edited ones as edited.
        shown = load_day(root, day)
        failures = _deliver(day, shown, root, to, dry_run, again, channel, sender, recipients, feed_url)
    failed = {line.split(":", 1)[0] for line in failures}
    sent = ", ".join(one for one in dict.fromkeys(to or ()) if one not in failed)
    outcome = f"; sent: {sent}" if sent and not dry_run else ""
    print(f"{day}: {told(summaries, options)}; {len(changed)} of {len(files)} files changed{outcome}")
    if failures:
        raise typer.Exit(ERROR)


def _deliver(
    day: Date,
    summaries: list[Summary],
    root: Path,
    to: list[str],
    dry_run: bool,
    again: bool,
    channel: str,
    sender: str,
    recipients: list[str] | None,
    feed_url: str,
) -> list[str]:
    from sillok.digest import deliver as room

    targets = room.Targets(channel, sender, tuple(recipients or ()), feed_url)
    say = print if dry_run else remark
    failures = room.deliver(day, summaries, root, to, targets, dry_run=dry_run, again=again, say=say)
    for line in failures:
        print(f"sillok: {line}", file=sys.stderr)
    return failures
