"""Worker processes with limits, kept warm: one framework import a worker, not one a run."""

from __future__ import annotations

import array
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

import psutil

_POLL = 0.1  # seconds between looks at the clock and at the memory
_HEAD, _TAIL = 16_000, 48_000  # characters of a log that are kept


@dataclass
class Job:
    """One errand for a worker: run arms, describe a trial, or judge a table."""

    key: str
    message: dict[str, Any]
    seconds: float | None = None
    memory_gb: float | None = None
    cores: int = 1
    alone: bool = False
    context: Any = None


@dataclass
class Answer:
    """What came back: a result, or the reason why there is none; and the log either way."""

    result: Any = None
    reason: str | None = None
    log: str = ""
    seconds: float = 0.0


class Executor(Protocol):
    """Where jobs run. ``cores`` bounds what the engine submits at once."""

    cores: int

    def submit(self, job: Job, on_progress: Callable[[float], None]) -> Future[Answer]: ...

    def close(self) -> None: ...


@dataclass
class BoundedLog:
    """The beginning and the end of what a worker printed, however much that was."""

    head: str = ""
    tail: str = ""
    dropped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, text: str) -> None:
        with self._lock:
            room = _HEAD - len(self.head)
            self.head += text[:room] if room > 0 else ""
            self.tail += text[max(room, 0) :]
            self.dropped += max(0, len(self.tail) - _TAIL)
            self.tail = self.tail[-_TAIL:]

    def take(self) -> str:
        """The log so far; the next run begins with an empty one."""
        with self._lock:
            text = self._text()
            self.head, self.tail, self.dropped = "", "", 0
        return text

    def peek(self) -> str:
        """The log so far, which goes on."""
        with self._lock:
            return self._text()

    def _text(self) -> str:
        gap = f"\n... {self.dropped:,} characters left out ...\n" if self.dropped else ""
        return self.head + gap + self.tail


class WorkerProcess:
    """A child process that answers jobs one at a time."""

    def __init__(self, key: str):
        self.key = key
        read_end, write_end = os.pipe()
        env = os.environ | {f"{lib}_NUM_THREADS": "1" for lib in ("OMP", "OPENBLAS", "MKL")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sillok.verify.worker", str(write_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[write_end],
            start_new_session=True,
            env=env | {"PYTHONUNBUFFERED": "1"},
        )
        os.close(write_end)
        self._answers = os.fdopen(read_end, "rb", buffering=0)
        self._partial = b""
        self.log = BoundedLog()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._drain, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _drain(self, pipe: IO[bytes]) -> None:
        while chunk := os.read(pipe.fileno(), 65536):
            self.log.write(chunk.decode("utf-8", "replace"))

    def ask(self, job: Job, on_progress: Callable[[float], None], cancelled: threading.Event) -> Answer:
        """Send a job and wait for its answer within its limits; a worker that breaks them is killed."""
        begin = time.monotonic()
        answer = self._ask(job, on_progress, cancelled, begin)
        self._settle_log()
        answer.log = self.log.take()
        answer.seconds = time.monotonic() - begin
        return answer

    def _ask(
        self, job: Job, on_progress: Callable[[float], None], cancelled: threading.Event, begin: float
    ) -> Answer:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job.message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return Answer(reason=self._why_dead())
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while True:
                ready = bool(selector.select(_POLL))
                for message in self._messages() if ready else ():
                    if message is None:
                        return Answer(reason=self._why_dead())
                    if "progress" in message:
                        on_progress(message["progress"])
                    else:
                        return Answer(result=message.get("result"), reason=message.get("error"))
                broken = self._broken_limit(job, begin, cancelled)
                if broken:
                    self.kill()
                    return Answer(reason=broken)

    def _messages(self) -> list[dict[str, Any] | None]:
        """Complete messages that have arrived; None when the worker has closed its end."""
        chunk = os.read(self._answers.fileno(), 1 << 20)
        if not chunk:
            return [None]
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def _broken_limit(self, job: Job, begin: float, cancelled: threading.Event) -> str | None:
        if cancelled.is_set():
            return "cancelled"
        if job.seconds is not None and time.monotonic() - begin > job.seconds:
            return f"stopped after its time limit of {job.seconds:.0f} s"
        if job.memory_gb is not None and self.memory() > job.memory_gb * 2**30:
            return f"stopped above its memory limit of {job.memory_gb:.1f} GB"
        return None

    def memory(self) -> int:
        """Resident bytes of the worker and its children."""
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += one.memory_info().rss
        return total

    def _settle_log(self) -> None:
        """Wait (shortly) until what the worker printed has been read."""
        assert self._process.stdout is not None
        if not self.alive:
            self._reader.join(timeout=1)
            return
        try:
            import fcntl
            import termios
        except ImportError:
            return
        waiting = array.array("i", [1])
        end = time.monotonic() + 0.5
        while waiting[0] and time.monotonic() < end:
            fcntl.ioctl(self._process.stdout.fileno(), termios.FIONREAD, waiting)
            if waiting[0]:
                time.sleep(0.005)

    def _why_dead(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.returncode
        self.kill()
        if code is None:
            return "the worker closed its answers"
        if code == -signal.SIGKILL:
            return "the worker was killed (SIGKILL): by the kernel for memory, or by hand"
        if code < 0:
            return f"the worker crashed: {signal.Signals(-code).name}"
        return f"the worker ended with exit code {code}"

    def kill(self) -> None:
        """End the worker and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._answers.close() if not self._answers.closed else None


class LocalPool:
    """Worker processes on this machine, one set for each key (the extra that its trials import)."""

    def __init__(self, cores: int):
        self.cores = cores
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._threads = ThreadPoolExecutor(max_workers=cores + 2, thread_name_prefix="sillok-worker")

    def submit(self, job: Job, on_progress: Callable[[float], None]) -> Future[Answer]:
        return self._threads.submit(self._serve, job, on_progress)

    def _serve(self, job: Job, on_progress: Callable[[float], None]) -> Answer:
        worker = self._lease(job.key)
        answer = worker.ask(job, on_progress, self._cancelled)
        with self._lock:
            self._busy.discard(worker)
            keep = worker.alive and not self._cancelled.is_set() and reusable(answer)
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.kill()
        return answer

    def _lease(self, key: str) -> WorkerProcess:
        surplus = None
        with self._lock:
            worker = next((w for w in self._idle if w.key == key and w.alive), None)
            if worker:
                self._idle.remove(worker)
            elif len(self._idle) + len(self._busy) >= self.cores and self._idle:
                surplus = self._idle.pop(0)
            if not worker:
                worker = WorkerProcess(key)
            self._busy.add(worker)
        if surplus:
            surplus.kill()
        return worker

    def printed(self) -> str:
        """What the workers that are busy have printed for their runs so far."""
        with self._lock:
            busy = list(self._busy)
        return "\n".join(text for worker in busy if (text := worker.log.peek()))

    def close(self) -> None:
        """Kill every worker, busy ones too; what they were doing is cancelled."""
        self._cancelled.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in [*self._idle, *self._busy]:
            worker.kill()
        self._idle.clear()
        self._busy.clear()


def reusable(answer: Answer) -> bool:
    """Whether the worker may be used again: a failed run can leave threads, processes or memory behind."""
    if answer.reason is not None:
        return False
    result: Mapping[str, Any] = answer.result if isinstance(answer.result, Mapping) else {}
    return all(run["state"] == "done" for run in result.get("runs", ()))
