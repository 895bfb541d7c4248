"""What is to be run: trials, their arms and seeds, what is there already, and what fits the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sillok.papers import Card, Claim
from sillok.record import Record, StoredRun, StoredVerdict, run_id
from sillok.verify import needs
from sillok.verify.contract import PEER_SEEDS
from sillok.verify.pool import Job

_SECONDS_PER_MINUTE = 60.0
_LIMIT_FACTOR = 3.0  # a run may take three times what all runs together should: slow machines finish too
_LEAST_LIMIT = 60.0


@dataclass(frozen=True)
class Setting:
    """How a verification is asked for."""

    scale: str = "here"
    mode: str = "trial"
    device: str = "cpu"
    machine: str = ""
    again: bool = False


@dataclass
class RunSpec:
    """One run to be made: its place in the table, and what the body is told."""

    label: str
    arm: str
    seed: int
    fault: bool
    mode: str
    attempt: int

    def wire(self) -> dict[str, Any]:
        return {"label": self.label, "arm": self.arm, "seed": self.seed, "fault": self.fault}


@dataclass
class ClaimPlan:
    """One claim in a verification: its trial's declaration, what is to be run, and how long that may take.

    ``blocked`` is (verdict, reason) where nothing can be run: "out of reach" or "failed".
    """

    card: Card
    claim: Claim
    setting: Setting
    trial: dict[str, Any] = field(default_factory=dict)
    todo: list[list[RunSpec]] = field(default_factory=list)
    finished: list[StoredRun] = field(default_factory=list)
    seconds: float = 0.0
    blocked: tuple[str, str] | None = None
    left_out: bool = False
    verdict: StoredVerdict | None = None

    @property
    def name(self) -> str:
        return f"{self.card.id}/{self.claim.id}"

    @property
    def judged(self) -> list[str]:
        """Arms that this mode runs and the rule sees."""
        return [arm for arm in self.trial["arms"] if arm not in self.trial["peers"]]

    def jobs(self) -> list[Job]:
        """The errands, seed by seed, so that pairs are complete early."""
        minutes = self.trial["minutes"][self.setting.scale]
        limit = max(_LEAST_LIMIT, minutes * _SECONDS_PER_MINUTE * _LIMIT_FACTOR)
        return [
            Job(
                key=self.card.install,
                seconds=limit,
                memory_gb=self.trial["memory_gb"],
                cores=self.trial["cores"],
                alone=self.trial["interleave"] is not None,
                context=(self, group),
                message={
                    "op": "run",
                    "trial": self.trial["name"],
                    "scale": self.setting.scale,
                    "device": self.setting.device,
                    "memory_gb": self.trial["memory_gb"],
                    "threads": self.trial["cores"],
                    "runs": [spec.wire() for spec in group],
                },
            )
            for group in self.todo
        ]


def block(plan: ClaimPlan) -> bool:
    """Set ``plan.blocked`` where the declaration shows that nothing can be run; whether it was set."""
    scale = plan.setting.scale
    trial = plan.trial
    if plan.blocked is None and scale not in trial["minutes"]:
        plan.blocked = (
            "out of reach",
            f"the trial has no scale {scale!r}, only {', '.join(trial['minutes'])}",
        )
    if plan.blocked is None:
        wanted = trial["needs"][scale]
        try:
            lacking = needs.lacking(wanted)
        except ValueError as error:
            plan.blocked = ("failed", str(error))
            return True
        if "gpu" in wanted and plan.setting.device == "cpu" and not lacking:
            lacking = ["needs a CUDA GPU, and was asked to stay on the CPU"]
        if lacking:
            plan.blocked = ("out of reach", "; ".join(lacking))
    return plan.blocked is not None


def fill(plan: ClaimPlan, record: Record) -> None:
    """Find the runs that are there already, list those that are not, and estimate their time."""
    setting, trial = plan.setting, plan.trial
    stored = _latest(record.runs(trial=trial["name"], version=trial["version"], with_logs=False), setting)
    for seed in range(trial["seeds"][setting.scale]):
        group, there = [], []
        for arm in _arms(plan, seed):
            mode = _mode(plan, arm)
            old = stored.get((mode, arm, seed))
            if old is not None:
                there.append(old)
            if old is None or setting.again:
                group.append(_spec(plan, arm, seed, old.attempt + 1 if old else 1))
        if trial["interleave"] is not None and group:
            # Timed arms stand or fall together: a seed is measured whole, in one process.
            attempt = max((run.attempt for run in there), default=0) + 1
            plan.todo.append([_spec(plan, arm, seed, attempt) for arm in _arms(plan, seed)])
            continue
        plan.todo += [[spec] for spec in group]
        plan.finished += [] if setting.again else there
    plan.seconds = _estimate(plan, stored.values())


def _arms(plan: ClaimPlan, seed: int) -> list[str]:
    """The arms that this mode runs under a seed: peers only in the trial proper, under the first seeds."""
    peers = plan.setting.mode == "trial" and seed < PEER_SEEDS
    return [arm for arm in plan.trial["arms"] if peers or arm not in plan.trial["peers"]]


def _mode(plan: ClaimPlan, arm: str) -> str:
    """The mode under which an arm is stored: placebo and fault share the baseline of the trial proper.

    Not so where arms are interleaved: what was timed together is compared together.
    """
    shared = plan.trial["interleave"] is None and arm == plan.trial["arms"][0]
    return "trial" if shared else plan.setting.mode


def _spec(plan: ClaimPlan, arm: str, seed: int, attempt: int) -> RunSpec:
    baseline = plan.trial["arms"][0]
    mode = plan.setting.mode
    return RunSpec(
        label=arm,
        arm=baseline if mode == "placebo" else arm,
        seed=seed,
        fault=mode == "fault" and arm != baseline,
        mode=_mode(plan, arm),
        attempt=attempt,
    )


def _latest(runs: Iterable[StoredRun], setting: Setting) -> dict[tuple[str, str, int], StoredRun]:
    """The newest attempt of each run of this scale and machine."""
    latest: dict[tuple[str, str, int], StoredRun] = {}
    for run in runs:
        if run.scale != setting.scale or (setting.machine and run.machine != setting.machine):
            continue
        key = (run.mode, run.arm, run.seed)
        if key not in latest or run.attempt > latest[key].attempt:
            latest[key] = run
    return latest


def _estimate(plan: ClaimPlan, stored: Iterable[StoredRun]) -> float:
    """Seconds for what is to be run: as earlier runs took, else as the trial declares."""
    trial, scale = plan.trial, plan.setting.scale
    took: dict[str, list[float]] = {}
    for run in stored:
        if run.state == "done":
            took.setdefault(run.arm, []).append(run.seconds)
    declared = (
        trial["minutes"][scale] * _SECONDS_PER_MINUTE / (len(trial["arms"]) * max(1, trial["seeds"][scale]))
    )
    return sum(
        sum(took[spec.arm]) / len(took[spec.arm]) if spec.arm in took else declared
        for group in plan.todo
        for spec in group
    )


def within(plans: Sequence[ClaimPlan], minutes: float | None, cores: int) -> list[ClaimPlan]:
    """Plans that can be run, cheapest first; those beyond the budget are marked ``left_out``.

    The estimate of a claim is its runs' seconds over the number of runs that fit the cores at once.
    """
    ready = sorted((p for p in plans if p.blocked is None), key=lambda p: wall_seconds(p, cores))
    spent = 0.0
    chosen = []
    for plan in ready:
        cost = wall_seconds(plan, cores)
        if minutes is not None and spent + cost > minutes * _SECONDS_PER_MINUTE:
            plan.left_out = True
            continue
        spent += cost
        chosen.append(plan)
    return chosen


def wall_seconds(plan: ClaimPlan, cores: int) -> float:
    """Estimated seconds on ``cores`` cores."""
    if not plan.todo:
        return 0.0
    alone = plan.trial["interleave"] is not None
    at_once = 1 if alone else max(1, min(len(plan.todo), cores // max(1, plan.trial["cores"])))
    return plan.seconds / at_once


def stored_run(
    spec: RunSpec, plan: ClaimPlan, result: Mapping[str, Any], answer: Mapping[str, Any], log: str
) -> StoredRun:
    """The event that a run becomes when it ends: ``result`` is its own, ``answer`` what its worker said."""
    trial, scale = plan.trial, plan.setting.scale
    machine = answer["machine"]["id"]
    measures = result.get("measures", {})
    key = (trial["name"], trial["version"], spec.label, spec.seed, scale, spec.mode, machine, spec.attempt)
    return StoredRun(
        id=run_id(*key),
        paper=plan.card.id,
        claim=plan.claim.id,
        trial=trial["name"],
        version=trial["version"],
        arm=spec.label,
        seed=spec.seed,
        scale=scale,
        mode=spec.mode,
        state=result["state"],
        attempt=spec.attempt,
        measures=measures,
        units={metric: trial["measures"][metric]["unit"] for metric in measures},
        curves=result.get("curves", []),
        fingerprint=answer["fingerprint"],
        reason=result.get("reason"),
        log=log,
        started=datetime.fromisoformat(result["started"]),
        seconds=result["seconds"],
        machine=machine,
    )
