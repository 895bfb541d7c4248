"""Timings that can be believed: warmed up, synchronised, arm by turn, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from sillok.verify.contract import Interleave

_FLUSH_BYTES = 256 * 2**20  # several times the second-level cache of any GPU of today


class Stopwatch:
    """Seconds of one call: CUDA events with a cold second-level cache on a GPU, the wall clock elsewhere."""

    def __init__(self, device: str = "cpu"):
        self.cuda = device.startswith("cuda")
        self._flush: Any = None
        if self.cuda:
            import torch

            self._torch = torch
            self._flush = torch.empty(_FLUSH_BYTES, dtype=torch.int8, device=device)

    def __call__(self, call: Callable[[], object]) -> float:
        if not self.cuda:
            start = time.perf_counter()
            call()
            return time.perf_counter() - start
        self._flush.zero_()
        begin, end = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
        self._torch.cuda.synchronize()
        begin.record()
        call()
        end.record()
        self._torch.cuda.synchronize()
        return float(begin.elapsed_time(end)) / 1e3


def interleaved(
    calls: Mapping[str, Mapping[str, Callable[[], object]]],
    how: Interleave,
    device: str = "cpu",
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Median seconds by arm and metric.

    For each metric, all arms that have it are warmed up, then called in turn (A B C, B C A, ...), so that
    a machine that slows down slows every arm down.
    """
    watch = Stopwatch(device)
    metrics = list(dict.fromkeys(metric for arm in calls.values() for metric in arm))
    medians: dict[str, dict[str, float]] = {arm: {} for arm in calls}
    for number, metric in enumerate(metrics):
        arms = [arm for arm in calls if metric in calls[arm]]
        for _ in range(how.warmup):
            for arm in arms:
                calls[arm][metric]()
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for turn in range(how.repeats):
            first = turn % len(arms)
            for arm in arms[first:] + arms[:first]:
                seconds[arm].append(watch(calls[arm][metric]))
            if on_progress:
                on_progress((number + (turn + 1) / how.repeats) / len(metrics))
        for arm in arms:
            medians[arm][metric] = statistics.median(seconds[arm])
    return medians
