"""The shape that all benchmarks share: a subclass tells what differs, and gets scoring, an Inspect task and a place.

A benchmark is records (as its authors publish them), what a model is shown of one, how a reply is graded, and how
grades are pooled into figures. From that follow, here: scoring of saved predictions under one policy for missing
ones and with counts of what did not fit (`Benchmark.score`, `rescore`), the scorer and metric of an Inspect task that
pools in the same way (`Benchmark.scorer`), and the place on a leaderboard, marked comparable or not (`Result.place`).
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, ClassVar, Literal

from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState

from sillok.methods.evals.boards import Leaderboard, Placement
from sillok.methods.evals.predictions import (
    Counts,
    Missing,
    Mode,
    Prediction,
    Predictions,
    align,
    policy,
    read,
    reading,
    refuses,
)

Record = Mapping[str, Any]

#: Benchmarks by the name of their task, each found at its dotted name.
BENCHMARKS: dict[str, str] = {
    "l_citeeval": "sillok.methods.evals.lciteeval.LCiteEval",
    "omnidocbench": "sillok.methods.evals.omnidoc.OmniDocBench",
    "prmbench": "sillok.methods.evals.prmbench.PRMBench",
    "visonlyqa": "sillok.methods.evals.visonlyqa.VisOnlyQA",
    "video_auto_arena": "sillok.methods.evals.video_arena.VideoAutoArena",
}


@dataclass(frozen=True)
class Item:
    """One record's grade.

    Attributes:
        id: of the record.
        values: numbers that `Benchmark.total` pools, by name; whatever that benchmark needs.
        groups: names under which it is pooled besides the whole.
        answer: what was taken as the answer, None where the reply held none.
        notes: what the grading wants to say, one sentence each.
    """

    id: str
    values: Mapping[str, Any]
    groups: tuple[str, ...] = ()
    answer: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """Figures of one system on a benchmark.

    Attributes:
        slug, version, mode: of the benchmark and its scoring.
        figures: by name, in the board's units; None where one could not be computed.
        counts: how the predictions fitted the records.
        missing: the policy that records without a prediction were scored by.
        reasons: why the figures cannot be set beside published ones; empty if they can.
        items: the grades that were pooled.
    """

    slug: str
    version: str
    mode: Mode
    figures: Mapping[str, float | None]
    counts: Counts
    missing: Missing
    reasons: tuple[str, ...] = ()
    items: tuple[Item, ...] = field(default=(), repr=False)

    def place(self) -> Placement:
        """Its place on the published board of its version.

        Raises:
            ValueError: there is no such board, or the figure that orders it could not be computed.
        """
        return Leaderboard.load(self.slug, self.version).place(self.figures, self.reasons)

    def as_dict(self) -> dict[str, Any]:
        """All but the items, for JSON."""
        return {
            "benchmark": self.slug,
            "version": self.version,
            "mode": self.mode,
            "missing": self.missing,
            "figures": dict(self.figures),
            "counts": vars(self.counts).copy(),
            "comparable": not self.reasons,
            "reasons": list(self.reasons),
        }

    def __str__(self) -> str:
        shown = ", ".join(f"{k} {v:.4g}" if v is not None else f"{k} -" for k, v in self.figures.items())
        return f"{self.slug} {self.version} ({self.mode}): {shown}; {self.counts}"


class Benchmark(ABC):
    """What a benchmark's file tells; see this module's text for what follows from it.

    Class attributes:
        slug: of the Inspect task and the board's file.
        versions: of the data, the default first; each has a board.
        published_missing: what the authors' script does where a prediction is missing.
        published_first: whether their script takes the first of several predictions for a record, and not the last.
    """

    slug: ClassVar[str]
    versions: ClassVar[tuple[str, ...]]
    published_missing: ClassVar[Literal["skip", "penalise"]]
    published_first: ClassVar[bool] = False

    def __init__(self, version: str | None = None, **options: Any) -> None:
        """Args: version: one of `versions`. options: what makes the same benchmark again, as JSON can hold it.

        Raises:
            ValueError: another version.
        """
        if version is not None and version not in self.versions:
            raise ValueError(f"version must be one of {', '.join(self.versions)}, not {version!r}")
        self.version = version or self.versions[0]
        self.options = {name: value for name, value in options.items() if value is not None}

    # -- what differs

    @abstractmethod
    def identify(self, record: Record) -> str:
        """The id of a record, under which predictions are looked for."""

    @abstractmethod
    def grade(self, record: Record, prediction: Prediction, mode: Mode) -> Item:
        """The grade of one prediction; it must not fail, whatever the text."""

    @abstractmethod
    def total(self, items: Sequence[Item], mode: Mode) -> dict[str, float | None]:
        """Figures from grades, the headline's first."""

    def absent(self, record: Record, mode: Mode) -> Item:
        """The grade of a record without a prediction where that is penalised: that of an empty reply."""
        return self.grade(record, Prediction(""), mode)

    def blind_spots(self, items: Sequence[Item]) -> list[str]:
        """Why figures from these grades are not comparable, beyond what every benchmark asks."""
        return []

    def named(self, records: Sequence[Record], predictions: Predictions) -> Predictions:
        """The predictions under the records' ids, where the authors look for other names too."""
        return predictions

    # -- what follows

    def score(
        self,
        records: Iterable[Record],
        predictions: Predictions | Mapping[str, Any] | Iterable[Any],
        *,
        mode: Mode = "published",
        missing: Missing = "published",
        reasons: Iterable[str] = (),
    ) -> Result:
        """Score predictions.

        Args:
            records: in the authors' format.
            predictions: what `Predictions.of` takes.
            mode: "published" (the authors' figures, faults included) or "strict" (without their faults).
            missing: what becomes of records without a prediction: "published" (as the authors' script does), "skip"
                or "penalise" (scored as an empty reply).
            reasons: why the result is not comparable, as far as the caller knows.

        Raises:
            ValueError: no record, two records with one id, an unknown mode or policy, unreadable predictions.
        """
        reading(mode)
        records = list(records)
        if not records:
            raise ValueError("records must hold at least one record")
        penalise = (self.published_missing if policy(missing) == "published" else missing) == "penalise"
        found, counts = align(
            [self.identify(record) for record in records],
            self.named(records, Predictions.of(predictions)),
            first=self.published_first,
        )
        items = []
        for record, prediction in zip(records, found, strict=True):
            if prediction is not None:
                item = self.grade(record, prediction, mode)
                counts.unparsed += item.answer is None
                counts.refused += refuses(prediction.text)
                items.append(item)
            elif penalise:
                items.append(self.absent(record, mode))
        return self.result(items, counts, mode, missing, reasons)

    def result(
        self, items: Sequence[Item], counts: Counts, mode: Mode, missing: Missing, reasons: Iterable[str] = ()
    ) -> Result:
        """The figures of graded items, with every reason why they are not comparable."""
        why = list(reasons)
        if mode != "published":
            why.append("strict scoring is not the published one")
        if counts.missing:
            said = "left out" if len(items) < counts.records else "scored as empty"
            why.append(f"{counts.missing} predictions are missing ({said})")
        whole = self._board().items
        if whole is not None and counts.records != whole:
            why.append(f"{counts.records} records, and {whole} are published")
        why += self.blind_spots(items)
        figures = self.total(items, mode) if items else dict.fromkeys(self._board().figures)
        return Result(self.slug, self.version, mode, figures, counts, missing, tuple(why), tuple(items))

    def _board(self) -> Leaderboard:
        return Leaderboard.load(self.slug, self.version)

    # -- Inspect

    async def prepare(self, record: Record, state: TaskState) -> Prediction:
        """A model's reply as a prediction; a subclass asks its judge here, and puts what it says into the extras."""
        return Prediction(state.output.completion)

    def metadata(self, reasons: Iterable[str] = ()) -> dict[str, Any]:
        """What a task keeps in its log, so that `result_of_log` can pool it again: also why it is not comparable."""
        return {
            "benchmark": self.slug,
            "version": self.version,
            "options": self.options,
            "reasons": list(reasons),
        }

    def scorer(self, records: Sequence[Record], mode: Mode = "published") -> Scorer:
        """The scorer of an Inspect task over these records, whose metric pools as `score` does."""
        return graded(self, {self.identify(record): record for record in records}, mode)


def find(slug: str, version: str | None = None, **options: Any) -> Benchmark:
    """The benchmark of a task's name, made with the `options` of its class.

    Raises:
        ValueError: an unknown name or version; the message names those that there are.
    """
    if slug not in BENCHMARKS:
        raise ValueError(f"slug must be one of {', '.join(sorted(BENCHMARKS))}, not {slug!r}")
    module, _, name = BENCHMARKS[slug].rpartition(".")
    made: Callable[..., Benchmark] = getattr(importlib.import_module(module), name)
    return made(version, **options)


def rescore(
    slug: str,
    records: Iterable[Record],
    predictions: str | PathLike[str],
    *,
    version: str | None = None,
    mode: Mode = "published",
    missing: Missing = "published",
    **options: Any,
) -> Result:
    """Score saved predictions, in any form that `predictions.read` takes.

    Args:
        slug, version, options: of the benchmark, as `find` takes them.
        records: in the authors' format.
        predictions: a file or folder.
        mode, missing: as `Benchmark.score` takes them.

    Raises:
        ValueError: an unknown benchmark, version, mode or policy, or a file that holds no predictions.
    """
    return find(slug, version, **options).score(records, read(predictions), mode=mode, missing=missing)


@metric
def pooled(slug: str, version: str, mode: str, options: dict[str, Any] | None = None) -> Metric:
    """Figures of a benchmark, pooled over samples as its authors pool them."""

    def compute(scores: list[SampleScore]) -> dict[str, Any]:
        items = [item for one in scores if (item := _kept(one.score)) is not None]
        total = find(slug, version, **(options or {})).total(items, reading(mode)) if items else {}
        return {name: value for name, value in total.items() if value is not None}

    return compute


def graded(benchmark: Benchmark, records: Mapping[str, Record], mode: Mode) -> Scorer:
    """An Inspect scorer that grades each sample by the record of its id; the grade is kept for pooling."""
    metrics = [pooled(benchmark.slug, benchmark.version, mode, benchmark.options)]

    @scorer(metrics=metrics, name=f"{benchmark.slug}_{mode}")
    def made() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            record = records[str(state.sample_id)]
            item = benchmark.grade(record, await benchmark.prepare(record, state), mode)
            first = next(iter(item.values.values()), None)
            return Score(
                value=float(first) if isinstance(first, int | float) else item.answer or "",
                answer=item.answer,
                explanation="; ".join(item.notes) or None,
                metadata={"item": vars(item).copy()},
            )

        return score

    return made()


def _kept(score: Score) -> Item | None:
    kept = (score.metadata or {}).get("item")
    if kept is None:
        return None
    return Item(kept["id"], kept["values"], tuple(kept["groups"]), kept["answer"], tuple(kept["notes"]))


def result_of_log(log: Any, *, reasons: Iterable[str] = ()) -> Result:
    """The result that an Inspect log of one of these tasks holds, pooled again from its samples.

    Args:
        log: an ``EvalLog`` with samples.
        reasons: why it is not comparable, as far as the caller knows; what the task, a limit and an incomplete log have
            to say to that is added.

    Raises:
        ValueError: a log of another task, or without samples.
    """
    facts = log.eval.metadata or {}
    if "benchmark" not in facts:
        raise ValueError(f"log must be of a benchmark of Sillok's, not of the task {log.eval.task!r}")
    mode: Mode = "published"
    items = []
    for sample in log.samples or []:
        for name, score in (sample.scores or {}).items():
            item = _kept(score)
            if item is not None:
                mode = reading(name.rpartition("_")[2])
                items.append(item)
    if not items:
        raise ValueError("log holds no graded sample")
    wanted = log.eval.dataset.samples or len(items)
    counts = Counts(records=wanted, predicted=len(items), missing=wanted - len(items))
    counts.unparsed = sum(item.answer is None for item in items)
    why = [*reasons, *facts.get("reasons", [])]
    if log.eval.config.limit is not None:
        why.append(f"limited to {log.eval.config.limit} samples")
    benchmark = find(facts["benchmark"], facts["version"], **facts.get("options", {}))
    return benchmark.result(items, counts, mode, "skip", why)
