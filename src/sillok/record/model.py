"""What the record holds, as plain values: no database, no framework."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MODES = ("trial", "placebo", "fault")
STATES = ("done", "failed")
VERDICTS = ("upheld", "not upheld", "inconclusive", "out of reach", "failed")


class RecordError(RuntimeError):
    """The record cannot be opened, read or written: one line that says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware that runs were made on: `id` is a short hash of it, `data` its description."""

    id: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """One arm under one seed at one scale, as it ended: written once, never changed.

    `started` is an aware datetime, `seconds` the wall-clock time of the body; `measures` maps a
    metric to its value and `units` the same metric to its unit; `reason` says why a run failed.
    """

    id: str
    paper: str
    claim: str
    trial: str
    version: int
    arm: str
    seed: int
    scale: str
    mode: str
    state: str
    attempt: int = 1
    measures: dict[str, float]
    units: dict[str, str]
    curves: list[dict[str, Any]]
    fingerprint: dict[str, Any]
    reason: str | None
    log: str
    started: datetime
    seconds: float
    machine: str


@dataclass(frozen=True, kw_only=True)
class StoredVerdict:
    """What the runs of one claim say, at one scale, on one machine.

    `declaration` is what the trial declared when it was judged: its arms in order, measures, fault.
    """

    paper: str
    claim: str
    trial: str
    version: int
    scale: str
    mode: str
    machine: str
    verdict: str
    reason: str
    intervals: dict[str, Any]
    seeds: list[int]
    declaration: dict[str, Any] = field(default_factory=dict)
    decided: datetime


@dataclass(frozen=True, kw_only=True)
class StoredPaper:
    """A paper: `published` is an ISO date, `summaries` maps a language to a text.

    `facts` may hold lists of words named `needs` and `verdicts`, by which a search can be narrowed.
    """

    id: str
    title: str
    authors: tuple[str, ...] = ()
    published: str | None = None
    family: str | None = None
    summaries: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StoredClaim:
    """A statement of a paper; `data` holds the figure the paper prints, its setting and its scope."""

    paper: str
    id: str
    text: str
    data: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StoredEntry:
    """One paper's place in one digest; `paper` is None where the link names no paper."""

    position: int
    paper: str | None
    title: str
    votes: int | None
    authors: tuple[str, ...]
    sections: Any


@dataclass(frozen=True, kw_only=True)
class StoredDigest:
    """A digest as it was read: `id` is the hash of its date and text, `entries` in their order."""

    id: str
    date: str | None
    source: str
    text: str
    added: datetime
    entries: tuple[StoredEntry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A paper that a search found: a greater `score` is a better match, `snippet` is plain text."""

    id: str
    title: str
    family: str | None
    published: str | None
    snippet: str
    score: float


def run_id(
    trial: str, version: int, arm: str, seed: int, scale: str, mode: str, machine: str, attempt: int
) -> str:
    """Name a run by what it is: 16 hexadecimal digits, the same on every machine and in every process."""
    parts = json.dumps([trial, int(version), arm, int(seed), scale, mode, machine, int(attempt)])
    return hashlib.blake2b(parts.encode(), digest_size=8).hexdigest()
