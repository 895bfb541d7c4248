"""`sillok.verify(...)`: measure claims, from Python as from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sillok.papers import Card, Claim
from sillok.record import Record
from sillok.verify import fingerprint, needs, view
from sillok.verify.contract import SCALES
from sillok.verify.engine import Engine, Quiet, Reporter
from sillok.verify.plan import ClaimPlan, Setting
from sillok.verify.pool import Executor, LocalPool
from sillok.verify.targets import Chosen, resolve


class UnavailableError(RuntimeError):
    """Something was asked for that this machine does not have; one line."""


@dataclass
class Outcome:
    """What a verification came to: the papers as data, and the plans behind them."""

    papers: list[dict[str, Any]]
    plans: list[ClaimPlan]

    def reported(self, record: Record) -> list[tuple[Card, Claim, list[view.Result]]]:
        """The claims as the report takes them."""
        return [(plan.card, plan.claim, view.of_plan(plan, record)) for plan in self.plans]

    @property
    def verdicts(self) -> list[str | None]:
        """One verdict a claim; None for a claim that was left out of the budget."""
        return [claim["verdict"] for paper in self.papers for claim in paper["claims"]]


def device_for(asked: str) -> str:
    """The PyTorch device: "auto" takes the GPU where there is one.

    Raises:
        UnavailableError: a GPU is asked for and absent.
        ValueError: neither auto, cpu nor cuda.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, not {asked!r}")
    if asked == "cpu":
        return "cpu"
    present = needs.gpu_present()
    if asked == "cuda" and not present:
        raise UnavailableError("a CUDA GPU is asked for, and PyTorch sees none here")
    return "cuda" if present else "cpu"


def executor_for(on: str, jobs: int | None) -> Executor:
    """Where runs go: "local", "ray", or "ray:ADDRESS".

    Raises:
        UnavailableError: Ray is not installed or its cluster does not answer.
        ValueError: an unknown place, or fewer than one job.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, not {jobs}")
    kind, _, address = on.partition(":")
    if kind == "local" and not address:
        return LocalPool(jobs or fingerprint.cores())
    if kind == "ray":
        from sillok.verify.on_ray import RayPool

        try:
            return RayPool(address or None, jobs)
        except RuntimeError as error:
            raise UnavailableError(str(error)) from None
    raise ValueError(f"on must be local, ray or ray:ADDRESS, not {on!r}")


def default_cores() -> int:
    """How many cores are used when nobody says."""
    return fingerprint.cores()


def run(
    chosen: Chosen,
    *,
    scale: str = "here",
    minutes: float | None = None,
    jobs: int | None = None,
    on: str = "local",
    device: str = "auto",
    mode: str = "trial",
    again: bool = False,
    record: Record | str | Path | None = None,
    reporter: Reporter | None = None,
) -> Outcome:
    """Measure what was chosen and give the outcome with its plans; see `verify`."""
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
    if minutes is not None and minutes <= 0:
        raise ValueError(f"minutes must be positive, not {minutes}")
    torch_device = device_for(device)
    machine = fingerprint.machine(torch_device)["id"] if on == "local" else ""
    setting = Setting(scale=scale, mode=mode, device=torch_device, machine=machine, again=again)
    store = record if isinstance(record, Record) else Record.open(record)
    executor: Executor | None = None
    try:
        executor = executor_for(on, jobs)
        engine = Engine(store, executor, reporter or Quiet(), setting)
        plans = engine.verify(chosen.claims, minutes)
        return Outcome(_views(chosen, plans, store), plans)
    finally:
        if executor is not None:
            executor.close()
        if store is not record:
            store.close()


def _views(chosen: Chosen, plans: list[ClaimPlan], record: Record) -> list[dict[str, Any]]:
    papers = []
    for card in chosen.cards:
        mine = [plan for plan in plans if plan.card.id == card.id]
        found = {plan.claim.id: view.of_plan(plan, record) for plan in mine}
        papers.append(view.paper_view(card, found, [plan.claim.id for plan in mine]))
    return papers


def verify(
    *targets: str | Path, placebo: bool = False, fault: bool = False, **options: Any
) -> list[dict[str, Any]]:
    """Measure papers' claims on this machine.

    Args:
        targets: digest files, dates (YYYY-MM-DD), arXiv ids, or ``ID/CLAIM``; none means every trial.
        placebo: put the baseline into every arm; an upheld verdict then shows a broken trial.
        fault: break the method as its trial says; an upheld verdict then shows a blind trial.
        options: ``scale`` ("smoke", "here", "full"), ``minutes`` (budget), ``jobs`` (cores), ``on``
            ("local", "ray", "ray:ADDRESS"), ``device`` ("auto", "cpu", "cuda"), ``again`` (repeat what
            is there), ``record`` (a `Record` or its URL), ``reporter``.

    Returns:
        One object a paper, as ``sillok verify --json`` prints it.

    Raises:
        ValueError: a target or an option that is not accepted.
        UnavailableError: a GPU or Ray is asked for and absent.
        RecordError: the record cannot be read or written.
    """
    if placebo and fault:
        raise ValueError("placebo and fault are two verifications: ask for one at a time")
    mode = "placebo" if placebo else "fault" if fault else "trial"
    return run(resolve([str(target) for target in targets]), mode=mode, **options).papers
