"""The testbed of shapes: stills as tensors, clips, and the classifier that judges generators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sillok.testbeds.base import Exhibit, Recipe, Testbed
from sillok.testbeds.shapes.clips import Clips, render_clips
from sillok.testbeds.shapes.scenes import VERSION, Scenes, attributes, captions, render, sample_scenes
from sillok.testbeds.shapes.words import clip_captions

if TYPE_CHECKING:
    import torch

    from sillok.testbeds.training import Progress

PIXELS = {"xs": 16, "s": 32}


@dataclass(frozen=True)
class ShapesData:
    """A split: images (N, 3, H, W) float32 in [-1, 1], labels (N,), masks (N, H, W) uint8, and the scenes."""

    images: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor
    scenes: Scenes

    def captions(self, language: str = "en") -> list[str]:
        """The caption of every image."""
        return captions(self.scenes.label, language)


def tensors(scenes: Scenes, pixels: int) -> ShapesData:
    """`render`, as torch tensors in the layout and range that image models expect."""
    import torch

    images, masks = render(scenes, pixels)
    chw = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return ShapesData(
        torch.from_numpy(chw).mul_(2).sub_(1), torch.from_numpy(scenes.label), torch.from_numpy(masks), scenes
    )


@dataclass(frozen=True)
class ClipsData:
    """Clips as videos (N, 3, T, H, W) float32 in [-1, 1], labels (N,) of the first object, masks (N, T, H, W)."""

    videos: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor
    clips: Clips

    def captions(self, language: str = "en") -> list[str]:
        """The caption of every clip."""
        return clip_captions(self.clips, language)


def clip_tensors(clips: Clips, pixels: int) -> ClipsData:
    """`render_clips`, as torch tensors in the layout and range that video models expect."""
    import torch

    images, masks = render_clips(clips, pixels)
    videos = np.ascontiguousarray(images.transpose(0, 4, 1, 2, 3))
    return ClipsData(
        torch.from_numpy(videos).mul_(2).sub_(1),
        torch.from_numpy(clips.label),
        torch.from_numpy(masks),
        clips,
    )


@dataclass(frozen=True, kw_only=True)
class ShapesRecipe(Recipe):
    """How the judge of shapes is trained: a small convolutional classifier with a head for the attributes."""

    pixels: int
    channels: tuple[int, ...] = (24, 48, 96)
    features: int = 64
    noise: float = 0.03
    data: int = VERSION


class Shapes(Testbed):
    """Coloured shapes with class, caption, mask and scene, and a classifier whose features judge generators.

    Sizes: `xs` is 16 pixels, `s` is 32. The classifier also regresses the attributes of the scene, so that
    its 64 features tell of position and colour and not of the class alone. Clips with their ground truth come
    from `sample_clips`, scenes in space from `sample_spaces`.
    """

    name = "shapes"
    recipes: ClassVar[Mapping[str, ShapesRecipe]] = {
        size: ShapesRecipe(pixels=pixels, steps=1500, batch=128, lr=3e-3, ema=0.99)
        for size, pixels in PIXELS.items()
    }

    @property
    def pixels(self) -> int:
        """Width and height of the images."""
        return PIXELS[self.size]

    def bounds(self) -> dict[str, tuple[float, float]]:
        """More than 97 % of held-out images classified."""
        return {"accuracy": (0.97, 1.0), "saturation": (0.15, 0.6)}

    def exhibits(self) -> list[Exhibit]:
        """Stills by class, clips and scenes in space with their ground truth, captions and questions."""
        from sillok.testbeds.shapes.exhibits import exhibits

        return exhibits(self.pixels)

    def build(self, seed: int = 0) -> Any:
        """A `Classifier` with fresh weights."""
        from sillok.testbeds.scores import Classifier
        from sillok.testbeds.training import fresh

        recipe = self.recipes[self.size]
        return fresh(lambda: Classifier(recipe.pixels, recipe.channels, recipe.features), seed)

    def data(self, split: str, *, n: int = 1024, seed: int = 0, labels: Any = None) -> ShapesData:
        """`n` images of a split (train, val or test); see `sample_scenes`."""
        return tensors(sample_scenes(n, seed, split=split, labels=labels), self.pixels)

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Cross-entropy of the class plus squared error of the attributes, on images never seen twice."""
        import torch
        from torch.nn import functional as F

        from sillok.testbeds.training import at_step, optimise

        recipe = self.recipes[self.size]

        def loss_at(step: int) -> torch.Tensor:
            scenes = sample_scenes(recipe.batch, seed * 1_000_003 + step, split="train")
            batch = tensors(scenes, recipe.pixels)
            # a little noise, since the judge will see images that a model made
            noise = recipe.noise * torch.randn(batch.images.shape, generator=at_step(seed, step))
            logits, attribute = model((batch.images + noise).to(device))
            target = torch.from_numpy(attributes(scenes)).to(device)
            return F.cross_entropy(logits, batch.labels.to(device)) + F.mse_loss(attribute, target)

        return optimise(model, loss_at, recipe, progress)

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Accuracy, attribute error, saturation, and the scores of one held-out split against another."""
        import torch

        from sillok.testbeds import scores

        count = 4096 if n is None else n
        held, other = self.data("test", n=count, seed=seed), self.data("val", n=count, seed=seed)
        judge = scores.Judge(model, other.images)
        error = scores.predict(model, held.images)[1] - torch.from_numpy(attributes(held.scenes))
        return {**judge(held.images, held.labels), "attribute_rmse": float(error.square().mean().sqrt())}
