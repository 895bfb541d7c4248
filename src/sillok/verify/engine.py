"""From claims to verdicts: describe, plan, run, store, judge."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Protocol

from sillok.papers import Card, Claim
from sillok.record import Machine, Record, StoredRun, StoredVerdict
from sillok.verify import fingerprint, needs
from sillok.verify.plan import ClaimPlan, RunSpec, Setting, block, fill, stored_run, within
from sillok.verify.pool import Answer, Executor, Job

_DESCRIBE_SECONDS = 120.0
_HEED_SECONDS = 0.5  # how soon Ctrl-C or a wish to stop is noticed, everywhere


class StoppedError(RuntimeError):
    """A verification that was asked to stop: what had ended is in the record, what was going on is not."""


class Reporter(Protocol):
    """What is told while a verification goes on."""

    def planned(self, chosen: Sequence[ClaimPlan], left_out: Sequence[ClaimPlan]) -> None: ...

    def started(self, job: Job) -> None: ...

    def progress(self, job: Job, share: float) -> None: ...

    def finished(self, plan: ClaimPlan, run: StoredRun) -> None: ...

    def decided(self, plan: ClaimPlan, verdict: StoredVerdict) -> None: ...


class Quiet:
    """A reporter that says nothing."""

    def planned(self, chosen: Sequence[ClaimPlan], left_out: Sequence[ClaimPlan]) -> None:
        return None

    def started(self, job: Job) -> None:
        return None

    def progress(self, job: Job, share: float) -> None:
        return None

    def finished(self, plan: ClaimPlan, run: StoredRun) -> None:
        return None

    def decided(self, plan: ClaimPlan, verdict: StoredVerdict) -> None:
        return None


class Engine:
    """Runs the trials of claims and stores what comes out.

    Once ``stop`` is set, `verify` raises StoppedError within a second; close the executor then.
    """

    def __init__(
        self,
        record: Record,
        executor: Executor,
        reporter: Reporter,
        setting: Setting,
        stop: threading.Event | None = None,
    ):
        self.record, self.executor, self.reporter, self.setting = record, executor, reporter, setting
        self._stop = stop or threading.Event()

    def verify(self, claims: Iterable[tuple[Card, Claim]], minutes: float | None = None) -> list[ClaimPlan]:
        """Measure claims within a budget of minutes; the plans that come back hold all runs.

        Verdicts are in the record. Plans that did not fit the budget are marked ``left_out``.
        """
        self._heed()
        machine = fingerprint.machine(self.setting.device)
        self.record.add_machine(Machine(id=machine["id"], data=machine))
        plans = [ClaimPlan(card, claim, self.setting) for card, claim in claims]
        self._describe(plans)
        for plan in plans:
            if not (plan.blocked or block(plan)):
                fill(plan, self.record)
        chosen = within(plans, minutes, self.executor.cores)
        self.reporter.planned(chosen, [plan for plan in plans if plan.left_out])
        for plan in plans:
            if plan.blocked:
                self._decide(plan, *plan.blocked)
        self._run(chosen)
        return plans

    def _describe(self, plans: Sequence[ClaimPlan]) -> None:
        """Ask a worker for each trial's declaration; a trial that does not import blocks its claim alone."""
        waiting: list[tuple[ClaimPlan, Future[Answer]]] = []
        for plan in plans:
            if plan.claim.trial is None:
                plan.blocked = ("out of reach", "no trial measures this claim yet")
                continue
            extra = plan.card.install
            lacking = needs.missing_packages(extra)
            if lacking:
                text = f"needs {', '.join(lacking)}: {needs.install_line(extra)}"
                plan.blocked = ("out of reach", text)
                continue
            message = {"op": "describe", "trial": plan.claim.trial}
            job = Job(key=extra, message=message, seconds=_DESCRIBE_SECONDS)
            waiting.append((plan, self.executor.submit(job, lambda share: None)))
        for plan, future in waiting:
            answer = self._await(future)
            if answer.reason is not None:
                plan.blocked = ("failed", answer.reason)
                continue
            plan.trial = answer.result
            if (plan.trial["paper"], plan.trial["claim"]) != (plan.card.id, plan.claim.id):
                named = f"{plan.trial['paper']}/{plan.trial['claim']}"
                plan.blocked = ("failed", f"trial {plan.claim.trial} measures {named}, not {plan.name}")

    def _run(self, plans: Sequence[ClaimPlan]) -> None:
        waiting = [job for plan in plans for job in plan.jobs()]
        for plan in plans:
            if not plan.todo:
                self._judge(plan)
        events: queue.Queue[tuple[Job, Answer | float]] = queue.Queue()
        running: dict[int, int] = {}  # job -> cores it holds
        while waiting or running:
            self._heed()
            while waiting:
                cost = self.executor.cores if waiting[0].alone else min(waiting[0].cores, self.executor.cores)
                if running and sum(running.values()) + cost > self.executor.cores:
                    break
                self._submit(waiting[0], events)
                running[id(waiting.pop(0))] = cost
            try:
                job, message = events.get(timeout=_HEED_SECONDS)
            except queue.Empty:
                continue
            if isinstance(message, float):
                self.reporter.progress(job, message)
                continue
            del running[id(job)]
            self._finish(job, message)

    def _heed(self) -> None:
        if self._stop.is_set():
            raise StoppedError("stopped")

    def _await(self, future: Future[Answer]) -> Answer:
        """A future's answer, unless a wish to stop comes first."""
        while True:
            self._heed()
            try:
                return future.result(timeout=_HEED_SECONDS)
            except TimeoutError:
                if future.done():
                    return future.result()

    def _submit(self, job: Job, events: queue.Queue[tuple[Job, Answer | float]]) -> None:
        self.reporter.started(job)
        future = self.executor.submit(job, lambda share: events.put((job, float(share))))

        def settle(done: Future[Answer]) -> None:
            error = done.exception()
            failed = Answer(reason=f"{type(error).__name__}: {error}")
            events.put((job, done.result() if error is None else failed))

        future.add_done_callback(settle)

    def _finish(self, job: Job, answer: Answer) -> None:
        plan: ClaimPlan
        group: list[RunSpec]
        plan, group = job.context
        said = answer.result or {
            "fingerprint": fingerprint.versions(self.setting.device, plan.trial["cores"]),
            "machine": fingerprint.machine(self.setting.device),
        }
        machine = Machine(id=said["machine"]["id"], data=said["machine"])
        for number, spec in enumerate(group):
            if answer.reason is None:
                result = answer.result["runs"][number]
            else:
                result = {
                    "state": "failed",
                    "reason": answer.reason,
                    "started": datetime.now(UTC).isoformat(),
                    "seconds": answer.seconds / len(group),
                }
            run = stored_run(spec, plan, result, said, answer.log)
            self.record.add_run(run, machine)
            plan.finished.append(run)
            self.reporter.finished(plan, run)
        plan.todo.remove(group)
        if not plan.todo:
            self._judge(plan)

    def _judge(self, plan: ClaimPlan) -> None:
        judged = set(plan.judged)
        failed = [run for run in plan.finished if run.state == "failed" and run.arm in judged]
        if failed:
            first = failed[0]
            count = f"{len(failed)} of {sum(run.arm in judged for run in plan.finished)} runs failed"
            self._decide(plan, "failed", f"{count}; arm {first.arm}, seed {first.seed}: {first.reason}")
            return
        table: dict[str, dict[int, dict[str, float]]] = {}
        for run in plan.finished:
            table.setdefault(run.arm, {})[run.seed] = run.measures
        message = {"op": "judge", "trial": plan.trial["name"], "scale": self.setting.scale, "table": table}
        job = Job(key=plan.card.install, message=message, seconds=_DESCRIBE_SECONDS)
        answer = self._await(self.executor.submit(job, lambda share: None))
        if answer.reason is not None:
            self._decide(plan, "failed", answer.reason)
            return
        self._decide(
            plan, answer.result["verdict"], answer.result["reason"], answer.result.get("intervals", {})
        )

    def _decide(
        self,
        plan: ClaimPlan,
        verdict: str,
        reason: str,
        intervals: dict[str, dict[str, float]] | None = None,
    ) -> None:
        machines = {run.machine for run in plan.finished} or {fingerprint.machine(self.setting.device)["id"]}
        decided = StoredVerdict(
            paper=plan.card.id,
            claim=plan.claim.id,
            trial=plan.claim.trial or "",
            version=plan.trial.get("version", 0),
            scale=self.setting.scale,
            mode=self.setting.mode,
            machine="+".join(sorted(machines)),
            verdict=verdict,
            reason=reason,
            intervals=intervals or {},
            seeds=sorted({run.seed for run in plan.finished}),
            declaration=plan.trial,
            decided=datetime.now(UTC),
        )
        self.record.add_verdict(decided)
        plan.verdict = decided
        self.reporter.decided(plan, decided)
