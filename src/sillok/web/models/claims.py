"""Claims and what was measured of them, as typed objects."""

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
