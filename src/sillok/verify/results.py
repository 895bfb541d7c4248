"""Runs that travel as files: one file a machine, with its fingerprint. The project ships some."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import sillok
from sillok.record import Machine, Record, StoredRun, StoredVerdict

_LOG_TAIL = 2_000
_PRECISION = 10


@dataclass(frozen=True)
class MachineResults:
    """What one machine measured."""

    machine: Machine
    runs: tuple[StoredRun, ...]
    verdicts: tuple[StoredVerdict, ...]


def folder() -> Path:
    """Where the shipped results lie: in the installed package, or at the root of a checkout."""
    package = Path(sillok.__file__).resolve().parent
    installed = package / "_results"
    return installed if installed.is_dir() else package.parents[1] / "results"


def write(
    record: Record, into: Path, *, papers: Iterable[str] | None = None, scale: str = "here"
) -> list[Path]:
    """Write the record's newest runs and verdicts of a scale, one file a machine; logs are cut short.

    A file that is there already keeps what it holds of other papers.
    """
    into.mkdir(parents=True, exist_ok=True)
    wanted = set(papers) if papers is not None else None
    written = []
    for machine in record.machines():
        path = into / f"{machine.id}.jsonl"
        old = read(path) if path.exists() else None
        runs = _newest(r for r in record.runs(machine=machine.id, scale=scale))
        versions = {run.trial: run.version for run in runs}
        # a verdict on runs of an earlier version of its trial went with them
        verdicts = [
            verdict
            for verdict in record.verdicts(machine=machine.id, scale=scale)
            if verdict.version == versions.get(verdict.trial)
        ]
        if wanted is not None:
            runs = [run for run in runs if run.paper in wanted]
            verdicts = [verdict for verdict in verdicts if verdict.paper in wanted]
        if not runs:
            continue
        covered = {(run.trial, run.scale) for run in runs}
        if old is not None:
            runs += [run for run in old.runs if (run.trial, run.scale) not in covered]
            verdicts += [v for v in old.verdicts if (v.trial, v.scale) not in covered]
        lines = [{"machine": asdict(machine)}]
        lines += [{"verdict": asdict(v)} for v in sorted(verdicts, key=lambda v: (v.paper, v.claim, v.mode))]
        ordered = sorted(runs, key=lambda r: (r.paper, r.claim, r.mode, r.arm, r.seed))
        lines += [{"run": asdict(run) | {"log": run.log[-_LOG_TAIL:]}} for run in ordered]
        text = "".join(json.dumps(_plain(line), ensure_ascii=False) + "\n" for line in lines)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _newest(runs: Iterable[StoredRun]) -> list[StoredRun]:
    latest: dict[tuple[str, str, str, int], StoredRun] = {}
    for run in runs:
        key = (run.trial, run.mode, run.arm, run.seed)
        if key not in latest or (run.version, run.attempt) > (latest[key].version, latest[key].attempt):
            latest[key] = run
    newest = {run.trial: run.version for run in sorted(latest.values(), key=lambda run: run.version)}
    return [run for run in latest.values() if run.version == newest[run.trial]]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return float(f"{value:.{_PRECISION}g}") if isinstance(value, float) else value


def read(path: Path) -> MachineResults:
    """Read one file.

    Raises:
        ValueError: the file is no results file; the line is named.
    """
    machine: Machine | None = None
    runs: list[StoredRun] = []
    verdicts: list[StoredVerdict] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            ((kind, data),) = json.loads(line).items()
            if kind == "machine":
                machine = Machine(**data)
            elif kind == "run":
                runs.append(_build(StoredRun, data, "started"))
            elif kind == "verdict":
                verdicts.append(_build(StoredVerdict, data, "decided"))
            else:
                raise ValueError(f"unknown kind {kind!r}")
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from None
    if machine is None:
        raise ValueError(f"{path.name}: no machine")
    return MachineResults(machine, tuple(runs), tuple(verdicts))


def _build(kind: Any, data: dict[str, Any], moment: str) -> Any:
    unknown = set(data) - {item.name for item in fields(kind)}
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r}")
    return kind(**data | {moment: datetime.fromisoformat(data[moment])})


@dataclass(frozen=True)
class Shipped:
    """What the project ships of one paper: verdicts, runs, and the machines by id."""

    runs: tuple[StoredRun, ...] = ()
    verdicts: tuple[StoredVerdict, ...] = ()
    machines: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def of_paper(paper: str) -> Shipped:
    """The results of one paper that came with this installation."""
    bundles = shipped()
    if _index.bundles is not bundles:
        _index.bundles, _index.papers = bundles, _by_paper(bundles)
    return _index.papers.get(paper, Shipped())


@dataclass
class _Index:
    """The shipped results by paper, and what they were indexed from."""

    bundles: tuple[MachineResults, ...] | None = None
    papers: dict[str, Shipped] = field(default_factory=dict)


_index = _Index()


def _by_paper(bundles: Iterable[MachineResults]) -> dict[str, Shipped]:
    bundles = tuple(bundles)
    machines = {bundle.machine.id: bundle.machine.data for bundle in bundles}
    runs: dict[str, list[StoredRun]] = {}
    verdicts: dict[str, list[StoredVerdict]] = {}
    for bundle in bundles:
        for run in bundle.runs:
            runs.setdefault(run.paper, []).append(run)
        for verdict in bundle.verdicts:
            verdicts.setdefault(verdict.paper, []).append(verdict)
    return {
        paper: Shipped(tuple(runs.get(paper, ())), tuple(verdicts.get(paper, ())), machines)
        for paper in {**runs, **verdicts}
    }


@functools.lru_cache
def shipped() -> tuple[MachineResults, ...]:
    """The results that came with this installation."""
    return tuple(read(path) for path in sorted(folder().glob("*.jsonl"))) if folder().is_dir() else ()
