"""The contract of the testbeds: data with splits, a trained model, its recipe and its measured quality.

Nothing here imports a framework when it is itself imported, so that `import sillok.testbeds` stays light.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from sillok.testbeds.training import Progress

CHECKPOINTS = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what a testbed's training gives; `hash` changes when any field does.

    `version` is raised by hand when code that the fields do not show (a loss, say) changes its meaning.
    """

    version: int = 1
    steps: int
    batch: int
    lr: float
    weight_decay: float = 0.01
    ema: float = 0.0
    optimizer: str = "adamw"  # or "muon"
    outer: float = 1.0  # rate of what Muon leaves to AdamW, over Muon's own

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the recipe's canonical JSON."""
        text = json.dumps({"kind": type(self).__name__, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Exhibit:
    """Something that a testbed's page shows: a picture (H, W, 3) in 8 bits, or a block of text, or both."""

    name: str
    caption: str
    image: NDArray[np.uint8] | None = None
    text: str = ""


@dataclass(frozen=True)
class Check:
    """What `check` found: figures measured now, those shipped, and the bounds they must keep."""

    quality: dict[str, float]
    shipped: dict[str, float]
    bounds: dict[str, tuple[float, float]]

    @property
    def failures(self) -> list[str]:
        """One line for each figure that lies outside its bounds (or was not measured)."""
        lines = []
        for metric, (low, high) in self.bounds.items():
            value = self.quality.get(metric, float("nan"))
            if not low <= value <= high:
                lines.append(f"{metric} is {value:.4g}, and must lie in [{low:g}, {high:g}]")
        return lines

    @property
    def ok(self) -> bool:
        """Whether every bound holds."""
        return not self.failures


class Testbed(ABC):
    """One small real problem: data with splits, a model in its host library's class, and how it was trained.

    A subclass states `name`, `recipes` (one for each size) and `bounds`, and implements `build`, `data`,
    `fit` and `measure`. `model`, `quality` and `log` are there after `load`.
    """

    __test__ = False  # the name starts with "Test", and pytest collects by name
    name: ClassVar[str]
    recipes: ClassVar[Mapping[str, Recipe]]

    def __init__(self, size: str = "s") -> None:
        if size not in self.recipes:
            raise ValueError(
                f"size of testbed {self.name!r} must be one of {', '.join(self.recipes)}; got {size!r}"
            )
        self.size = size
        self.quality: dict[str, float] = {}
        self.log: list[dict[str, float]] = []
        self.facts: dict[str, Any] = {}
        self._model: torch.nn.Module | None = None

    @property
    def recipe(self) -> Recipe:
        """The frozen recipe of this size."""
        return self.recipes[self.size]

    @property
    def summary(self) -> str:
        """The first line of the class's docstring."""
        return (type(self).__doc__ or "").strip().splitlines()[0]

    @property
    def model(self) -> Any:
        """The trained model, in evaluation mode.

        Raises:
            RuntimeError: the testbed was built without weights (use `sillok.testbeds.load`).
        """
        if self._model is None:
            raise RuntimeError(f"testbed {self.name!r} has no weights yet; use sillok.testbeds.load")
        return self._model

    @property
    def whole(self) -> Any:
        """What `build` made and a checkpoint holds: the model, with its text encoder where it has one."""
        return self.model

    def bounds(self) -> dict[str, tuple[float, float]]:
        """For each guarded figure of `quality`, the lowest and highest value that `check` accepts."""
        return {}

    @abstractmethod
    def build(self, seed: int = 0) -> Any:
        """A model with fresh weights drawn from `seed`."""

    @abstractmethod
    def data(self, split: str) -> Any:
        """The data of a split; every testbed adds keyword options and states its return type."""

    @abstractmethod
    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Train `model` in place and return the weights to ship (the moving average, where there is one)."""

    @abstractmethod
    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Quality on held-out data; fewer samples `n` cost less and err more, None is the full measure."""

    def exhibits(self) -> list[Exhibit]:
        """What this testbed's page shows beside its loss curve and its figures."""
        return []

    def use(self, model: Any) -> None:
        """Adopt `model` as this testbed's own, in evaluation mode and without gradients."""
        self._model = model.eval().requires_grad_(False)

    def describe(self) -> str:
        """A few lines of text: size, parameters, training and measured quality."""
        lines = [f"{self.name}-{self.size}: {self.summary}"]
        if self.facts:
            lines.append(
                f"  {self.facts['parameters']:,} parameters, {self.facts['steps']:,} steps in "
                f"{self.facts['seconds']:.0f} s on {self.facts['device']}, recipe {self.recipe.hash}"
            )
        lines += [f"  {metric:24s} {value:.4g}" for metric, value in self.quality.items()]
        return "\n".join(lines)


def check_split(split: str, accepted: tuple[str, ...]) -> None:
    """Raise ValueError when `split` is not one of `accepted`."""
    if split not in accepted:
        raise ValueError(f"split must be one of {', '.join(accepted)}; got {split!r}")


def check_count(name: str, value: int, low: int = 1) -> None:
    """Raise ValueError when `value` is no integer of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}; got {value!r}")
