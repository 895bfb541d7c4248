"""The engine end to end on toys: verdicts, failures that stay where they happen, resuming, placebo and fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

import sillok
from sillok.record import Record
from sillok.verify.engine import Quiet
from sillok.verify.plan import ClaimPlan


def verify(*claims: str, **options: object) -> dict[str, dict]:
    """Claim -> its view, at smoke."""
    targets = [f"2401.00001/{claim}" for claim in claims]
    (paper,) = sillok.verify(*targets, **({"scale": "smoke"} | options))
    return {claim["id"]: claim for claim in paper["claims"]}


def runs(**filters: object) -> list:
    with Record.open() as record:
        return record.runs(**filters)


def test_a_claim_is_upheld_with_its_evidence(toys: str) -> None:
    claim = verify("good")["good"]
    assert claim["verdict"] == "upheld"
    assert claim["intervals"]["loss, method / base"]["high"] < 0.9
    assert claim["seeds"] == [0, 1, 2]
    assert claim["paper"]["value"] == 0.5
    assert claim["machine"]["cpu"]
    assert claim["fingerprint"]["python"]
    assert [(m["arm"], m["seed"]) for m in claim["measurements"]] == [
        (arm, seed) for arm in ("base", "method") for seed in range(3)
    ]
    assert {m["unit"] for m in claim["measurements"]} == {"nats"}
    stored = runs()
    assert len(stored) == 6
    assert all(f"arm {run.arm} seed {run.seed}" in run.log for run in stored)
    assert stored[0].curves[0]["points"][0] == [1.0, 3.0]


def test_placebo_and_fault_are_not_upheld_and_share_the_baseline(toys: str) -> None:
    assert verify("good")["good"]["verdict"] == "upheld"
    placebo = verify("good", placebo=True)["good"]
    assert (placebo["verdict"], placebo["mode"]) == ("not upheld", "placebo")
    assert placebo["intervals"]["loss, method / base"]["mean"] == 1.0
    fault = verify("good", fault=True)["good"]
    assert (fault["verdict"], fault["mode"]) == ("not upheld", "fault")
    modes = [(run.mode, run.arm) for run in runs()]
    assert sorted(set(modes)) == [
        ("fault", "method"),
        ("placebo", "method"),
        ("trial", "base"),
        ("trial", "method"),
    ]
    assert len(modes) == 12


def test_a_rule_that_the_baseline_satisfies_is_found_by_its_placebo(toys: str) -> None:
    assert verify("always", placebo=True)["always"]["verdict"] == "upheld"


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("nan", "ValueError: loss is nan"),
        ("crash", "the worker crashed: SIGSEGV"),
        ("leaves", "the worker ended with exit code 7"),
        ("greedy", "memory limit of 0.4 GB"),
        ("killed", "killed (SIGKILL): by the kernel for memory, or by hand"),
        ("undeclared", "returned 'speed', which it does not declare"),
        ("raises", "ValueError: the method has no luck"),
    ],
)
def test_a_run_that_fails_is_stored_and_the_rest_go_on(toys: str, claim: str, reason: str) -> None:
    views = verify(claim, "good")
    assert views["good"]["verdict"] == "upheld"
    assert views[claim]["verdict"] == "failed"
    assert reason in views[claim]["reason"]
    stored = runs(claim=claim)
    assert len(stored) == 6
    failed = [run for run in stored if run.state == "failed"]
    assert failed
    assert all(reason in str(run.reason) for run in failed)
    if claim == "crash":
        assert "last words" in failed[0].log
    if claim == "raises":
        assert "Traceback" in failed[0].log


def test_a_run_that_hangs_is_stopped_with_its_children(toys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sillok.verify.plan._LEAST_LIMIT", 8.0)
    claim = verify("hang")["hang"]
    assert claim["verdict"] == "failed"
    assert "time limit of 8 s" in claim["reason"]
    assert sum(run.state == "done" for run in runs()) == 5
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "1000"]]


def test_megabytes_of_output_are_cut_in_the_middle(toys: str) -> None:
    assert verify("chatty")["chatty"]["verdict"] == "upheld"
    for run in runs(claim="chatty"):
        assert len(run.log) < 70_000
        assert run.log.startswith("first line")
        assert run.log.endswith("last line\n")
        assert "characters left out" in run.log


def test_a_peer_that_fails_does_no_harm(toys: str) -> None:
    claim = verify("peer")["peer"]
    assert claim["verdict"] == "upheld"
    assert sum(run.state == "failed" for run in runs()) == 3


@pytest.mark.parametrize(
    ("claim", "verdict", "reason"),
    [
        ("gpu", "out of reach", "needs a CUDA GPU"),
        ("program", "out of reach", "needs the program no-such-program"),
        ("norule", "failed", "has no rule"),
        ("missing", "failed", "does not import"),
        ("broken", "failed", "ImportError: a part is missing"),
    ],
)
def test_what_cannot_be_run_says_why(toys: str, claim: str, verdict: str, reason: str) -> None:
    views = verify(claim, "good")
    assert views["good"]["verdict"] == "upheld"
    assert views[claim]["verdict"] == verdict
    assert reason in views[claim]["reason"]
    assert views[claim]["measurements"] == []


def test_a_scale_that_a_trial_lacks(toys: str) -> None:
    claim = verify("good", scale="full")["good"]
    assert claim["verdict"] == "out of reach"
    assert "no scale 'full'" in claim["reason"]


def test_interleaved_arms_stand_in_one_process(toys: str) -> None:
    claim = verify("timed")["timed"]
    assert claim["verdict"] == "upheld"
    pids = {(m["seed"], m["value"]) for m in claim["measurements"] if m["metric"] == "loss"}
    assert len(pids) == 3
    assert claim["intervals"]["seconds, method / base"]["mean"] == pytest.approx(0.1)
    assert verify("timed", placebo=True)["timed"]["verdict"] == "not upheld"
    assert verify("timed", fault=True)["timed"]["verdict"] == "not upheld"
    assert {(run.mode, run.arm) for run in runs()} == {
        (mode, arm) for mode in ("trial", "placebo", "fault") for arm in ("base", "method")
    }


def test_workers_stay_warm(toys: str) -> None:
    verify("torch", jobs=1)
    assert sorted(run.log.strip() for run in runs()) == ["FIRST", *["WARM"] * 5]


def test_what_is_there_is_not_run_again_unless_asked(toys: str) -> None:
    first = verify("good")["good"]
    before = {run.id: run.started for run in runs()}
    second = verify("good")["good"]
    assert {run.id: run.started for run in runs()} == before
    assert second["measurements"] == first["measurements"]
    third = verify("good", again=True)["good"]
    stored = runs()
    assert len(stored) == 12
    assert {run.attempt for run in stored} == {1, 2}
    assert third["measurements"] == first["measurements"]  # the same seeds give the same numbers


def test_a_budget_takes_the_cheapest_and_names_the_rest(toys: str) -> None:
    left: list[str] = []

    class Listener(Quiet):
        def planned(self, chosen: list[ClaimPlan], left_out: list[ClaimPlan]) -> None:
            left.extend(plan.claim.id for plan in left_out)

    verify("slow", "good")  # from now on it is known what they take
    views = verify("slow", "good", minutes=0.05, again=True, reporter=Listener(), jobs=1)
    assert left == ["slow"]
    assert views["good"]["verdict"] == "upheld"
    assert views["slow"]["verdict"] is None


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sillok.cli", "verify", *arguments, "--scale", "smoke", "--jobs", "1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for_runs(count: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if Record.exists() and len(runs(with_logs=False)) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{count} runs did not come")


def test_killing_sillok_loses_only_the_run_in_flight(toys: str) -> None:
    process = _start("2401.00001/slow")
    _wait_for_runs(2)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive  # workers do not outlive Sillok
    before = {run.id: run.started for run in runs()}
    assert 2 <= len(before) < 6
    assert verify("slow")["slow"]["verdict"] == "upheld"
    after = {run.id: run.started for run in runs()}
    assert len(after) == 6
    assert before.items() <= after.items()


def test_ctrl_c_ends_with_one_line_and_keeps_what_ended(toys: str) -> None:
    command = [
        sys.executable,
        "-m",
        "sillok.cli",
        "verify",
        "2401.00001/slow",
        "--scale",
        "smoke",
        "--jobs",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    _wait_for_runs(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert len(runs()) >= 1


def test_two_at_once_lose_nothing(toys: str) -> None:
    processes = [_start("2401.00001/slow", "2401.00001/good") for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert len(runs()) == 12
    with Record.open() as record:
        assert {v.claim: v.verdict for v in record.verdicts()} == {"slow": "upheld", "good": "upheld"}


@pytest.mark.slow
def test_the_same_on_a_local_ray_cluster(toys: str) -> None:
    views = verify("good", "crash", "timed", on="ray")
    assert views["good"]["verdict"] == "upheld"
    assert views["timed"]["verdict"] == "upheld"
    assert views["crash"]["verdict"] == "failed"
    assert "SIGSEGV" in views["crash"]["reason"]
    assert len(runs()) == 18


def test_a_wish_to_stop_ends_at_once_and_keeps_what_ended(toys: str) -> None:
    from sillok.verify.engine import Engine, StoppedError
    from sillok.verify.plan import Setting
    from sillok.verify.pool import LocalPool
    from sillok.verify.targets import resolve

    stop = threading.Event()

    class Watch(Quiet):
        def finished(self, plan: ClaimPlan, run: object) -> None:
            stop.set()

    with Record.open() as record:
        pool = LocalPool(1)
        engine = Engine(record, pool, Watch(), Setting(scale="smoke"), stop)
        with pytest.raises(StoppedError):
            engine.verify(resolve([f"{toys}/slow"]).claims)
        pool.close()
        with pytest.raises(StoppedError):
            engine.verify(resolve([f"{toys}/slow"]).claims)
    assert [run.state for run in runs()] == ["done"], "the run in flight is no failed run"


def test_a_log_can_be_read_while_it_grows() -> None:
    from sillok.verify.pool import BoundedLog

    log = BoundedLog()
    log.write("one")
    assert log.peek() == "one" and log.peek() == "one"
    log.write("x" * 100_000)
    assert "characters left out" in log.peek() and log.peek() == log.take()
    assert log.peek() == ""
