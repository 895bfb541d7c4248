"""The same jobs on a Ray cluster. Limits, logs and warm workers stay as they are: Ray only places them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from sillok.verify.pool import Answer, Job, WorkerProcess, reusable

_warm: dict[str, WorkerProcess] = {}


def _serve(job: Job) -> Answer:
    """Runs in a Ray worker, which keeps one warm Sillok worker a key."""
    worker = _warm.pop(job.key, None)
    if worker is None or not worker.alive:
        worker = WorkerProcess(job.key)
    answer = worker.ask(job, lambda share: None, threading.Event())
    if worker.alive and reusable(answer):
        _warm[job.key] = worker
    else:
        worker.kill()
    return answer


class RayPool:
    """Jobs on the Ray cluster at ``address`` (default: the one that RAY_ADDRESS names, else a local one).

    Raises:
        RuntimeError: Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, address: str | None = None, cores: int | None = None):
        try:
            import ray
        except ImportError:
            raise RuntimeError("--on ray needs Ray: pip install 'sillok[ray]'") from None
        self._ray: Any = ray
        self._started = not ray.is_initialized()
        if self._started:
            try:
                ray.init(
                    address=address,
                    num_cpus=cores if address is None else None,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise RuntimeError(f"no Ray cluster: {' '.join(str(error).split())[:200]}") from None
        self.cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote = ray.remote(_serve)

    def submit(self, job: Job, on_progress: Callable[[float], None]) -> Future[Answer]:
        nodes = [n["Resources"].get("CPU", 1) for n in self._ray.nodes() if n["Alive"]]
        cpus = max(nodes) if job.alone else min(job.cores, max(nodes))
        gpus = 1 if str(job.message.get("device", "")).startswith("cuda") else 0
        reference = self._remote.options(num_cpus=cpus, num_gpus=gpus, max_retries=0).remote(job)
        outcome: Future[Answer] = Future()

        def settle(done: Future[Answer]) -> None:
            error = done.exception()
            if error is None:
                outcome.set_result(done.result())
            else:
                text = " ".join(str(error).split())[:300]
                outcome.set_result(Answer(reason=f"{type(error).__name__}: {text}"))

        reference.future().add_done_callback(settle)
        return outcome

    def close(self) -> None:
        """Leave the cluster; a cluster that was started here ends, and its workers with it."""
        if self._started:
            self._ray.shutdown()
