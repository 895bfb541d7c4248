"""A paper with what was measured of it, as plain data: the same for the terminal, the report and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sillok.papers import Card, Claim
from sillok.record import Record, StoredRun, StoredVerdict
from sillok.verify import fingerprint, results
from sillok.verify.plan import ClaimPlan

_SCALES = {"full": 0, "here": 1, "smoke": 2}


@dataclass(frozen=True)
class Result:
    """A verdict, the runs that it stands on, the machine, and whether the project shipped them."""

    verdict: StoredVerdict
    runs: tuple[StoredRun, ...]
    machine: dict[str, Any]
    shipped: bool

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Smaller is shown first: the reader's own machine, then the record, then the larger scale."""
        own = self.machine.get("id", "").partition("-")[0] == fingerprint.machine()["id"]
        return (self.shipped, not own, _SCALES.get(self.verdict.scale, 3))


def latest_runs(runs: Iterable[StoredRun], verdict: StoredVerdict) -> tuple[StoredRun, ...]:
    """The newest attempt of each run that a verdict stands on, in the order of arms and seeds.

    A placebo and a fault borrow the baseline's runs from the trial proper, unless arms were interleaved.
    """
    arms = list(verdict.declaration.get("arms", ()))
    machines = set(verdict.machine.split("+"))
    chosen: dict[tuple[str, int], StoredRun] = {}
    for run in runs:
        same = (run.paper, run.claim, run.version, run.scale) == (
            verdict.paper,
            verdict.claim,
            verdict.version,
            verdict.scale,
        )
        borrowed = run.mode == "trial" and run.arm == (arms or [""])[0]
        borrowed &= verdict.declaration.get("interleave") is None
        if not same or run.machine not in machines or not (run.mode == verdict.mode or borrowed):
            continue
        old = chosen.get((run.arm, run.seed))
        if old is None or run.attempt > old.attempt:
            chosen[run.arm, run.seed] = run
    order = {arm: number for number, arm in enumerate(arms)}
    return tuple(sorted(chosen.values(), key=lambda run: (order.get(run.arm, len(order)), run.seed)))


def gather(card: Card, record: Record | None, mode: str = "trial") -> dict[str, list[Result]]:
    """Claim id -> results, the one to show first at the head."""
    found: dict[str, list[Result]] = {claim.id: [] for claim in card.claims}
    for result in of_paper(card.id, record, (mode,)):
        if result.verdict.claim in found:
            found[result.verdict.claim].append(result)
    return {claim: arranged(items) for claim, items in found.items()}


def of_paper(paper: str, record: Record | None, modes: Sequence[str], most: int = 10_000) -> list[Result]:
    """Every result of a paper, the record's before those that the project ships; runs come without their logs.

    Of the record's runs the newest `most` are looked at; with 0 results come without runs.
    """
    found: list[Result] = []
    if record is not None and (verdicts := record.verdicts(paper=paper)):
        runs = record.runs(paper=paper, limit=most, with_logs=False) if most else []
        named = {id for verdict in verdicts for id in verdict.machine.split("+")}
        machines = {id: machine.data for id in named if (machine := record.machine(id)) is not None}
        found += [_result(v, runs, machines, shipped=False) for v in verdicts if v.mode in modes]
    shipped = results.of_paper(paper)
    found += [
        _result(v, shipped.runs if most else (), shipped.machines, shipped=True)
        for v in shipped.verdicts
        if v.mode in modes
    ]
    return found


def _result(
    verdict: StoredVerdict,
    runs: Sequence[StoredRun],
    machines: Mapping[str, dict[str, Any]],
    *,
    shipped: bool,
) -> Result:
    machine = machines.get(verdict.machine.split("+")[0], {"id": verdict.machine, "name": verdict.machine})
    return Result(verdict, latest_runs(runs, verdict), machine, shipped)


def arranged(items: Iterable[Result]) -> list[Result]:
    """The newest result of each machine and scale, the one to show first at the head."""
    newest: dict[tuple[str, str, bool], Result] = {}
    for item in items:  # the record and the files give the newest first
        newest.setdefault((item.verdict.machine, item.verdict.scale, item.shipped), item)
    return sorted(newest.values(), key=lambda result: result.rank)


def of_plan(plan: ClaimPlan, record: Record) -> list[Result]:
    """The result of a claim that was just verified; none where it was left out."""
    if plan.verdict is None:
        return []
    machine = record.machine(plan.verdict.machine.split("+")[0])
    data = machine.data if machine else {"id": plan.verdict.machine}
    return [Result(plan.verdict, latest_runs(plan.finished, plan.verdict), data, False)]


def measurements(result: Result) -> list[dict[str, Any]]:
    """One row a run and metric: arm, seed, metric, value, unit."""
    return [
        {
            "arm": run.arm,
            "seed": run.seed,
            "metric": metric,
            "value": value,
            "unit": run.units.get(metric, ""),
        }
        for run in result.runs
        for metric, value in run.measures.items()
    ]


def claim_view(claim: Claim, found: Sequence[Result]) -> dict[str, Any]:
    """One claim as data; ``found[0]`` is the result that is shown, the rest stand under ``elsewhere``."""
    view: dict[str, Any] = {
        "id": claim.id,
        "text": claim.text,
        "paper": claim.paper.model_dump(mode="json"),
        "trial": claim.trial,
        "scope": claim.scope,
        "finding": claim.finding,
        "verdict": None,
        "measurements": [],
        "machine": None,
    }
    if not found:
        return view
    shown = found[0]
    verdict = shown.verdict
    return view | {
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "scale": verdict.scale,
        "mode": verdict.mode,
        "intervals": verdict.intervals,
        "seeds": verdict.seeds,
        "measurements": measurements(shown),
        "machine": shown.machine,
        "fingerprint": shown.runs[-1].fingerprint if shown.runs else {},
        "decided": verdict.decided.isoformat(),
        "shipped": shown.shipped,
        "elsewhere": [
            {
                "verdict": r.verdict.verdict,
                "scale": r.verdict.scale,
                "machine": r.machine.get("name", r.machine.get("id")),
                "shipped": r.shipped,
            }
            for r in found[1:]
        ],
    }


def paper_view(
    card: Card, found: dict[str, list[Result]], only: Iterable[str] | None = None
) -> dict[str, Any]:
    """A paper as data, with the claims named in ``only`` (default: all)."""
    wanted = set(only) if only is not None else None
    return {
        "id": card.id,
        "title": card.title,
        "family": card.family,
        "methods": list(card.methods),
        "claims": [
            claim_view(claim, found.get(claim.id, []))
            for claim in card.claims
            if wanted is None or claim.id in wanted
        ],
    }


def row(card: Card, data: dict[str, Any]) -> dict[str, Any]:
    """A paper in a list: what it is, what Sillok has for it, and its verdicts by claim."""
    return {
        "id": card.id,
        "title": card.title,
        "family": card.family,
        "published": str(card.published),
        "digests": [mention.model_dump(mode="json") for mention in card.digests],
        "method": bool(card.methods),
        "trials": [claim.trial for claim in card.claims if claim.trial],
        "verdicts": {claim["id"]: claim["verdict"] for claim in data["claims"]},
    }


def run_row(run: StoredRun) -> dict[str, Any]:
    """A run in a list."""
    return {
        "run": run.id,
        "paper": run.paper,
        "claim": run.claim,
        "arm": run.arm,
        "seed": run.seed,
        "scale": run.scale,
        "mode": run.mode,
        "state": run.state,
        "seconds": run.seconds,
        "measures": run.measures,
        "reason": run.reason,
        "machine": run.machine,
        "attempt": run.attempt,
        "started": run.started.isoformat(),
    }
