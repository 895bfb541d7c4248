"""What the pages show, as typed objects: the views give them, the API prints them, the templates read them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Lang = Literal["en", "ko"]


class Shape(BaseModel):
    """A frozen object of the API."""

    model_config = ConfigDict(frozen=True)


class Interval(Shape):
    """A measured comparison over seeds: mean and bounds; `inverse` is a small ratio the other way round."""

    what: str
    mean: float
    low: float
    high: float
    level: float | None = None
    inverse: str = ""


class Printed(Shape):
    """What the paper prints, not measured by anybody here; `text` says it in one line."""

    text: str
    value: float | None = None
    unit: str | None = None
    baseline: str | None = None
    dataset: str | None = None
    hardware: str | None = None
    where: str | None = None
    verified: bool = False


class Arm(Shape):
    """One arm under one metric: its value at each seed of `Metric.seeds` (None where a seed has none)."""

    name: str
    role: Literal["baseline", "method", "peer"]
    mean: float
    values: list[float | None]


class Metric(Shape):
    """One measured quantity; `judged` where the verdict stands on it."""

    name: str
    unit: str
    text: str
    better: str | None
    judged: bool
    seeds: list[int]
    arms: list[Arm]


class Chart(Shape):
    """A chart's address, and what it shows in words."""

    name: str
    url: str
    alt: str
    width: int
    height: int


class Control(Shape):
    """A placebo or a planted fault: `passed` where its verdict is as it must be."""

    mode: Literal["placebo", "fault"]
    verdict: str
    reason: str
    fault: str
    passed: bool


class RunRef(Shape):
    """A run in a list."""

    id: str
    paper: str
    claim: str
    arm: str
    seed: int
    scale: str
    mode: str
    state: str
    started: str
    seconds: float
    machine: str
    shipped: bool


class MachineRef(Shape):
    """A machine by name."""

    id: str
    name: str


class Measured(Shape):
    """One result of a claim: the verdict at one scale on one machine, and what it stands on."""

    verdict: str
    reason: str
    scale: str
    machine: MachineRef
    shipped: bool
    decided: str
    seeds: list[int]
    needs: list[str]
    intervals: list[Interval]
    metrics: list[Metric]
    charts: list[Chart]
    controls: list[Control]
    fingerprint: dict[str, Any]
    runs: list[RunRef]


class Mark(Shape):
    """At a glance: a claim's verdict, else ("open") that it can be measured, or ("blocked") what it needs first.

    `elsewhere` has the other verdicts that the claim came to, on other machines or in what the project ships.
    """

    claim: str
    state: Literal["measured", "open", "blocked"]
    verdict: str | None = None
    scale: str | None = None
    elsewhere: list[str] = []
    needs: list[str] = []


class Picture(Shape):
    """A picture of what a trial made."""

    url: str
    name: str
    caption: str
    width: int
    height: int


class ClaimView(Shape):
    """A claim: what the paper prints, what was measured here, and how to repeat it."""

    id: str
    text: str
    lang: Lang
    printed: Printed
    trial: str | None
    testbed: str | None
    scope: str
    finding: str
    command: str | None
    mark: Mark | None
    results: list[Measured]
    pictures: list[Picture]


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
