"""Real Inspect evaluations of a solver on small data sets, by the simulated model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import Model
from inspect_ai.scorer import Scorer, answer
from inspect_ai.solver import Solver

Evaluate = Callable[..., EvalLog]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    def run(
        solver: Solver,
        model: Model,
        n: int = 1,
        *,
        samples: list[Sample] | None = None,
        scorer: Scorer | None = None,
        **options: Any,
    ) -> EvalLog:
        samples = samples or [Sample(input=f"Question {i}: which?", target="right", id=i) for i in range(n)]
        [log] = eval(
            Task(dataset=samples, solver=solver, scorer=scorer or answer("word")),
            model=model,
            display="none",
            log_level="error",
            log_dir=str(tmp_path),
            log_realtime=False,
            **options,
        )
        assert log.status == "success", log.error
        return log

    return run
