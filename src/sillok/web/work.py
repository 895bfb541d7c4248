"""What the desk and the queue show, as typed objects of the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sillok.web.address import PAPER, WORD
from sillok.web.models import Mark, Shape, Summary


class DeskAsk(Shape):
    """A digest to be read: its text, what to call it, and whether to keep it (which needs the token)."""

    text: Annotated[str, Field(max_length=2 * 2**20, examples=["## Daily Papers (2025-02-03)\n"])]
    name: Annotated[str, Field(max_length=200)] = "digest.md"
    store: bool = False


class DeskDigest(Shape):
    """One of the digests that a file holds."""

    date: str | None
    entries: int


class DeskWarning(Shape):
    """What was not understood, by its line in the file."""

    line: int
    message: str


class DeskEntry(Shape):
    """An entry as it was read: its line, what Sillok knows of its paper ("card", "record", "new"), and its words."""

    date: str | None
    position: int
    line: int
    id: str | None
    title: str
    votes: int | None
    authors: list[str]
    family: str | None
    known: str
    claims: list[str]
    marks: list[Mark]
    summary: Summary | None


class DeskView(Shape):
    """A digest as the desk read it; `counts` says how many of all entries are known, `entries` holds the first."""

    name: str
    stored: bool
    digests: list[DeskDigest]
    total: int
    counts: dict[str, int]
    entries: list[DeskEntry]
    warnings_total: int
    warnings: list[DeskWarning]


Scale = Literal["smoke", "here", "full"]
Mode = Literal["trial", "placebo", "fault"]
State = Literal["waiting", "running", "done", "cancelled", "failed"]


class JobAsk(Shape):
    """A claim to be measured."""

    paper: Annotated[str, Field(pattern=f"^{PAPER}$", examples=["2411.19415"])]
    claim: Annotated[str, Field(pattern=f"^{WORD}$", examples=["correction"])]
    scale: Scale = "smoke"
    mode: Mode = "trial"
    again: bool = False


class JobView(Shape):
    """A verification in the queue: `before` are ahead of it, `done` of `runs` have ended, `share` goes from 0 to 1."""

    id: str
    paper: str
    claim: str
    title: str
    scale: Scale
    mode: Mode
    state: State
    before: int
    runs: int
    done: int
    share: float
    now: str
    log: str
    verdict: str | None
    reason: str | None
    asked: str
    started: str | None
    ended: str | None


class QueueView(Shape):
    """Verifications: what runs and waits in its order, and what ended, newest first."""

    waiting: list[JobView]
    ended: list[JobView]
    most: int
