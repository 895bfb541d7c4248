"""The trial contract, planning, workers, statistics, verdicts, reports.

The module itself can be called: ``sillok.verify("2411.19870", scale="smoke")`` is `sillok.verify.api.verify`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sillok.verify.contract import Interleave, Measure, Measures, Run, Timed, Trial, trial
from sillok.verify.stats import Interval, Paired, Truth, bootstrap, wilson

__all__ = [
    "Interleave",
    "Interval",
    "Measure",
    "Measures",
    "Paired",
    "Run",
    "Timed",
    "Trial",
    "Truth",
    "bootstrap",
    "trial",
    "wilson",
]


class _Callable(ModuleType):
    def __call__(self, *targets: Any, **options: Any) -> list[dict[str, Any]]:
        from sillok.verify.api import verify

        return verify(*targets, **options)


sys.modules[__name__].__class__ = _Callable
