"""Parity with the authors' scorers: their code, run from a checkout outside Sillok, on generated predictions.

A benchmark's adversarial predictions are generated from a seed (`Case`), their script scores them in a process of its
own through a small adapter (``authors/<slug>.py`` beside this file, which holds none of their code), and the scores
are compared with Sillok's. What they gave can be kept, with the commit that was compared, and is then a test that needs
no checkout.
"""

from __future__ import annotations

import gzip
import importlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

#: Where each benchmark's cases are made and scored: functions ``parity_cases(seed, n)`` and ``parity_score(case)``.
CASES: dict[str, str] = {
    "l_citeeval": "sillok.methods.evals.lcite_parity",
    "omnidocbench": "sillok.methods.evals.omnidoc.parity",
    "omnidocbench_10": "sillok.methods.evals.omnidoc.parity_10",
    "prmbench": "sillok.methods.evals.prmbench_parity",
    "video_auto_arena": "sillok.methods.evals.video_arena_parity",
}


@dataclass(frozen=True)
class Difference:
    """A figure in which Sillok and the authors differ."""

    case: int
    figure: str
    ours: float | str | None
    theirs: float | str | None


@dataclass(frozen=True)
class ParityReport:
    """What a comparison with the authors' code gave.

    Attributes:
        slug: of the benchmark.
        commit: of the checkout ("unknown" where it is no git checkout).
        seed, cases: of the generated predictions.
        figures: that were compared.
        differences: those that are not equal within `tolerance`, the first hundred.
        worst: largest absolute difference of two numbers.
    """

    slug: str
    commit: str
    seed: int
    cases: int
    figures: int
    differences: tuple[Difference, ...]
    worst: float
    tolerance: float

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def __str__(self) -> str:
        compared = f"{self.figures} figures of {self.cases} cases (seed {self.seed})"
        said = f"{self.slug}: {compared} against {self.commit[:10]}"
        if self.equal:
            return f"{said}: all equal, the largest difference is {self.worst:.1e}"
        first = self.differences[0]
        return (
            f"{said}: {len(self.differences)} differ, the first in case {first.case}: {first.figure} is {first.ours} "
            f"here and {first.theirs} there"
        )


def run_authors(
    slug: str,
    checkout: str | PathLike[str],
    cases: Sequence[Any],
    *,
    python: str = sys.executable,
    timeout: float = 600,
) -> list[dict[str, Any]]:
    """What the authors' code says of cases, one mapping of figures each.

    Args:
        slug: of the benchmark.
        checkout: the authors' repository.
        cases: as JSON can hold them.
        python: an interpreter that has what their code needs.
        timeout: in seconds.

    Raises:
        ValueError: no such folder, no adapter, or their code failed; the message ends in its last line.
    """
    adapter = Path(__file__).with_name("authors") / f"{slug}.py"
    folder = Path(checkout).resolve()
    if not folder.is_dir():
        raise ValueError(f"checkout must be the folder of the authors' repository, not {str(checkout)!r}")
    if not adapter.is_file():
        raise ValueError(f"slug must be a benchmark whose authors' code can be run, not {slug!r}")
    try:
        done = subprocess.run(
            [python, str(adapter), str(folder)],
            input=json.dumps(cases),
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"the authors' code of {slug} took more than {timeout:g} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"the authors' code of {slug} failed: {last}")
    scores: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return scores


def parity(
    slug: str,
    checkout: str | PathLike[str],
    *,
    n: int = 1000,
    seed: int = 0,
    python: str = sys.executable,
    tolerance: float = 1e-9,
    keep: str | PathLike[str] | None = None,
) -> ParityReport:
    """Compare Sillok's published-mode scores with the authors' code on generated predictions.

    Args:
        slug: of the benchmark.
        checkout: the authors' repository.
        n, seed: of the generated cases.
        python: an interpreter that has what their code needs.
        tolerance: absolute difference at which two numbers still count as equal.
        keep: a ``.json.gz`` file to keep their scores in, for `kept`.

    Raises:
        ValueError: an unknown benchmark, or their code cannot be run.
    """
    make, _ = _functions(slug)
    theirs = run_authors(slug, checkout, make(seed, n), python=python)
    found = {"slug": slug, "commit": _commit(Path(checkout)), "seed": seed, "n": n, "scores": theirs}
    if keep is not None:
        data = json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
        Path(keep).write_bytes(gzip.compress(data, mtime=0))
    return compare(found, tolerance=tolerance)


def kept(path: str | PathLike[str], *, tolerance: float = 1e-9) -> ParityReport:
    """Compare Sillok's scores with the authors' that a file keeps.

    Raises:
        ValueError: a file that keeps none.
    """
    try:
        found = json.loads(gzip.decompress(Path(path).read_bytes()))
        return compare(found, tolerance=tolerance)
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} keeps no scores of authors ({error})") from None


def compare(found: Mapping[str, Any], *, tolerance: float = 1e-9) -> ParityReport:
    """Generate the cases again, score them here, and set the scores against those found."""
    make, score = _functions(found["slug"])
    cases = make(found["seed"], found["n"])
    differences: list[Difference] = []
    figures, worst = 0, 0.0
    for index, (case, theirs) in enumerate(zip(cases, found["scores"], strict=True)):
        ours = score(case)
        for name in sorted({*ours, *theirs}):
            mine, other = ours.get(name), theirs.get(name)
            figures += 1
            gap = _gap(mine, other)
            worst = max(worst, gap if math.isfinite(gap) else 0.0)
            if gap > tolerance:
                differences.append(Difference(index, name, mine, other))
    return ParityReport(
        found["slug"],
        found["commit"],
        found["seed"],
        len(cases),
        figures,
        tuple(differences[:100]),
        worst,
        tolerance,
    )


def _gap(one: Any, other: Any) -> float:
    if one == other:
        return 0.0
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other)):
        gap = abs(one - other)
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf if math.isnan(gap) else gap
    return math.inf


def _functions(slug: str) -> tuple[Callable[[int, int], list[Any]], Callable[[Any], dict[str, Any]]]:
    if slug not in CASES:
        raise ValueError(f"slug must be one of {', '.join(sorted(CASES))}, not {slug!r}")
    module = importlib.import_module(CASES[slug])
    return module.parity_cases, module.parity_score


def _commit(checkout: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
