"""Addresses of the site: how a thing's page is named, and which names are accepted."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from sillok.record import StoredVerdict

# What the parts of an address may be; whatever else is asked for is refused before anything is looked up.
PAPER = r"(?:[0-9]{4}\.[0-9]{4,5}|[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?/[0-9]{7})"
DIGEST = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9a-f]{32})"
WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}"
MACHINE = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,159}"
RUN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


def chart_url(verdict: StoredVerdict, shipped: bool, number: int, version: str) -> str:
    """The address of a chart; `version` changes with what it shows, so that it can be kept for good."""
    paper = verdict.paper.replace("/", "_")
    parts = (paper, verdict.claim, "shipped" if shipped else "record", verdict.machine, verdict.scale)
    return "/charts/" + "/".join(quote(part, safe="+") for part in parts) + f"/{number}.svg?v={version}"


def picture_url(file: str) -> str:
    """The address of a picture that a trial made."""
    return f"/pictures/{quote(file)}"


def cursor(started: datetime, id: str) -> str:
    """Where a page of runs ends, in an address."""
    return f"{started.timestamp():.6f}-{id}"
