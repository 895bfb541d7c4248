"""What the conditional generators share: condition and null condition, starting noise, guided sampling, measure."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch

from sillok.testbeds import digits, scores, shapes
from sillok.testbeds.base import Exhibit, Testbed, check_count
from sillok.testbeds.training import at_step

# samples that `measure` draws at each guidance scale, the steps that each takes, and the scales
SAMPLES, STEPS = 256, 25
GUIDANCES = (1.0, 2.0, 4.0)


class Generator(Testbed):
    """A denoiser with a condition, and a null condition for classifier-free guidance.

    A condition is a tensor whose first dimension counts the samples: class labels (N,), or the tokens (N, L)
    of captions. A subclass states `shape`, `condition`, `unconditional`, `scheduler`, `predict`, `data`.
    """

    floor: ClassVar[float] = 0.95

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of one sample, such as (3, 32, 32)."""

    @abstractmethod
    def condition(self, labels: Any) -> torch.Tensor:
        """The condition (N, ...) that labels or captions stand for.

        Raises:
            ValueError: something that the model knows no word or class for.
        """

    @abstractmethod
    def unconditional(self, n: int) -> torch.Tensor:
        """The null condition, n times."""

    @abstractmethod
    def scheduler(self) -> Any:
        """A fresh Diffusers scheduler that samples from this model."""

    @abstractmethod
    def predict(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The network's raw output for x (N, *shape), a timestep () or (N,) and a condition (N, ...)."""

    @abstractmethod
    def batch(self, seed: int, step: int, size: int) -> tuple[torch.Tensor, Any]:
        """Samples (size, *shape) of one training step, and what `condition` takes for them."""

    def batch_for_step(
        self, seed: int, step: int, size: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Generator]:
        """One training batch: samples, conditions (some dropped to the null one), noise, and a generator.

        All of it follows from seed and step; the generator is for what else the loss draws.
        """
        generator = at_step(seed, step)
        samples, labels = self.batch(seed, step, size)
        condition = self.condition(labels)
        noise = torch.randn(samples.shape, generator=generator)
        rate: float = self.recipe.label_dropout  # type: ignore[attr-defined]
        dropped = torch.rand(size, generator=generator) < rate
        dropped = dropped.view(-1, *[1] * (condition.ndim - 1))
        return samples, torch.where(dropped, self.unconditional(size), condition), noise, generator

    def noise(self, n: int, seed: int = 0) -> torch.Tensor:
        """(n, *shape) starting noise drawn from `seed`; the first rows do not depend on n."""
        check_count("n", n)
        rows = [torch.Generator().manual_seed(seed * 1_000_003 + row) for row in range(n)]
        return torch.stack([torch.randn(self.shape, generator=row) for row in rows])

    def sample(
        self, labels: Any, *, guidance: float = 2.0, steps: int = STEPS, seed: int = 0, batch: int = 128
    ) -> torch.Tensor:
        """Samples (N, *shape) of the labels or captions, by classifier-free guidance, not clipped.

        Args:
            labels: what `condition` takes, N of them.
            guidance: weight w of the conditional branch; 1 is no guidance (and one branch).
            steps: of the sampler.
            seed: of the starting noise.
            batch: samples that go through the network together.

        Raises:
            ValueError: labels that the model does not know, or a count below 1.
        """
        condition = self.condition(labels)
        check_count("steps", steps)
        check_count("batch", batch)
        return self._draw(self.model, condition, guidance, steps, seed, batch)

    @torch.no_grad()
    def _draw(
        self, model: Any, condition: torch.Tensor, guidance: float, steps: int, seed: int, batch: int
    ) -> torch.Tensor:
        done = []
        noise = self.noise(len(condition), seed)
        for x, c in zip(noise.split(batch), condition.split(batch), strict=True):
            scheduler = self.scheduler()
            scheduler.set_timesteps(steps)
            both = torch.cat([c, self.unconditional(len(c))])
            for t in scheduler.timesteps:
                if guidance == 1:
                    output = self.predict(model, x, t, c)
                else:
                    conditional, null = self.predict(model, torch.cat([x, x]), t, both).chunk(2)
                    output = null + guidance * (conditional - null)
                x = scheduler.step(output, t, x).prev_sample
            done.append(x)
        return torch.cat(done)


class ImageGenerator(Generator):
    """A generator of square images of labelled classes, which a judge can recognise."""

    scales: ClassVar[tuple[float, ...]] = GUIDANCES  # that `measure` draws at
    classes: ClassVar[int]
    columns: ClassVar[int]  # of a sheet with one sample of each class

    @property
    def pixels(self) -> int:
        """Width and height of the images."""
        pixels: int = self.recipe.pixels  # type: ignore[attr-defined]
        return pixels

    @abstractmethod
    def data(self, split: str, *, n: int = 1024, seed: int = 0) -> Any:
        """Images (N, C, H, W) and labels (N,) of a split."""

    @abstractmethod
    def judge(self, n: int = 2048) -> scores.Judge:
        """A judge of this model's samples, whose reference is `n` images of its own validation split."""

    def held(self, n: int, seed: int) -> Any:
        """`n` images and labels of the test split, made as the training images are."""
        return self.data("test", n=n, seed=seed)

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Scores of samples at the guidance `scales`, and of held-out real images beside them."""

        def draw(labels: torch.Tensor, guidance: float) -> torch.Tensor:
            return self._draw(model, self.condition(labels), guidance, STEPS, seed, 128)

        count = SAMPLES if n is None else n
        real = self.held(count, seed)
        return scores.measure_generator(
            draw, self.judge(max(count, 512)), real.images, real.labels, self.scales
        )

    def exhibits(self) -> list[Exhibit]:
        """Samples of every class at the guidance `scales`, from the same noise."""
        from sillok.testbeds.pictures import grid, unit

        labels = torch.arange(self.classes)
        return [
            Exhibit(
                f"samples-{guidance:g}",
                f"One sample of each class at guidance {guidance:g}, in {STEPS} steps, from the same noise.",
                grid(unit(self.sample(labels, guidance=guidance, seed=7)), self.columns, 4),
            )
            for guidance in self.scales
        ]


class ClassConditional(ImageGenerator):
    """A generator whose condition is a class label; the class after the last is the null condition."""

    @property
    def null(self) -> int:
        """The label of the unconditional branch."""
        return self.classes

    def condition(self, labels: Any) -> torch.Tensor:
        """The labels (N,) themselves.

        Raises:
            ValueError: another shape, or a label out of range.
        """
        labels = torch.as_tensor(labels)
        if labels.ndim != 1 or not len(labels) or int(labels.min()) < 0 or int(labels.max()) >= self.null:
            raise ValueError(
                f"labels must have shape (N,) and lie in [0, {self.null - 1}]; got {tuple(labels.shape)}"
            )
        return labels

    def unconditional(self, n: int) -> torch.Tensor:
        """(n,) times `null`."""
        return torch.full((n,), self.null)


class ShapesGenerator(ImageGenerator):
    """A model of shapes images of 16 classes."""

    classes = shapes.CLASSES
    columns = len(shapes.COLOURS)

    @property
    def shape(self) -> tuple[int, ...]:
        """(3, pixels, pixels)."""
        return (3, self.pixels, self.pixels)

    @property
    def turn(self) -> float:
        """Width of the range of angles that the shapes of this size have, in radians."""
        turn: float = self.recipe.turn  # type: ignore[attr-defined]
        return turn

    def data(self, split: str, *, n: int = 1024, seed: int = 0, labels: Any = None) -> shapes.ShapesData:
        """`n` images of a split, as `Shapes.data` gives them."""
        return shapes.tensors(
            shapes.sample_scenes(n, seed, split=split, labels=labels, turn=self.turn), self.pixels
        )

    def batch(self, seed: int, step: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images never seen before, and their classes."""
        data = self.data("train", n=size, seed=seed * 1_000_003 + step)
        return data.images, data.labels

    def judge(self, n: int = 2048) -> scores.Judge:
        """A judge of this model's samples, whose reference is `n` images of its own validation split."""
        return scores.Judge.of(self.size, reference=self.data("val", n=n).images)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """The share of guided samples that is recognised is at least `floor`; colours within 0.1."""
        return {"accuracy_best": (self.floor, 1.0), "saturation_gap@2": (-0.1, 0.1)}


class DigitsGenerator(ImageGenerator):
    """A model of handwritten digits."""

    classes = digits.CLASSES
    columns = 5

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, pixels, pixels)."""
        return (1, self.pixels, self.pixels)

    def data(
        self, split: str, *, n: int | None = None, seed: int = 0, augment: bool = False
    ) -> digits.DigitsData:
        """`n` images of a split, as `Digits.data` gives them."""
        return digits.sample(split, self.pixels, n=n, seed=seed, augment=augment)

    def held(self, n: int, seed: int) -> digits.DigitsData:
        """`n` augmented images and labels of the test split."""
        return self.data("test", n=n, seed=seed, augment=True)

    def batch(self, seed: int, step: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images shifted, turned, scaled and sheared a little, and their classes."""
        data = self.data("train", n=size, seed=seed * 1_000_003 + step, augment=True)
        return data.images, data.labels

    def judge(self, n: int = 2048) -> scores.Judge:
        """A judge of this model's samples, whose reference is at most `n` augmented validation images."""
        return scores.Judge.of(
            self.size, reference=self.data("val", n=n, augment=True).images, testbed="digits"
        )

    def bounds(self) -> dict[str, tuple[float, float]]:
        """The share of guided samples that is recognised is at least `floor`."""
        return {"accuracy_best": (self.floor, 1.0)}
