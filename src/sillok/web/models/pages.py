"""Papers, digests, lists and pages, as typed objects."""

from __future__ import annotations

from typing import Any, Literal

from sillok.web.models.claims import (
    Chart,
    ClaimView,
    Lang,
    MachineRef,
    Mark,
    Measured,
    Printed,
    RunRef,
    Shape,
)


class Part(Shape):
    """A section of a summary, in Markdown."""

    name: str
    text: str


class Summary(Shape):
    """A summary: Sillok's own, or a digest's words, which nobody has checked here."""

    source: Literal["sillok", "digest"]
    lang: Lang
    parts: list[Part]


class Mention(Shape):
    """Where a digest lists the paper."""

    date: str | None
    digest: str
    votes: int | None


class Reference(Shape):
    """The authors' code."""

    name: str
    url: str | None
    licence: str


class PaperView(Shape):
    """A paper's page."""

    id: str
    title: str
    authors: list[str]
    authors_note: str
    published: str | None
    family: str | None
    url: str
    pdf: str
    kind: str | None
    host: str | None
    methods: list[str]
    install: str | None
    usage: str | None
    reference: Reference | None
    card: bool
    summary: Summary | None
    others: list[Summary]
    claims: list[ClaimView]
    differs: list[str]
    checked: list[str]
    mentions: list[Mention]


class PaperRef(Shape):
    """A paper in a list."""

    id: str
    title: str
    family: str | None
    published: str | None
    marks: list[Mark]
    snippet: str = ""


class EntryView(Shape):
    """A paper's place in a digest; `id` is None where the digest links to no paper."""

    position: int
    id: str | None
    title: str
    votes: int | None
    authors: list[str]
    family: str | None
    card: bool
    marks: list[Mark]
    summary: Summary | None


class DigestRef(Shape):
    """A digest in a list; `name` is what its address ends with."""

    name: str
    date: str | None
    source: str
    entries: int


class DigestView(Shape):
    """A digest's page: the entries from `first` (counted from 1) on."""

    name: str
    date: str | None
    source: str
    read: bool
    total: int
    first: int
    entries: list[EntryView]
    more: int | None
    newer: DigestRef | None
    older: DigestRef | None


class DigestList(Shape):
    """All digests, the newest first, a page of them."""

    digests: list[DigestRef]
    more: str | None


class Found(Shape):
    """A verdict in a list, with its claim in words."""

    paper: str
    title: str
    claim: str
    text: str
    lang: Lang
    mark: Mark
    machine: MachineRef
    decided: str


class Today(Shape):
    """The front page."""

    latest: DigestView | None
    earlier: list[DigestRef]
    measured: list[Found]
    papers: int
    verdicts: dict[str, int]


class FamilyRef(Shape):
    """A family in a list: papers, and how many of them have each verdict."""

    name: str
    papers: int
    verdicts: dict[str, int]


class Families(Shape):
    """All families."""

    families: list[FamilyRef]


class Compared(Shape):
    """A claim in a comparison: what the paper prints, and what came out on each machine."""

    paper: str
    title: str
    claim: str
    text: str
    lang: Lang
    printed: Printed
    results: list[Measured]


class Bench(Shape):
    """Claims measured on the same testbed (None: each on its own)."""

    testbed: str | None
    claims: list[Compared]


class FamilyView(Shape):
    """A family's page."""

    name: str
    papers: int
    verdicts: dict[str, int]
    benches: list[Bench]
    listed: list[PaperRef]
    more: str | None


class MachineView(Shape):
    """A machine: what it is, and how many verdicts of each kind it has."""

    id: str
    name: str
    facts: dict[str, Any]
    verdicts: dict[str, int]


class MachineList(Shape):
    """All machines, and what upheld where: a row a claim, a column a machine."""

    machines: list[MachineView]
    columns: list[MachineRef]
    rows: list[MatrixRow]


class MatrixRow(Shape):
    """A claim in the table of machines: a verdict for each column, None where it was not measured there."""

    paper: str
    title: str
    claim: str
    marks: list[Mark | None]


class MachinePage(Shape):
    """One machine's page: its verdicts, newest first."""

    machine: MachineView
    found: list[Found]
    more: str | None


class RunList(Shape):
    """Runs, newest first."""

    runs: list[RunRef]
    more: str | None


class RunView(Shape):
    """One run's page."""

    run: RunRef
    title: str | None
    trial: str
    version: int
    attempt: int
    reason: str | None
    measures: dict[str, float]
    units: dict[str, str]
    fingerprint: dict[str, Any]
    charts: list[Chart]
    log: str


class SearchView(Shape):
    """What a search found; `more` is the next page where there is one."""

    query: str
    family: str | None
    verdict: str | None
    needs: str | None
    since: str | None
    until: str | None
    page: int
    hits: list[PaperRef]
    more: int | None


class Problem(Shape):
    """Why there is no answer."""

    detail: str


MachineList.model_rebuild()
