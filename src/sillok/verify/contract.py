"""The trial contract: what a trial declares, and what its body is given."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sillok.verify.stats import Paired, Truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PEER_SEEDS = 3
SCALES = ("smoke", "here", "full")
MODES = ("trial", "placebo", "fault")

T = TypeVar("T")


@dataclass(frozen=True)
class Measure:
    """One measured quantity: its unit, and whether less or more of it is better.

    A ``timing`` depends on what else the machine does: a repeated run need not give the same number.
    """

    unit: str
    better: Literal["lower", "higher"] | None = None
    timing: bool = False
    text: str = ""


@dataclass(frozen=True)
class Timed:
    """What the body of an interleaved trial returns: calls to be timed, arm by turn, by the engine.

    ``calls`` maps a metric to a function without arguments; the engine stores the median of its seconds
    under that metric. ``measures`` holds what the body measured itself.
    """

    calls: Mapping[str, Callable[[], object]]
    measures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Interleave:
    """How an interleaved trial is timed: untimed calls first, then ``repeats`` rounds over all arms."""

    warmup: int = 3
    repeats: int = 20


Measures = Mapping[str, float]
Body = Callable[["Run"], Measures | Timed]
Rule = Callable[[Paired], Truth | bool]
Draw = Callable[[], "NDArray[np.uint8]"]


@dataclass(frozen=True)
class Picture:
    """A picture of a paper's page: ``draw`` gives it as (H, W, 3) in 8 bits, the same at every call."""

    name: str
    caption: str
    draw: Draw


class Run:
    """One arm under one seed at one scale, as the body of a trial sees it.

    Attributes:
        arm: what to do. In a placebo run this is the baseline, whatever the arm is called in the table.
        seed: the same for every arm of a pair.
        scale: "smoke", "here" or "full".
        device: a PyTorch device string.
        fault: True when the method is to be broken in the way that the trial names.
    """

    def __init__(
        self,
        *,
        arm: str,
        seed: int,
        scale: str,
        device: str = "cpu",
        fault: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ):
        self.arm, self.seed, self.scale, self.device, self.fault = arm, seed, scale, device, fault
        self.curves: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._on_progress = on_progress

    def pick(self, **by_scale: T) -> T:
        """The value for this run's scale; a scale that is not named takes the nearest smaller one.

        Raises:
            ValueError: an unknown scale is named, or none at or below this run's scale.
        """
        unknown = set(by_scale) - set(SCALES)
        if unknown:
            raise ValueError(f"unknown scale {sorted(unknown)[0]!r}: there are {', '.join(SCALES)}")
        for scale in reversed(SCALES[: SCALES.index(self.scale) + 1]):
            if scale in by_scale:
                return by_scale[scale]
        raise ValueError(f"no value for scale {self.scale!r} or a smaller one among {sorted(by_scale)}")

    def subseed(self, name: str = "") -> int:
        """A seed of 63 bits for one purpose, the same in every arm of a pair."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def generator(self, name: str = "", device: str = "cpu") -> Any:
        """A ``torch.Generator`` for one purpose, in the same state in every arm of a pair."""
        import torch

        return torch.Generator(device).manual_seed(self.subseed(name))

    def rng(self, name: str = "") -> np.random.Generator:
        """A NumPy generator for one purpose, in the same state in every arm of a pair."""
        import numpy as np

        return np.random.default_rng(self.subseed(name))

    def progress(self, done: float, total: float) -> None:
        """Tell how far the run is; cheap enough to call at every step."""
        if self._on_progress and total > 0:
            self._on_progress(min(1.0, max(0.0, done / total)))

    def curve(
        self,
        name: str,
        x: Sequence[float],
        y: Sequence[float],
        *,
        x_label: str,
        y_label: str,
        log: Literal["", "x", "y", "xy"] = "",
        series: str = "",
    ) -> None:
        """Keep a curve beside the measures: it is drawn in the report, one line an arm (and series)."""
        if len(x) != len(y):
            raise ValueError(f"curve {name!r} has {len(x)} x and {len(y)} y")
        points = [[float(a), float(b)] for a, b in zip(x, y, strict=True) if math.isfinite(a + b)]
        self.curves.append(
            {"name": name, "series": series, "x": x_label, "y": y_label, "log": log, "points": points}
        )

    def note(self, text: str) -> None:
        """A line for the run's log."""
        self.notes.append(text)


@dataclass(eq=False)
class Trial:
    """A program that measures one claim. Made by `trial`; run by the engine, never by calling it."""

    name: str
    paper: str
    claim: str
    arms: tuple[str, ...]
    measures: dict[str, Measure]
    seeds: dict[str, int]
    minutes: dict[str, float]
    needs: dict[str, tuple[str, ...]]
    fault: str
    body: Body
    peers: tuple[str, ...] = ()
    interleave: Interleave | None = None
    cores: int = 1
    memory_gb: float = 4.0
    version: int = 1
    title: str = ""
    rule: Rule | None = None
    pictures: list[Picture] = field(default_factory=list)

    @property
    def judged(self) -> tuple[str, ...]:
        """The arms that the rule may look at: all but the peers, the baseline first."""
        return tuple(arm for arm in self.arms if arm not in self.peers)

    def upheld_if(self, rule: Rule) -> Rule:
        """Declare the rule that turns measurements into a verdict."""
        self.rule = rule
        return rule

    def pictured(self, name: str, caption: str) -> Callable[[Draw], Draw]:
        """Declare a picture for the paper's page; the decorated function draws it, when pages are made.

        Args:
            name: a slug, different from the trial's other pictures.
            caption: what there is to see, in one or two sentences.
        """
        if not name or not all(c.isalnum() or c == "-" for c in name):
            raise ValueError(f"name of a picture must be letters, digits and hyphens; got {name!r}")
        if any(picture.name == name for picture in self.pictures):
            raise ValueError(f"name of a picture is taken: {name!r}")

        def wrap(draw: Draw) -> Draw:
            self.pictures.append(Picture(name, caption, draw))
            return draw

        return wrap

    def describe(self) -> dict[str, Any]:
        """The declaration as JSON: what the planner, the store and the report need."""
        return {
            "name": self.name,
            "paper": self.paper,
            "claim": self.claim,
            "title": self.title,
            "arms": list(self.arms),
            "peers": list(self.peers),
            "measures": {key: vars(measure) for key, measure in self.measures.items()},
            "seeds": self.seeds,
            "minutes": self.minutes,
            "needs": {scale: list(needs) for scale, needs in self.needs.items()},
            "fault": self.fault,
            "interleave": vars(self.interleave) if self.interleave else None,
            "cores": self.cores,
            "memory_gb": self.memory_gb,
            "version": self.version,
        }


def trial(
    *,
    paper: str,
    claim: str,
    arms: Sequence[str],
    measures: Mapping[str, Measure | str],
    minutes: Mapping[str, float],
    fault: str,
    needs: Sequence[str] | Mapping[str, Sequence[str]] = (),
    seeds: int | Mapping[str, int] = 5,
    peers: Sequence[str] = (),
    interleave: Interleave | None = None,
    cores: int = 1,
    memory_gb: float = 4.0,
    version: int = 1,
) -> Callable[[Body], Trial]:
    """Declare a trial; the decorated function is its body.

    Args:
        paper, claim: the card and the claim that it measures.
        arms: the baseline first, then the paper's method, then other judged arms and the peers.
        measures: metric -> `Measure`, or its unit as a string. The body returns some or all of them.
        minutes: scale -> minutes that all arms and seeds may take there together. A scale that is not
            named does not exist for this trial.
        fault: how the method is broken when ``run.fault`` is True; the verdict must then not be upheld.
        needs: an extra's name, "gpu", "exe:NAME", "module:NAME" or "weights:NAME" (a path or hub id in the
            environment variable SILLOK_WEIGHTS_NAME); a mapping gives them by scale.
        seeds: three at least; five are the default, since a range of three holds the truth too seldom.
        peers: arms that are shown but not judged: they run under three seeds, and never as placebo or fault.
        interleave: set when the body returns `Timed`; then one process measures all arms of a seed.
        cores: processor cores that one run keeps busy.
        memory_gb: resident memory of a run's process tree, in GB, above which it is stopped.
        version: raise it when the trial changes, so that earlier runs count no more.

    Raises:
        ValueError: fewer than two judged arms or three seeds, an unknown scale, a peer that is no arm.
    """
    arms, peers = tuple(arms), tuple(peers)
    for scale in [*minutes, *(seeds if isinstance(seeds, Mapping) else ())]:
        if scale not in SCALES:
            raise ValueError(f"unknown scale {scale!r}: there are {', '.join(SCALES)}")
    if not set(peers) <= set(arms) or arms[0] in peers or len(set(arms)) != len(arms):
        raise ValueError(f"peers {peers} must be among the arms {arms}, each arm once, the baseline no peer")
    if len(arms) - len(peers) < 2:
        raise ValueError(f"a trial compares at least two judged arms, not {arms} less {peers}")
    counts = {scale: seeds if isinstance(seeds, int) else seeds.get(scale, 5) for scale in minutes}
    if min(counts.values()) < 3:
        raise ValueError(f"a trial takes three seeds at least, not {min(counts.values())}")
    if not fault:
        raise ValueError("a trial names the fault that it must notice")
    by_scale = {
        scale: tuple(needs.get(scale, ()) if isinstance(needs, Mapping) else needs) for scale in minutes
    }

    def wrap(body: Body) -> Trial:
        return Trial(
            name=f"{body.__module__}.{body.__qualname__}",
            paper=paper,
            claim=claim,
            arms=arms,
            measures={k: m if isinstance(m, Measure) else Measure(m) for k, m in measures.items()},
            seeds=counts,
            minutes=dict(minutes),
            needs=by_scale,
            fault=fault,
            body=body,
            peers=peers,
            interleave=interleave,
            cores=cores,
            memory_gb=memory_gb,
            version=version,
            title=(body.__doc__ or "").strip().split("\n")[0],
        )

    return wrap
