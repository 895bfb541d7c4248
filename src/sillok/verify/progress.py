"""How a verification looks while it goes on: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sillok.record import StoredRun, StoredVerdict
from sillok.verify.engine import Quiet
from sillok.verify.plan import ClaimPlan, wall_seconds
from sillok.verify.pool import Job

COLOURS = {
    "upheld": "green",
    "not upheld": "red",
    "inconclusive": "yellow",
    "out of reach": "blue",
    "failed": "magenta",
}


def label(plan: ClaimPlan) -> str:
    """How a claim is called in a line of progress."""
    mode = "" if plan.setting.mode == "trial" else f" ({plan.setting.mode})"
    return f"{plan.card.id} {plan.claim.id}{mode}"


def duration(seconds: float) -> str:
    """Seconds in words: 45 s, 3.2 min."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


class Plain(Quiet):
    """One line an event, for logs and pipes."""

    def __init__(self, out: TextIO, cores: int = 1):
        self.out, self.cores = out, cores

    def _say(self, text: str) -> None:
        print(text, file=self.out, flush=True)

    def planned(self, chosen: Sequence[ClaimPlan], left_out: Sequence[ClaimPlan]) -> None:
        for plan in chosen:
            runs = sum(len(group) for group in plan.todo)
            there = f", {len(plan.finished)} there already" if plan.finished else ""
            time = duration(wall_seconds(plan, self.cores))
            self._say(f"{label(plan)}: {runs} runs at {plan.setting.scale}{there}, about {time}")
        for plan in left_out:
            time = duration(wall_seconds(plan, self.cores))
            self._say(f"{label(plan)}: left out, about {time} beyond the budget")

    def finished(self, plan: ClaimPlan, run: StoredRun) -> None:
        figures = ", ".join(f"{key}={value:.5g}" for key, value in list(run.measures.items())[:4])
        outcome = figures if run.state == "done" else f"failed: {run.reason}"
        self._say(f"{label(plan)}: {run.arm}, seed {run.seed}, {run.seconds:.1f} s: {outcome}")

    def decided(self, plan: ClaimPlan, verdict: StoredVerdict) -> None:
        self._say(f"{label(plan)}: {verdict.verdict.upper()}: {verdict.reason}")


class Bars(Quiet):
    """A bar a claim, for a person at a terminal."""

    def __init__(self, console: Console, cores: int = 1):
        self.console, self.cores = console, cores
        self._bars: dict[str, TaskID] = {}
        self._shares: dict[int, tuple[str, float]] = {}
        self._done: dict[str, float] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}", style="dim"),
            console=console,
        )

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, chosen: Sequence[ClaimPlan], left_out: Sequence[ClaimPlan]) -> None:
        for plan in chosen:
            there = len(plan.finished)
            total = there + sum(len(group) for group in plan.todo)
            about = duration(wall_seconds(plan, self.cores))
            name = label(plan)
            self._bars[name] = self._progress.add_task(
                name, total=total, completed=there, start=False, now=f"about {about}" if plan.todo else ""
            )
            self._done[name] = there
        for plan in left_out:
            about = duration(wall_seconds(plan, self.cores))
            self.console.print(f"[dim]{label(plan)}: left out, about {about} beyond the budget[/dim]")

    def started(self, job: Job) -> None:
        plan, group = job.context
        self._progress.start_task(self._bars[label(plan)])
        arms = ", ".join(dict.fromkeys(spec.label for spec in group))
        self._progress.update(self._bars[label(plan)], now=f"{arms}, seed {group[0].seed}")

    def progress(self, job: Job, share: float) -> None:
        plan, group = job.context
        self._shares[id(job)] = (label(plan), share * len(group))
        self._draw(label(plan))

    def finished(self, plan: ClaimPlan, run: StoredRun) -> None:
        name = label(plan)
        self._done[name] += 1
        self._shares = {job: item for job, item in self._shares.items() if item[0] != name}
        self._draw(name)
        if run.state == "failed":
            self.console.print(f"[magenta]{name}: {run.arm}, seed {run.seed} failed[/]: {run.reason}")

    def _draw(self, name: str) -> None:
        shown = self._done[name] + sum(share for key, share in self._shares.values() if key == name)
        self._progress.update(self._bars[name], completed=round(shown, 1))

    def decided(self, plan: ClaimPlan, verdict: StoredVerdict) -> None:
        colour = COLOURS[verdict.verdict]
        name = label(plan)
        if name in self._bars:
            self._progress.update(self._bars[name], now=f"[{colour}]{verdict.verdict}[/]")
            self._progress.stop_task(self._bars[name])
        self.console.print(f"{name}: [bold {colour}]{verdict.verdict}[/]", highlight=False)
