"""What every card, method and trial must do: a paper is tested here by being listed in the catalogue."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import sillok
from sillok import papers
from sillok.papers import Card, Claim
from sillok.verify import fingerprint, needs, results, worker
from sillok.verify.contract import Trial
from sillok.verify.pool import LocalPool

CARDS = dict(papers.catalogue())
METHODS = [(id, name) for id, card in CARDS.items() for name in card.methods]
CLAIMS = [(id, claim.id) for id, card in CARDS.items() for claim in card.claims if claim.trial]
COMPLETE = sorted({id for id, _ in METHODS} | {id for id, _ in CLAIMS})


def find(id: str, claim: str) -> tuple[Card, Claim]:
    return CARDS[id], CARDS[id].claim(claim)


@cache
def load(id: str, claim: str) -> Trial:
    trial = find(id, claim)[1].trial
    assert trial is not None
    return worker.load_trial(trial)


def test_every_card_is_valid() -> None:
    assert papers.catalogue().problems == ()
    assert len(CARDS) >= 130


@pytest.mark.parametrize("id", COMPLETE)
def test_a_measured_paper_has_a_whole_card(id: str) -> None:
    card = CARDS[id]
    for summary in (card.summary.en, card.summary.ko):
        assert list(summary) == ["What's New", "Technical Details", "Performance Highlights"]
        assert all(len(text) > 80 for text in summary.values())
    korean = "".join(card.summary.ko.values())
    assert len(re.findall("[가-힣]", korean)) > len(korean) / 4
    assert card.methods
    assert card.differs
    assert card.usage is not None
    assert card.claims
    for claim in card.claims:
        assert claim.text_ko
        assert claim.scope
        assert claim.paper.unit
        assert claim.paper.where


@pytest.mark.parametrize(("id", "name"), METHODS)
def test_a_method_imports_and_its_docstring_has_its_parts(id: str, name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(importlib.import_module(module), attribute)
    doc = inspect.getdoc(found) or ""
    first = doc.split("\n\n")[0]
    assert first.endswith("."), f"{name}: the docstring opens with a sentence"
    assert id in doc or id in (inspect.getdoc(importlib.import_module(module)) or ""), (
        f"{name} names its paper"
    )
    parameters = [
        p for p in inspect.signature(found).parameters.values() if p.name not in ("self", "cls", "kwargs")
    ]
    for parameter in parameters:
        assert parameter.name in doc, f"{name}: the docstring does not mention {parameter.name!r}"
    assert found.__module__.startswith("sillok.methods.")


@pytest.mark.parametrize(("id", "name"), METHODS)
def test_the_usage_uses_a_method(id: str, name: str) -> None:
    usage = CARDS[id].usage
    assert usage is not None
    compile(usage.code, f"{id} usage", "exec", flags=1 << 13)  # top-level await is allowed
    assert any(other.rpartition(".")[2] in usage.code for other in CARDS[id].methods)


@pytest.mark.parametrize(("id", "claim"), CLAIMS)
def test_a_trial_declares_itself(id: str, claim: str) -> None:
    trial = load(id, claim)
    assert (trial.paper, trial.claim) == (id, claim)
    assert trial.name == find(id, claim)[1].trial
    assert {"smoke", "here"} <= set(trial.minutes)
    assert trial.minutes["here"] <= 10
    assert trial.title.endswith(".")
    assert any(measure.better for measure in trial.measures.values())


def _lacking(trial: Trial) -> list[str]:
    return needs.lacking(trial.needs["smoke"])


class Lent(LocalPool):
    """A pool that outlives a verification: those of one extra share a worker, and so one import of its frameworks."""

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")  # and no longer: what other modules count are their own workers
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Verify a claim at smoke in a mode, once (a claim's tests are one group, which runs in one process)."""
    record = f"sqlite:///{tmp_path_factory.mktemp('smoke')}/record.sqlite"
    pool = Lent(1)

    @cache
    def verify(id: str, claim: str, mode: str) -> dict[str, Any]:
        options = {mode: True} if mode != "trial" else {}
        (paper,) = sillok.verify(f"{id}/{claim}", scale="smoke", device="cpu", record=record, **options)
        return dict(paper["claims"][0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sillok.verify.api.executor_for", lambda on, jobs: pool)
        yield verify
    LocalPool.close(pool)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("id", "claim"),
    [pytest.param(*pair, marks=pytest.mark.xdist_group("/".join(pair))) for pair in CLAIMS],
)
class TestAtSmoke:
    """The trial as it is, as a placebo, and with its planted fault."""

    def test_it_runs(self, id: str, claim: str, smoke: Any) -> None:
        view, trial = smoke(id, claim, "trial"), load(id, claim)
        if _lacking(trial):
            assert view["verdict"] == "out of reach"
            assert view["reason"] == "; ".join(_lacking(trial))
            return
        assert view["verdict"] in ("upheld", "not upheld", "inconclusive"), view["reason"]
        assert {row["arm"] for row in view["measurements"]} == set(trial.arms)
        assert {row["metric"] for row in view["measurements"]} <= set(trial.measures)
        assert view["intervals"]

    @pytest.mark.parametrize("mode", ["placebo", "fault"])
    def test_what_must_not_be_upheld_is_not(self, id: str, claim: str, mode: str, smoke: Any) -> None:
        view = smoke(id, claim, mode)
        if _lacking(load(id, claim)):
            assert view["verdict"] == "out of reach"
            return
        assert view["verdict"] in ("not upheld", "inconclusive"), view["reason"]

    def test_a_seed_gives_the_same_numbers_in_another_process(self, id: str, claim: str, smoke: Any) -> None:
        view, trial = smoke(id, claim, "trial"), load(id, claim)
        if _lacking(trial):
            assert view["measurements"] == []
            return
        arms = [arm for arm in trial.arms if trial.interleave or arm == trial.arms[1]]
        pool = LocalPool(1)
        job = _job(trial, arms)
        try:
            answer = pool.submit(job, lambda share: None).result()
        finally:
            pool.close()
        assert answer.reason is None, answer.log
        stable = {name for name, measure in trial.measures.items() if not measure.timing}
        for run in answer.result["runs"]:
            expected = {
                row["metric"]: row["value"]
                for row in view["measurements"]
                if (row["arm"], row["seed"]) == (run["label"], 0) and row["metric"] in stable
            }
            assert {k: v for k, v in run["measures"].items() if k in stable} == pytest.approx(
                expected, rel=1e-6
            )
            assert expected


def _job(trial: Trial, arms: list[str]) -> Any:
    from sillok.verify.pool import Job

    message = {
        "op": "run",
        "trial": trial.name,
        "scale": "smoke",
        "device": "cpu",
        "memory_gb": trial.memory_gb,
        "threads": trial.cores,
        "runs": [{"label": arm, "arm": arm, "seed": 0, "fault": False} for arm in arms],
    }
    return Job(key="again", message=message, seconds=300)


def _shipped(id: str, claim: str, mode: str) -> list[tuple[Any, Any]]:
    return [
        (bundle, verdict)
        for bundle in results.shipped()
        for verdict in bundle.verdicts
        if (verdict.paper, verdict.claim, verdict.mode, verdict.scale) == (id, claim, mode, "here")
    ]


@pytest.mark.parametrize(("id", "claim"), CLAIMS)
@pytest.mark.parametrize("mode", ["trial", "placebo", "fault"])
def test_runs_at_here_are_shipped_and_their_verdict_follows_from_them(id: str, claim: str, mode: str) -> None:
    trial = load(id, claim)
    if "gpu" in trial.needs["here"] and not _shipped(id, claim, mode):
        assert "gpu" in json.dumps(trial.describe()["needs"])  # no GPU has been at hand yet: nothing to ship
        return
    found = _shipped(id, claim, mode)
    assert found, f"{id}/{claim}: no {mode} at here in results/"
    from sillok.verify import view

    for bundle, verdict in found:
        assert verdict.version == trial.version, "the trial changed: measure it again"
        runs = view.latest_runs(bundle.runs, verdict)
        table: dict[str, dict[int, dict[str, float]]] = {}
        for run in runs:
            assert run.state == "done" or run.arm in trial.peers
            if run.state == "done":
                table.setdefault(run.arm, {})[run.seed] = run.measures
        assert set(table) >= set(trial.judged)
        assert all(len(table[arm]) == trial.seeds["here"] for arm in trial.judged)
        again = worker.judge(trial, {"table": table, "scale": "here"})
        assert again["verdict"] == verdict.verdict
        if mode != "trial":
            assert verdict.verdict in ("not upheld", "inconclusive")
        elif verdict.verdict != "upheld":
            claimed = find(id, claim)[1]
            assert claimed.finding, "a claim that is not upheld is explained"
            assert claimed.finding_ko


def test_shipped_runs_name_their_machine_and_versions() -> None:
    assert results.shipped()
    for bundle in results.shipped():
        assert bundle.machine.data["cpu"]
        for run in bundle.runs:
            assert run.machine == bundle.machine.id
            assert run.fingerprint["sillok"]
            assert run.fingerprint["python"]
    assert fingerprint.machine()["id"]


def test_methods_import_nothing_of_sillok_but_their_family() -> None:
    root = Path(sillok.__file__).parent / "methods"
    shared = {f"sillok.methods.{path.stem}" for path in root.glob("[!_]*.py")}  # by several families
    for path in root.rglob("*.py"):
        family = path.relative_to(root).parts[0]
        for module in re.findall(r"^\s*(?:from|import) (sillok[\w.]*)", path.read_text(), flags=re.M):
            own = module.startswith(f"sillok.methods.{family}")
            assert own or module in shared, f"{path.name} imports {module}"
