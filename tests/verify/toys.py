"""Trials of no paper: each strains the engine in one way. Their cards are written by the tests."""

from __future__ import annotations

import math
import os
import signal
import sys
import time

from sillok.verify import Interleave, Measure, Paired, Run, Timed, Truth, timing, trial

COMMON = {
    "paper": "2401.00001",
    "arms": ("base", "method"),
    "measures": {"loss": Measure("nats", "lower")},
    "minutes": {"smoke": 0.1, "here": 1.0},
    "fault": "the gain is dropped",
    "seeds": 3,
}


def _loss(run: Run) -> float:
    gain = 0.5 if run.arm == "method" and not run.fault else 0.0
    return 2.0 - gain + 0.01 * float(run.rng("noise").normal())


@trial(claim="good", **COMMON)
def good(run: Run) -> dict[str, float]:
    """The method has a lower loss."""
    print(f"arm {run.arm} seed {run.seed} pid {os.getpid()}")
    run.progress(1, 2)
    run.curve("loss", [1, 2, 3], [3, 2.5, _loss(run)], x_label="step", y_label="nats")
    return {"loss": _loss(run)}


@good.upheld_if
def _(paired: Paired) -> Truth:
    return paired.ratio("loss").at_most(0.9)


def variant(name: str, **changes: object):
    """Declare a toy under a claim of its own, with the rule of ``good``."""

    def wrap(body):
        made = trial(**(COMMON | {"claim": name} | changes))(body)
        made.upheld_if(lambda paired: paired.ratio("loss").at_most(0.9))
        return made

    return wrap


@variant("peer", arms=("base", "method", "peer"), peers=("peer",))
def peer(run: Run) -> dict[str, float]:
    """A peer that fails does no harm."""
    if run.arm == "peer":
        raise RuntimeError("a peer's own trouble")
    return {"loss": _loss(run)}


@variant("nan")
def nan(run: Run) -> dict[str, float]:
    """Returns a number that is none."""
    return {"loss": math.nan if run.arm == "method" and run.seed == 1 else _loss(run)}


@variant("crash")
def crash(run: Run) -> dict[str, float]:
    """Dies of a segmentation fault."""
    if run.arm == "method" and run.seed == 1:
        print("last words", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"loss": _loss(run)}


@variant("leaves")
def leaves(run: Run) -> dict[str, float]:
    """Calls exit."""
    if run.arm == "method":
        sys.exit(7)
    return {"loss": _loss(run)}


@variant("hang", minutes={"smoke": 0.001})
def hang(run: Run) -> dict[str, float]:
    """Never ends, and has a child that does not either."""
    if run.arm == "method" and run.seed == 0:
        os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "1000")
        time.sleep(1000)
    return {"loss": _loss(run)}


@variant("greedy", memory_gb=0.4)
def greedy(run: Run) -> dict[str, float]:
    """Takes more memory than it declares, slowly."""
    if run.arm == "method" and run.seed == 2:
        held = []
        for _ in range(60):
            held.append(bytearray(os.urandom(1) * (32 * 2**20)))
            time.sleep(0.05)
    return {"loss": _loss(run)}


@variant("killed")
def killed(run: Run) -> dict[str, float]:
    """Is killed as the kernel kills for memory."""
    if run.arm == "method" and run.seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": _loss(run)}


@variant("chatty")
def chatty(run: Run) -> dict[str, float]:
    """Prints five megabytes."""
    print("first line")
    for _ in range(50):
        print("x" * 100_000)
    print("last line", file=sys.stderr)
    return {"loss": _loss(run)}


@variant("undeclared")
def undeclared(run: Run) -> dict[str, float]:
    """Returns what it does not declare."""
    return {"speed": 1.0}


@variant("slow")
def slow(run: Run) -> dict[str, float]:
    """Takes a moment a run."""
    time.sleep(0.7)
    return {"loss": _loss(run)}


@variant("gpu", needs=("gpu",))
def gpu(run: Run) -> dict[str, float]:
    """Needs a GPU."""
    return {"loss": _loss(run)}


@variant("program", needs=("exe:no-such-program",))
def program(run: Run) -> dict[str, float]:
    """Needs a program that nobody has."""
    return {"loss": _loss(run)}


@variant("torch")
def torch_pid(run: Run) -> dict[str, float]:
    """Imports a module and tells whether this process had it already."""
    first = "xml.dom.minidom" not in sys.modules
    import xml.dom.minidom  # noqa: F401

    print("FIRST" if first else "WARM")
    return {"loss": _loss(run)}


class Clock:
    """Stands for the module `time` where the engine times, so that no real timing decides a test."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()


@trial(
    claim="timed",
    paper="2401.00001",
    arms=("base", "method"),
    measures={"seconds": Measure("s", "lower", timing=True), "loss": "nats"},
    minutes={"smoke": 0.1},
    fault="sleeps as long as the baseline",
    seeds=3,
    interleave=Interleave(warmup=1, repeats=5),
)
def timed(run: Run) -> Timed:
    """The method takes a tenth of the time, by a clock that only its calls move."""
    nap = 0.002 if run.arm == "method" and not run.fault else 0.02
    timing.time = CLOCK

    def call() -> None:
        CLOCK.now += nap

    return Timed({"seconds": call}, {"loss": float(os.getpid())})


@timed.upheld_if
def _(paired: Paired) -> Truth:
    return paired.ratio("seconds").at_most(0.8)


@variant("raises")
def raises(run: Run) -> dict[str, float]:
    """Raises in one arm."""
    if run.arm == "method":
        raise ValueError("the method has\nno luck")
    return {"loss": _loss(run)}


@trial(claim="norule", **COMMON)
def norule(run: Run) -> dict[str, float]:
    """Has no rule."""
    return {"loss": 1.0}


@trial(claim="always", **COMMON)
def always(run: Run) -> dict[str, float]:
    """Has a rule that anything satisfies: the placebo must find it."""
    return {"loss": _loss(run)}


@always.upheld_if
def _(paired: Paired) -> Truth:
    return paired.ratio("loss").at_most(1.5)
