"""The queue of verifications that the site starts: one at a time, by the engine of `sillok verify`."""

from __future__ import annotations

import io
import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sillok.papers import Card, Claim
from sillok.record import Record, RecordError, StoredRun, StoredVerdict
from sillok.verify import api, fingerprint, progress, targets
from sillok.verify.engine import Engine, StoppedError
from sillok.verify.plan import ClaimPlan, Setting
from sillok.verify.pool import Job as Errand
from sillok.verify.pool import LocalPool
from sillok.web.work import JobAsk, JobView, Mode, QueueView, Scale, State

MOST = 10  # that wait
KEPT = 40  # that ended and are still shown
_LOG = 24_000  # characters of a log that are shown, the last ones


class QueueError(RuntimeError):
    """The queue takes nothing: it is full, or the server stops."""


@dataclass
class _Job(progress.Plain):
    """A verification, and what the engine tells of it. Written by the queue's thread, read by others."""

    card: Card
    claim: Claim
    scale: Scale
    mode: Mode
    again: bool
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = "waiting"
    asked: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    runs: int = 0
    done: int = 0
    now: str = ""
    verdict: str | None = None
    reason: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    pool: LocalPool | None = None
    tail: str = ""
    shares: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(io.StringIO(), api.default_cores())

    @property
    def key(self) -> tuple[str, str, str, str, bool]:
        return (self.card.id, self.claim.id, self.scale, self.mode, self.again)

    def planned(self, chosen: Sequence[ClaimPlan], left_out: Sequence[ClaimPlan]) -> None:
        super().planned(chosen, left_out)
        self.done = sum(len(plan.finished) for plan in chosen)
        self.runs = self.done + sum(len(group) for plan in chosen for group in plan.todo)

    def started(self, job: Errand) -> None:
        _, group = job.context
        arms = ", ".join(dict.fromkeys(spec.label for spec in group))
        self.shares[id(job)] = 0.0
        self.now = f"{arms}, {group[0].seed}"

    def progress(self, job: Errand, share: float) -> None:
        _, group = job.context
        self.shares[id(job)] = min(1.0, max(0.0, share)) * len(group)

    def finished(self, plan: ClaimPlan, run: StoredRun) -> None:
        super().finished(plan, run)
        self.done += 1
        if len(self.shares) > 1:  # the oldest errand ends first, more or less: a bar needs no more
            self.shares.pop(next(iter(self.shares)))
        else:
            self.shares.clear()

    def decided(self, plan: ClaimPlan, verdict: StoredVerdict) -> None:
        super().decided(plan, verdict)
        self.verdict, self.reason = verdict.verdict, verdict.reason

    def log(self) -> str:
        """What was told so far, and what the worker prints at this moment."""
        pool = self.pool
        printed = pool.printed() if pool is not None else self.tail
        said = self.out.getvalue() if isinstance(self.out, io.StringIO) else ""
        return (said + (f"\n{printed}" if printed.strip() else ""))[-_LOG:]

    def share(self) -> float:
        if self.state == "done":
            return 1.0
        part = sum(list(self.shares.values()))
        return min(0.99, (self.done + part) / self.runs) if self.runs else 0.0


class Queue:
    """Verifications in the order of asking. Its thread is a daemon; `close` stops it and kills the workers."""

    def __init__(self, record: Record, *, cores: int | None = None, most: int = MOST) -> None:
        self.most = most
        self._record, self._cores = record, cores
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="sillok-queue", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether the server stops."""
        return self._closed

    def ask(self, asked: JobAsk) -> JobView:
        """Put a verification at the queue's end; one that waits or runs already is given instead.

        Raises:
            QueueError: too many wait, or the server stops.
            ValueError: there is no such claim, or nothing measures it.
        """
        card, claim = self.claim(asked.paper, asked.claim)
        job = _Job(card, claim, asked.scale, asked.mode, asked.again)
        with self._change:
            if self._closed:
                raise QueueError("the server is stopping")
            for other in self._jobs.values():
                if other.key == job.key and other.state in ("waiting", "running"):
                    return self._view(other)
            if sum(other.state == "waiting" for other in self._jobs.values()) >= self.most:
                raise QueueError(f"{self.most} verifications wait already: try again when some have ended")
            self._jobs[job.id] = job
            self._forget()
            self._change.notify_all()
            return self._view(job)

    def claim(self, paper: str, claim: str) -> tuple[Card, Claim]:
        """The claim that is meant. Raises ValueError where there is none, or no trial."""
        chosen = targets.resolve([f"{paper}/{claim}"]).claims
        if len(chosen) != 1 or not chosen[0][1].trial:
            raise ValueError(f"no trial measures {paper}/{claim}")
        return chosen[0]

    def cancel(self, id: str) -> JobView | None:
        """Take a verification out, or stop it: runs that ended stay in the record. None where there is none."""
        with self._change:
            job = self._jobs.get(id)
            if job is None:
                return None
            job.stop.set()
            if job.state == "waiting":
                self._end(job, "cancelled")
            self._change.notify_all()
            return self._view(job)

    def job(self, id: str) -> JobView | None:
        """A verification as it stands; None where there is none, or no more."""
        with self._change:
            job = self._jobs.get(id)
            return None if job is None else self._view(job)

    def view(self) -> QueueView:
        """All of it."""
        with self._change:
            jobs = [self._view(job, log=False) for job in self._jobs.values()]
        live = ("waiting", "running")
        return QueueView(
            waiting=sorted((job for job in jobs if job.state in live), key=lambda job: job.before),
            ended=[job for job in reversed(jobs) if job.state not in live],
            most=self.most,
        )

    def close(self) -> None:
        """Cancel all, kill the workers, and wait until that is done."""
        with self._change:
            self._closed = True
            for job in self._jobs.values():
                job.stop.set()
                if job.state == "waiting":
                    self._end(job, "cancelled")
            self._change.notify_all()
        self._thread.join(30)

    def _work(self) -> None:
        while True:
            with self._change:
                while not (waiting := [job for job in self._jobs.values() if job.state == "waiting"]):
                    if self._closed:
                        return
                    self._change.wait()
                job = waiting[0]
                job.state, job.started_at = "running", datetime.now(UTC)
            state = self._measure(job)
            with self._change:
                self._end(job, state)

    def _measure(self, job: _Job) -> State:
        """Run the engine; how it ended."""
        pool = None
        try:
            device = api.device_for("auto")
            machine = fingerprint.machine(device)["id"]
            setting = Setting(job.scale, job.mode, device, machine, job.again)
            pool = job.pool = LocalPool(self._cores or api.default_cores())
            Engine(self._record, pool, job, setting, job.stop).verify([(job.card, job.claim)])
        except StoppedError:
            job.reason = "cancelled: what had ended is in the record"
            return "cancelled"
        except RecordError as error:
            job.reason = str(error)
            return "failed"
        except Exception as error:  # the queue goes on whatever one verification does
            job.reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return "failed"
        finally:
            if pool is not None:
                job.tail = pool.printed()
                job.pool = None
                pool.close()
        return "done"

    def _end(self, job: _Job, state: State) -> None:
        job.state, job.ended_at, job.now = state, datetime.now(UTC), ""
        job.shares.clear()

    def _forget(self) -> None:
        """Drop the oldest that ended."""
        ended = [job.id for job in self._jobs.values() if job.state not in ("waiting", "running")]
        for id in ended[: max(0, len(ended) - KEPT)]:
            del self._jobs[id]

    def _view(self, job: _Job, log: bool = True) -> JobView:
        live = [other.id for other in self._jobs.values() if other.state in ("waiting", "running")]
        return JobView(
            id=job.id,
            paper=job.card.id,
            claim=job.claim.id,
            title=job.card.title,
            scale=job.scale,
            mode=job.mode,
            state=job.state,
            before=live.index(job.id) if job.id in live else 0,
            runs=job.runs,
            done=job.done,
            share=round(job.share(), 3),
            now=job.now,
            log=job.log() if log else "",
            verdict=job.verdict,
            reason=job.reason,
            asked=job.asked.isoformat(timespec="seconds"),
            started=job.started_at.isoformat(timespec="seconds") if job.started_at else None,
            ended=job.ended_at.isoformat(timespec="seconds") if job.ended_at else None,
        )
