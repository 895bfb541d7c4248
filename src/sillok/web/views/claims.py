"""A claim beside what was measured of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from pydantic import ValidationError

from sillok.papers import Card, Claim
from sillok.record import StoredRun
from sillok.record.lists import RunRow
from sillok.verify import report, tables, view
from sillok.web.address import chart_url, picture_url
from sillok.web.models import (
    Arm,
    Chart,
    ClaimView,
    Control,
    Interval,
    Lang,
    MachineRef,
    Measured,
    Metric,
    Picture,
    Printed,
    RunRef,
)
from sillok.web.shelf import Shelf
from sillok.web.views import marks

MOST_RESULTS = 8  # machines and scales of one claim that its page shows
MOST_RUNS = 2000  # runs of one paper that are looked at, the newest
CHART_WIDTH = 300

Key = tuple[str, str, bool]


def found(shelf: Shelf, paper: str, *, runs: bool = True) -> list[view.Result]:
    """Every result of a paper, of all modes, with its runs or without."""
    return view.of_paper(paper, shelf.record, ("trial", "placebo", "fault"), MOST_RUNS if runs else 0)


def of_paper(
    shelf: Shelf, paper: str, card: Card | None, lang: Lang, *, detail: bool = True
) -> list[ClaimView]:
    """The claims of a paper with their results: those of its card, else of the record, else of its verdicts.

    Without detail the results come without seeds, charts and runs, as a comparison shows them.
    """
    results = found(shelf, paper, runs=detail)
    claims = list(card.claims) if card else _stored(shelf, paper)
    known = {claim.id for claim in claims}
    for result in results:
        if result.verdict.claim not in known:
            known.add(result.verdict.claim)
            title = str(result.verdict.declaration.get("title") or result.verdict.claim)
            claims.append(Claim.model_construct(id=result.verdict.claim, text=title))
    return [_claim(shelf, paper, claim, results, lang, detail) for claim in claims]


def _stored(shelf: Shelf, paper: str) -> list[Claim]:
    """The claims that the record has of a paper without a card."""
    claims = []
    for stored in shelf.record.claims(paper):
        data = {name: stored.data[name] for name in Claim.model_fields if name in stored.data}
        try:
            claims.append(Claim.model_validate(data | {"id": stored.id, "text": stored.text}))
        except ValidationError:  # somebody else's claim: its words are shown, and what is more is left out
            claims.append(Claim.model_construct(id=stored.id, text=stored.text))
    return claims


def _claim(
    shelf: Shelf, paper: str, claim: Claim, results: Sequence[view.Result], lang: Lang, detail: bool
) -> ClaimView:
    text, spoken = marks.words(claim, lang)
    mine = [result for result in results if result.verdict.claim == claim.id]
    trials = view.arranged(result for result in mine if result.verdict.mode == "trial")
    controls = _controls(mine)
    shown = [measured(one, controls.get(_key(one), []), detail) for one in trials[:MOST_RESULTS]]
    mark = None
    if shown:
        best = min(shown, key=lambda one: one.scale == "smoke")
        others = [(one.verdict, one.scale) for one in shown]
        mark = marks.measured(claim.id, best.verdict, best.scale, others)
    elif claim.trial:
        mark = marks.unmeasured(shelf, claim)
    ko = lang == "ko"
    return ClaimView(
        id=claim.id,
        text=text,
        lang=spoken,
        printed=printed(claim),
        trial=claim.trial,
        testbed=claim.testbed,
        scope=(claim.scope_ko if ko else None) or claim.scope or "",
        finding=(claim.finding_ko if ko else None) or claim.finding or "",
        command=f"sillok verify {paper}/{claim.id}" if claim.trial else None,
        mark=mark,
        results=shown,
        pictures=_pictures(shelf, paper, claim.id),
    )


def printed(claim: Claim) -> Printed:
    """What the paper prints."""
    figure = claim.paper.model_dump()
    return Printed(text=tables.paper_figure({"paper": figure | {"verified": True}}), **figure)


def measured(result: view.Result, controls: list[Control], detail: bool = True) -> Measured:
    """One result, with everything that its verdict stands on."""
    verdict = result.verdict
    return Measured(
        verdict=verdict.verdict,
        reason=verdict.reason,
        scale=verdict.scale,
        machine=MachineRef(id=verdict.machine, name=result.machine.get("name") or verdict.machine),
        shipped=result.shipped,
        decided=verdict.decided.date().isoformat(),
        seeds=verdict.seeds,
        needs=_needs(verdict.declaration, verdict.scale),
        intervals=intervals(verdict.intervals),
        metrics=_metrics(result) if detail else [],
        charts=_charts(result) if detail else [],
        controls=controls,
        fingerprint=dict(result.runs[-1].fingerprint) if result.runs and detail else {},
        runs=[run_ref(run, result.shipped) for run in result.runs] if detail else [],
    )


def intervals(given: Mapping[str, Any]) -> list[Interval]:
    """The intervals of a verdict."""
    return [
        Interval(
            what=what,
            mean=one["mean"],
            low=one["low"],
            high=one["high"],
            level=one.get("level"),
            inverse=tables.inverse(what, one["mean"]),
        )
        for what, one in given.items()
        if isinstance(one, dict) and {"mean", "low", "high"} <= one.keys()
    ]


def run_ref(run: StoredRun | RunRow, shipped: bool) -> RunRef:
    """A run in a list."""
    return RunRef(
        id=run.id,
        paper=run.paper,
        claim=run.claim,
        arm=run.arm,
        seed=run.seed,
        scale=run.scale,
        mode=run.mode,
        state=run.state,
        started=run.started.isoformat(timespec="seconds"),
        seconds=run.seconds,
        machine=run.machine,
        shipped=shipped,
    )


def _needs(declaration: Mapping[str, Any], scale: str) -> list[str]:
    declared = declaration.get("needs")
    return list(declared.get(scale, ())) if isinstance(declared, dict) else []


def _key(result: view.Result) -> Key:
    return (result.verdict.machine, result.verdict.scale, result.shipped)


def _controls(results: Iterable[view.Result]) -> dict[Key, list[Control]]:
    """Placebo and fault of each machine and scale."""
    held: dict[Key, list[Control]] = {}
    modes: tuple[Literal["placebo", "fault"], ...] = ("placebo", "fault")
    kept = list(results)
    for mode in modes:
        for result in view.arranged(one for one in kept if one.verdict.mode == mode):
            verdict = result.verdict
            control = Control(
                mode=mode,
                verdict=verdict.verdict,
                reason=verdict.reason,
                fault=str(verdict.declaration.get("fault") or "") if mode == "fault" else "",
                passed=verdict.verdict != "upheld",
            )
            held.setdefault(_key(result), []).append(control)
    return held


def _metrics(result: view.Result) -> list[Metric]:
    """Every metric with every arm at every seed; those that the verdict stands on come first."""
    declared = result.verdict.declaration
    measures: dict[str, Any] = declared.get("measures") or {}
    peers = set(declared.get("peers") or ())
    order = declared.get("arms") or list(dict.fromkeys(run.arm for run in result.runs))
    seeds = sorted({run.seed for run in result.runs})
    at = {(run.arm, run.seed): run.measures for run in result.runs}
    names = dict.fromkeys(name for run in result.runs for name in run.measures)
    units = {name: unit for run in result.runs for name, unit in run.units.items()}
    found = []
    for name in sorted(names, key=lambda name: not judged(name, result)):
        arms = []
        for number, arm in enumerate(order):
            values = [at.get((arm, seed), {}).get(name) for seed in seeds]
            there = [value for value in values if value is not None]
            if there:
                role: Literal["baseline", "method", "peer"]
                role = "peer" if arm in peers else "method" if number else "baseline"
                arms.append(Arm(name=arm, role=role, mean=fmean(there), values=values))
        said = measures.get(name) or {}
        found.append(
            Metric(
                name=name,
                unit=units.get(name, ""),
                text=str(said.get("text") or ""),
                better=said.get("better"),
                judged=judged(name, result),
                seeds=seeds,
                arms=arms,
            )
        )
    return found


def judged(metric: str, result: view.Result) -> bool:
    """Whether a verdict stands on a metric: whether one of its intervals names it."""
    return any(re.search(rf"\b{re.escape(metric)}\b", what) for what in result.verdict.intervals)


def _charts(result: view.Result) -> list[Chart]:
    """The charts' addresses, of what the verdict stands on first; nothing is drawn yet."""
    verdict = result.verdict
    stamp = version(result)
    means = {metric.name: metric for metric in _metrics(result)}
    charts = []
    for number, drawing in enumerate(report.drawings(result)):
        points = drawing.kind == "points"
        metric = means.get(drawing.name)
        if points and metric:
            said = "; ".join(f"{arm.name} {tables.number(arm.mean)}" for arm in metric.arms)
            alt = f"{drawing.name}{f' ({metric.unit})' if metric.unit else ''}, every seed a point; means: {said}"
        else:
            alt = f"{drawing.name}: a line for each arm and seed"
        first = points and judged(drawing.name, result)
        chart = Chart(
            name=drawing.name,
            url=chart_url(verdict, result.shipped, number, stamp),
            alt=alt,
            width=CHART_WIDTH,
            height=26 * drawing.rows + 44 if points else 250,
        )
        charts.append((0 if first else 2 if points else 1, number, chart))
    return [chart for _, _, chart in sorted(charts, key=lambda one: one[:2])]


def version(result: view.Result) -> str:
    """What changes with the runs that a chart shows."""
    parts = "".join(run.id for run in result.runs) + result.verdict.decided.isoformat()
    return hashlib.blake2b(parts.encode(), digest_size=5).hexdigest()


def _pictures(shelf: Shelf, paper: str, claim: str) -> list[Picture]:
    prefix = f"{paper.replace('/', '_')}-{claim}-"
    return [
        Picture(url=picture_url(file), name=one.name, caption=one.caption, width=one.width, height=one.height)
        for file, one in shelf.pictures.items()
        if file.startswith(prefix)
    ]
