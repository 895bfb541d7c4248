"""Short clips of one moving shape with captions, and a classifier that judges them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sillok.testbeds import scores, shapes
from sillok.testbeds.base import Exhibit, Recipe, Testbed, check_count
from sillok.testbeds.training import Progress, at_step, fresh, optimise

HEADINGS = ("right", "down", "left", "up")
CLASSES = shapes.CLASSES * len(HEADINGS)
FRAMES, PIXELS = 8, 24
VERSION = 2  # of the distribution that `sample_movers` draws from, and of the size of its pictures


def sample_movers(
    n: int, seed: int = 0, *, split: str = "train", labels: NDArray[np.int64] | None = None
) -> shapes.Clips:
    """Clips of eight frames in which one upright shape moves straight ahead, and stays wholly in view.

    Args:
        n: how many; a clip depends on seed, split and its own index alone.
        seed: of the random numbers.
        split: train, val or test.
        labels: (n,) classes in [0, 63] to draw instead of random ones: class of the still image x 4 + heading.

    Returns:
        `Clips` with tracks, flow, depth and captions like any others; `label_of` gives their classes.

    Raises:
        ValueError: a count below 1, an unknown split, labels of another shape or range.
    """
    check_count("n", n)
    clips = shapes.sample_clips(n, FRAMES, seed, split=split, objects=(1, 1), still=0, spin=0)
    rng = np.random.default_rng([shapes.SPLITS.index(split), seed, VERSION, 11])
    u = rng.random((n, 7))
    label = (u[:, 0] * CLASSES).astype(np.int64) if labels is None else np.asarray(labels, np.int64)
    if label.shape != (n,) or label.min() < 0 or label.max() >= CLASSES:
        raise ValueError(
            f"labels must have shape ({n},) and lie in [0, {CLASSES - 1}]; got shape {label.shape}"
        )
    still, heading = np.divmod(label, len(HEADINGS))
    stills = shapes.sample_scenes(n, seed, split=split, labels=still, turn=0.6)
    ahead = np.stack([np.cos(heading * np.pi / 2), np.sin(heading * np.pi / 2)], -1).round()
    aside = ahead[:, ::-1]
    speed = 0.07 + 0.05 * u[:, 1:2]
    # its way, plus what the largest shape reaches to either side, is shorter than the room
    middle = 0.16 * (u[:, 2:3] - 0.5) * ahead + 0.6 * (u[:, 3:4] - 0.5) * aside
    time = np.arange(FRAMES) - (FRAMES - 1) / 2
    position = middle[:, None] + time[None, :, None] * (speed * ahead)[:, None]
    radius = 0.30 + 0.12 * u[:, 4:5]
    shape = still[:, None] // len(shapes.COLOURS)
    return dataclasses.replace(
        clips,
        shape=shape,
        colour=still[:, None] % len(shapes.COLOURS),
        size=np.ones((n, 1), np.int64),
        radius=radius,
        mass=np.pi * radius**2,
        position=position[:, :, None],
        velocity=np.broadcast_to((speed * ahead)[:, None, None], (n, FRAMES, 1, 2)).copy(),
        angle=np.broadcast_to(stills.angle.astype(np.float64)[:, None], (n, FRAMES, 1)).copy(),
        spin=np.zeros((n, FRAMES, 1)),
        rgb=np.broadcast_to(stills.rgb[:, None], (n, FRAMES, 1, 3)).copy(),
        background=stills.background,
        direction=stills.direction,
        events=clips.events[:0],
    )


def label_of(clips: shapes.Clips) -> NDArray[np.int64]:
    """(N,) classes in [0, 63] of clips of one mover."""
    velocity = clips.velocity[:, 0, 0]
    heading = np.round(np.arctan2(velocity[:, 1], velocity[:, 0]) / (np.pi / 2)).astype(np.int64) % 4
    return clips.label * len(HEADINGS) + heading


def colour_of(labels: torch.Tensor) -> torch.Tensor:
    """The colours (N,), in [0, 3], of classes (N,)."""
    return labels // len(HEADINGS) % len(shapes.COLOURS)


def captions_of(labels: Any) -> list[str]:
    """The captions of classes (N,), such as "a red circle moves left".

    Raises:
        ValueError: labels of another shape or range.
    """
    values = np.asarray(labels, np.int64)
    if values.ndim != 1 or not len(values) or values.min() < 0 or values.max() >= CLASSES:
        raise ValueError(f"labels must have shape (N,) and lie in [0, {CLASSES - 1}]; got {values.shape}")
    still, heading = np.divmod(values, len(HEADINGS))
    return [f"{noun} moves {HEADINGS[h]}" for noun, h in zip(shapes.captions(still), heading, strict=True)]


@dataclass(frozen=True)
class MoversData:
    """Videos (N, 8, 3, 24, 24) float32 in [-1, 1], classes (N,) in [0, 63], and the clips themselves."""

    videos: torch.Tensor
    labels: torch.Tensor
    clips: shapes.Clips

    def captions(self) -> list[str]:
        """The caption of every clip, as the models know it."""
        return captions_of(self.labels)


def movers(split: str, n: int = 1024, seed: int = 0, labels: Any = None) -> MoversData:
    """`n` clips of a split, as tensors."""
    clips = sample_movers(n, seed, split=split, labels=labels)
    videos = shapes.clip_tensors(clips, PIXELS).videos.transpose(1, 2).contiguous()
    return MoversData(videos, torch.from_numpy(label_of(clips)), clips)


@dataclass(frozen=True, kw_only=True)
class ClipsRecipe(Recipe):
    """How the judge of clips is trained."""

    channels: tuple[int, ...] = (32, 64, 96)
    features: int = 64
    noise: float = 0.05
    data: int = VERSION


class Movers(Testbed):
    """Clips of one moving shape with captions, tracks and flow, and a classifier of shape, colour and heading.

    Size `s`: eight frames of 24 pixels. The classifier sees all frames at once (as 24 channels) and tells 64
    classes; it also regresses the shape's place in the first and in the last frame, its radius and its colour.
    """

    name = "clips"
    recipes: ClassVar[Mapping[str, ClipsRecipe]] = {
        "s": ClipsRecipe(steps=1500, batch=96, lr=4e-3, ema=0.99),
    }

    def bounds(self) -> dict[str, tuple[float, float]]:
        """More than 97 % of held-out clips classified."""
        return {"accuracy": (0.97, 1.0), "still_accuracy": (0.97, 1.0), "heading_accuracy": (0.97, 1.0)}

    def build(self, seed: int = 0) -> Any:
        """A `Classifier` of eight frames with fresh weights."""
        recipe = self.recipes[self.size]
        return fresh(
            lambda: scores.Classifier(
                PIXELS,
                recipe.channels,
                recipe.features,
                colours=3 * FRAMES,
                classes=CLASSES,
                attributes=8,
            ),
            seed,
        )

    def data(self, split: str, *, n: int = 1024, seed: int = 0, labels: Any = None) -> MoversData:
        """`n` clips of a split (train, val or test); see `sample_movers`."""
        return movers(split, n, seed, labels)

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Cross-entropy of the class plus squared error of the attributes, on clips never seen twice."""
        recipe = self.recipes[self.size]

        def loss_at(step: int) -> torch.Tensor:
            batch = self.data("train", n=recipe.batch, seed=seed * 1_000_003 + step)
            frames = batch.videos.flatten(1, 2)
            # a little noise, since the judge will see clips that a model made
            frames = frames + recipe.noise * torch.randn(frames.shape, generator=at_step(seed, step))
            logits, found = model(frames.to(device))
            loss = F.cross_entropy(logits, batch.labels.to(device), label_smoothing=0.05)
            return loss + F.mse_loss(found, attributes(batch.clips).to(device))

        return optimise(model, loss_at, recipe, progress)

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Scores of one held-out split against another."""
        count = 2048 if n is None else n
        held, other = self.data("test", n=count, seed=seed), self.data("val", n=count, seed=seed)
        return ClipJudge(model, other.videos)(held.videos, held.labels)

    def exhibits(self) -> list[Exhibit]:
        """Film strips of four clips with their captions."""
        data = self.data("test", n=4, seed=5, labels=np.array([1, 22, 40, 63]))
        return [
            Exhibit(
                "clips", "Four clips, a row each: " + "; ".join(data.captions()) + ".", strips(data.videos)
            )
        ]


def attributes(clips: shapes.Clips) -> torch.Tensor:
    """(N, 8) what else a clip shows, roughly in [-1, 1]: place at both ends, radius, colour."""
    ends = [2 * clips.position[:, at, 0] for at in (0, -1)]
    values = [*ends, 10 * (clips.radius[:, :1] - 0.36), 2 * clips.rgb[:, 0, 0] - 1]
    return torch.from_numpy(np.concatenate(values, 1).astype(np.float32))


def strips(videos: torch.Tensor, scale: int = 3) -> Any:
    """Videos (N, T, 3, H, W) in [-1, 1] as one picture (H', W', 3) in 8 bits, a row of frames each."""
    from sillok.testbeds.pictures import grid, unit

    return grid(unit(videos.flatten(0, 1)), videos.shape[1], scale)


class ClipJudge(scores.Judge):
    """Scores of generated clips (M, 8, 3, 24, 24) against real ones: those of `Judge`, and how smooth they move."""

    def __init__(self, model: Any, reference: torch.Tensor) -> None:
        super().__init__(model, reference.flatten(1, 2))

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Scores of clips that should show the classes `labels` (M,).

        Returns:
            Those of `Judge` (of RGB pictures those without saturation), the share whose shape and colour are
            right, and the shares whose colour is and whose heading is.
        """
        frames = images.flatten(1, 2)
        found = scores.predict(self.model, frames.clamp(-1, 1))[0].argmax(1)
        return {
            **super().__call__(frames, labels),
            "still_accuracy": float((found // len(HEADINGS) == labels // len(HEADINGS)).double().mean()),
            "colour_accuracy": float((colour_of(found) == colour_of(labels)).double().mean()),
            "heading_accuracy": float((found % len(HEADINGS) == labels % len(HEADINGS)).double().mean()),
        }
