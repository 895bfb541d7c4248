"""Where a day goes: channels by name, their addresses and secrets from the environment, and a dry run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date as Date
from pathlib import Path
from typing import cast

from sillok.digest.deliver import mail, slack
from sillok.digest.deliver.ledger import DeliveryError, Ledger
from sillok.digest.files import alone
from sillok.digest.publish.feed import write_feed
from sillok.digest.summarise.summary import Summary

#: The channels, in the order in which they are served.
CHANNELS = ("atom", "slack", "mail")


@dataclass(frozen=True, slots=True)
class Targets:
    """Where a day goes; what is empty comes from the environment, secrets from nowhere else.

    | environment | for |
    | --- | --- |
    | `SLACK_BOT_TOKEN`, `SLACK_CHANNEL` | a message with a thread; needs both |
    | `SLACK_WEBHOOK_URL` | an incoming webhook, where there is no bot |
    | `SMTP_HOST`, `SMTP_PORT`, `SMTP_SECURITY`, `SMTP_USER`, `SMTP_PASSWORD` | the mail server |
    | `MAIL_FROM`, `MAIL_TO` | sender and recipients (parted by commas) |
    """

    channel: str = ""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    feed_url: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def get(self, name: str) -> str:
        """Return a variable of the environment without outer white space."""
        return self.environment.get(name, "").strip()


def deliver(
    date: Date,
    summaries: Sequence[Summary],
    root: Path | str,
    channels: Sequence[str],
    targets: Targets | None = None,
    *,
    dry_run: bool = False,
    again: bool = False,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Deliver a day through each channel once; return a line for each channel that failed.

    Args:
        root: the folder of the digests; the ledger is its file `.delivered.jsonl`.
        channels: of `CHANNELS`.
        dry_run: say what would be sent and send nothing; no secret is needed.
        again: send also what an earlier run may have sent when it was killed.
        say: gets the lines of a dry run, and one line for each channel served.

    Raises:
        ValueError: an unknown channel.
    """
    wanted = checked(channels)
    targets = targets or Targets()
    failures = []
    with nullcontext() if dry_run else alone(Path(root)):  # two runs at once send each message once
        ledger = Ledger(Path(root) / ".delivered.jsonl")
        for channel in wanted:
            try:
                if dry_run:
                    _show(channel, date, summaries, Path(root), targets, say)
                else:
                    say(f"{channel}: {_send(channel, date, summaries, Path(root), targets, ledger, again)}")
            except (DeliveryError, ValueError, OSError) as error:
                failures.append(f"{channel}: {error}")
    return failures


def checked(channels: Sequence[str]) -> list[str]:
    """Return the channels, each once, in the order in which they are served.

    Raises:
        ValueError: an unknown channel.
    """
    for channel in channels:
        if channel not in CHANNELS:
            raise ValueError(f"channel: {channel!r} is none of {', '.join(CHANNELS)}")
    return list(dict.fromkeys(sorted(channels, key=CHANNELS.index)))


def _send(
    channel: str,
    date: Date,
    summaries: Sequence[Summary],
    root: Path,
    targets: Targets,
    ledger: Ledger,
    again: bool,
) -> str:
    if channel == "atom":
        return (
            "feed.xml written" if write_feed(root, url=targets.feed_url).changed else "feed.xml is up to date"
        )
    if channel == "mail":
        sender, recipients = _addresses(targets)
        sent = mail.send_mail(_server(targets), date, summaries, sender, recipients, ledger, again=again)
        return f"sent to {len(recipients)}" if sent else "sent before"
    token, where = targets.get("SLACK_BOT_TOKEN"), targets.channel or targets.get("SLACK_CHANNEL")
    if token and where:
        base = targets.get("SLACK_API_URL") or "https://slack.com/api/"
        if not re.fullmatch(r"https?://[^\s/]+/\S*", base):
            raise DeliveryError(f"SLACK_API_URL: {base!r} is no web address such as 'https://slack.com/api/'")
        sent = slack.send_thread(token, where, date, summaries, ledger, again=again, base_url=base)
    elif url := targets.get("SLACK_WEBHOOK_URL"):
        sent = slack.send_webhook(url, date, summaries, ledger, again=again)
    else:
        missing = (
            "SLACK_CHANNEL (or --channel)" if token else "SLACK_WEBHOOK_URL, or SLACK_BOT_TOKEN and a channel"
        )
        raise DeliveryError(f"{missing} is not set in the environment")
    return f"{sent} messages sent" if sent else "sent before"


def _show(
    channel: str,
    date: Date,
    summaries: Sequence[Summary],
    root: Path,
    targets: Targets,
    say: Callable[[str], None],
) -> None:
    if channel == "atom":
        say(f"atom: would write {root / 'feed.xml'}")
    elif channel == "mail":
        sender, recipients = _addresses(targets)
        shown = mail.message(date, summaries, sender, recipients)
        say("\n".join(f"{name}: {value}" for name, value in shown.items() if name != "Date"))
        body = shown.get_body(("plain",))
        say("\n" + (body.get_content() if body is not None else ""))
    else:
        bot = targets.get("SLACK_BOT_TOKEN") and (targets.channel or targets.get("SLACK_CHANNEL"))
        plan = slack.plan_thread if bot or targets.channel else slack.plan_webhook
        for part, text, found in plan(date, summaries):
            say(f"slack {part}: {text}")
            say(json.dumps(found, ensure_ascii=False, indent=1))


def _addresses(targets: Targets) -> tuple[str, tuple[str, ...]]:
    sender = targets.sender or targets.get("MAIL_FROM")
    listed = tuple(part.strip() for part in targets.get("MAIL_TO").split(",") if part.strip())
    recipients = targets.recipients or listed
    if not sender or not recipients:
        missing = "MAIL_FROM (or --from)" if not sender else "MAIL_TO (or --recipient)"
        raise DeliveryError(f"{missing} is not set in the environment")
    return sender, recipients


def _server(targets: Targets) -> mail.Server:
    host, security = targets.get("SMTP_HOST"), targets.get("SMTP_SECURITY") or "starttls"
    if not host:
        raise DeliveryError("SMTP_HOST is not set in the environment")
    port = targets.get("SMTP_PORT") or {"tls": "465", "none": "25"}.get(security, "587")
    if security not in mail.SECURITIES:
        raise DeliveryError(f"SMTP_SECURITY: {security!r} is none of {', '.join(mail.SECURITIES)}")
    if not (port.isdecimal() and 0 < int(port) < 65_536):
        raise DeliveryError(f"SMTP_PORT: {port!r} is no port from 1 to 65535")
    user, password = targets.get("SMTP_USER"), targets.get("SMTP_PASSWORD")
    if user and not password:
        raise DeliveryError("SMTP_USER is set, and SMTP_PASSWORD is not")
    return mail.Server(host, int(port), cast(mail.Security, security), user, password)
