"""Delivery to Slack through slack_sdk: an incoming webhook, or a bot's message with a thread.

A webhook's messages cannot be answered in a thread, so that all papers go into one message, or into as many as
Slack's limits make necessary. A bot posts the day as a message and each paper as a reply to it.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Sequence
from datetime import date as Date
from functools import partial
from typing import Any

from sillok.digest.deliver import blocks
from sillok.digest.deliver.ledger import DeliveryError, Ledger, fingerprint
from sillok.digest.secrets import brief
from sillok.digest.summarise.summary import Summary

#: Retries of a call that Slack limits; each waits as long as Slack says.
RETRIES = 4


def _quiet() -> logging.Logger:
    """Return a logger that says nothing: slack_sdk's prints addresses and tokens when it debugs."""
    logger = logging.getLogger("sillok.digest.deliver.slack")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.CRITICAL)
    return logger


def _handlers() -> list[Any]:
    """Return what is tried again: calls that Slack limits, which it has not carried out."""
    from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

    return [RateLimitErrorRetryHandler(max_retry_count=RETRIES)]


def _needs_slack_sdk() -> ImportError:
    return ImportError("Slack needs slack_sdk: pip install 'sillok[digest]'")


def plan_webhook(date: Date, summaries: Sequence[Summary]) -> list[tuple[str, str, list[blocks.Block]]]:
    """Return the messages of a webhook: (part, text, blocks) each."""
    text, all_blocks = blocks.head(date, summaries)
    for summary in summaries:
        all_blocks += [{"type": "divider"}, *blocks.paper(summary)[1]]
    return [
        (f"part-{number}", text if number == 1 else f"{text} ({number})", chunk)
        for number, chunk in enumerate(blocks.messages(all_blocks), 1)
    ]


def plan_thread(date: Date, summaries: Sequence[Summary]) -> list[tuple[str, str, list[blocks.Block]]]:
    """Return the messages of a bot: the day first, then the replies, (part, text, blocks) each."""
    plan = [("head", *blocks.head(date, summaries))]
    for summary in summaries:
        text, found = blocks.paper(summary)
        for number, chunk in enumerate(blocks.messages(found), 1):
            plan.append((summary.listing.id + (f"-{number}" if number > 1 else ""), text, chunk))
    return plan


def send_webhook(
    url: str,
    date: Date,
    summaries: Sequence[Summary],
    ledger: Ledger,
    *,
    again: bool = False,
    timeout: int = 30,
) -> int:
    """Send the day through an incoming webhook; return the number of messages sent now.

    Args:
        again: send also a message whose fate is unknown; one that was sent is never sent twice.

    Raises:
        DeliveryError: Slack did not take a message; what was sent before is in the ledger.
    """
    try:
        from slack_sdk.webhook import WebhookClient
    except ImportError:
        raise _needs_slack_sdk() from None
    if not re.fullmatch(r"https?://[^\s/]+/\S*", url):
        raise DeliveryError("SLACK_WEBHOOK_URL is no web address")
    client = WebhookClient(url, timeout=timeout, logger=_quiet(), retry_handlers=_handlers())
    target = f"slack-webhook:{fingerprint(url)}:{date.isoformat()}"

    def post(text: str, found: list[blocks.Block]) -> str:
        answer = client.send(text=text, blocks=found)
        if answer.status_code != 200:
            word = answer.body if re.fullmatch(r"[a-z_ ]{1,60}", answer.body or "") else ""
            raise DeliveryError(f"Slack answered {answer.status_code} {word}".strip())
        return ""

    sent = 0
    for part, text, found in plan_webhook(date, summaries):
        sent += _once(ledger, f"{target}:{part}", again, partial(post, text, found))
    return sent


def send_thread(
    token: str,
    channel: str,
    date: Date,
    summaries: Sequence[Summary],
    ledger: Ledger,
    *,
    again: bool = False,
    timeout: int = 30,
    base_url: str = "https://slack.com/api/",
) -> int:
    """Post the day in a channel and each paper as a reply to it; return the number of messages sent now.

    Raises:
        DeliveryError: Slack did not take a message; what was sent before is in the ledger.
    """
    try:
        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError
    except ImportError:
        raise _needs_slack_sdk() from None
    client = WebClient(
        token=token, base_url=base_url, timeout=timeout, logger=_quiet(), retry_handlers=_handlers()
    )
    target = f"slack:{fingerprint(channel)}:{date.isoformat()}"
    head_key = f"{target}:head"

    def post(part: str, text: str, found: list[blocks.Block]) -> str:
        thread = None if part == "head" else ledger.value(head_key)
        try:
            answer = client.chat_postMessage(
                channel=channel, text=text, blocks=found, thread_ts=thread, unfurl_links=False
            )
        except SlackApiError as error:
            what = error.response.get("error") if hasattr(error.response, "get") else None
            word = what if isinstance(what, str) and re.fullmatch(r"\w{1,60}", what) else "an error"
            raise DeliveryError(f"Slack answered {word}") from None
        return str(answer.get("ts") or "")

    sent = 0
    for part, text, found in plan_thread(date, summaries):
        sent += _once(ledger, f"{target}:{part}", again, partial(post, part, text, found))
    return sent


def _once(ledger: Ledger, key: str, again: bool, post: Callable[[], str]) -> int:
    """Send one message unless the ledger has it; return 1 if it was sent now."""
    if not ledger.begin(key, again):
        return 0
    try:
        value = post()
    except Exception as error:
        if isinstance(error, DeliveryError):
            failure = error
        else:
            what = f"Slack cannot be reached ({brief(error)})"
            failure = DeliveryError(what, unknown=not _refused(error))
        ledger.note(key, "sending" if failure.unknown else "failed")
        raise failure from None
    ledger.note(key, "sent", value)
    return 1


def _refused(error: BaseException) -> bool:
    """Tell whether a connection was never made, so that nothing can have arrived."""
    reason = getattr(error, "reason", error)
    return isinstance(reason, (ConnectionRefusedError, socket.gaierror))
