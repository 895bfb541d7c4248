"""The worker process: imports a trial, runs its arms, judges its table. Nothing else imports trials.

It reads one JSON object a line from standard input and answers on the file descriptor that it was given,
so that whatever a trial prints goes to the log and never into the answer. When its standard input ends,
because Sillok ended, it kills its whole process group.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import queue
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sillok.verify import fingerprint, timing
from sillok.verify.contract import Run, Timed, Trial
from sillok.verify.stats import Paired, Truth

_PROGRESS_EVERY = 0.2  # seconds
_SLACK_BYTES = 4 * 2**30  # private mappings that a framework makes without touching them


class TrialError(Exception):
    """A trial that cannot be used: it does not import, or is no trial."""


def load_trial(name: str) -> Trial:
    """The trial behind a dotted name.

    Raises:
        TrialError: the module does not import, or the name holds no trial with a rule.
    """
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        traceback.print_exc()
        raise TrialError(f"trial {name} does not import: {type(error).__name__}: {error}") from error
    if not isinstance(found, Trial):
        raise TrialError(f"{name} is {type(found).__name__}, not a trial")
    if found.rule is None:
        raise TrialError(f"trial {name} has no rule: declare one with @{attribute}.upheld_if")
    return found


def checked(measures: Mapping[str, Any], trial: Trial) -> dict[str, float]:
    """The measures as floats; a ValueError for one that was not declared or is not a finite number."""
    if not measures:
        raise ValueError("the trial's body returned no measure")
    out = {}
    for key, value in measures.items():
        if key not in trial.measures:
            raise ValueError(f"the trial's body returned {key!r}, which it does not declare")
        out[key] = float(value)
        if not math.isfinite(out[key]):
            raise ValueError(f"{key} is {out[key]}")
    return out


def execute(trial: Trial, job: Mapping[str, Any], tell: Callable[[float], None]) -> list[dict[str, Any]]:
    """Run the job's arms (one, or all of a seed when the trial is interleaved)."""
    results: list[dict[str, Any]] = []
    timed: dict[str, Timed] = {}
    for spec in job["runs"]:
        started, begin = datetime.now(UTC), time.perf_counter()
        run = Run(
            arm=spec["arm"],
            seed=spec["seed"],
            scale=job["scale"],
            device=job["device"],
            fault=spec["fault"],
            on_progress=tell,
        )
        result: dict[str, Any] = {"label": spec["label"], "seed": spec["seed"], "state": "done"}
        _seed_globals(run.subseed("global"))
        try:
            returned = trial.body(run)
            if isinstance(returned, Timed):
                timed[spec["label"]] = returned
                result["measures"] = checked(returned.measures, trial) if returned.measures else {}
            else:
                result["measures"] = checked(returned, trial)
        except Exception as error:
            result |= _failure(error)
        print("\n".join(run.notes), end="\n" if run.notes else "", flush=True)
        seconds = time.perf_counter() - begin
        results.append(result | {"curves": run.curves, "started": started.isoformat(), "seconds": seconds})
    if timed:
        _time(trial, job, timed, results, tell)
    return results


def _time(
    trial: Trial,
    job: Mapping[str, Any],
    timed: Mapping[str, Timed],
    results: list[dict[str, Any]],
    tell: Callable[[float], None],
) -> None:
    if trial.interleave is None:
        raise TrialError(f"trial {trial.name} returns Timed and does not declare interleave")
    begin = time.perf_counter()
    try:
        calls = {label: item.calls for label, item in timed.items()}
        medians = timing.interleaved(calls, trial.interleave, job["device"], tell)
        for result in results:
            if result["label"] in medians:
                result["measures"] |= checked(medians[result["label"]], trial)
    except Exception as error:
        failure = _failure(error)
        for result in results:
            result.update(failure)
    for result in results:
        result["seconds"] += (time.perf_counter() - begin) / len(results)


def _failure(error: Exception) -> dict[str, Any]:
    traceback.print_exc()
    text = " ".join(str(error).split())
    return {
        "state": "failed",
        "measures": {},
        "reason": f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__,
    }


def _seed_globals(seed: int) -> None:
    """Give global random states a seed as well: host libraries use them whatever our methods do."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def judge(trial: Trial, job: Mapping[str, Any]) -> dict[str, Any]:
    """Apply the trial's rule to a table ``{arm: {seed: {metric: value}}}``."""
    table = {arm: {int(s): m for s, m in seeds.items()} for arm, seeds in job["table"].items()}
    paired = Paired(trial.judged, table, job["scale"])
    if len(paired.seeds) < 3:
        return {"verdict": "inconclusive", "reason": f"{len(paired.seeds)} pairs, and three are the least"}
    if trial.rule is None:
        raise TrialError(f"trial {trial.name} has no rule")
    try:
        truth = Truth.of(trial.rule(paired))
    except Exception as error:
        traceback.print_exc()
        return {"verdict": "failed", "reason": f"the rule raised {type(error).__name__}: {error}"}
    verdict = {Truth.YES: "upheld", Truth.NO: "not upheld", Truth.UNKNOWN: "inconclusive"}[truth]
    intervals = {
        i.what: {"low": i.low, "mean": i.mean, "high": i.high, "n": i.n, "level": i.level}
        for i in paired.intervals
    }
    return {"verdict": verdict, "reason": "; ".join(paired.reasons()), "intervals": intervals}


def _limits(memory_gb: float, device: str) -> None:
    """Make a run that allocates wildly fail by itself, before the kernel looks for a victim."""
    if device.startswith("cuda") or sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = int(memory_gb * 2**30) + _SLACK_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard < 0 else min(soft, hard), hard))


def _set_threads(threads: int) -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def answer(job: Mapping[str, Any], send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer one job."""
    trial = load_trial(job["trial"])
    if job["op"] == "describe":
        return trial.describe()
    if job["op"] == "judge":
        return judge(trial, job)
    _limits(job["memory_gb"], job["device"])
    _set_threads(job["threads"])
    last = 0.0

    def tell(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_EVERY:
            last = now
            send({"progress": share})

    runs = execute(trial, job, tell)
    return {
        "runs": runs,
        "fingerprint": fingerprint.versions(job["device"], job["threads"]),
        "machine": fingerprint.machine(job["device"]),
    }


def _watch_parent(jobs: queue.Queue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main() -> None:
    """Serve jobs until standard input ends."""
    out = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps(message) + "\n")
            out.flush()

    with contextlib.suppress(OSError):  # the kernel should take a worker before it takes Sillok
        Path("/proc/self/oom_score_adj").write_text("500")
    jobs: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_watch_parent, args=(jobs,), daemon=True).start()
    while True:
        job = json.loads(jobs.get())
        try:
            message: dict[str, Any] = {"result": answer(job, send)}
        except TrialError as error:
            message = {"error": str(error)}
        except Exception as error:
            message = {"error": _failure(error)["reason"]}
        sys.stdout.flush()
        sys.stderr.flush()
        send(message)


if __name__ == "__main__":
    main()
