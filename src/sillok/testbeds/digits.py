"""Handwritten digits: scikit-learn's 1,797 images of 8x8, at 8, 16 and 32 pixels, and a classifier of them.

The images are those of `sklearn.datasets.load_digits` (the test part of the UCI set "Optical Recognition of
Handwritten Digits"); they come with scikit-learn and nothing is downloaded.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from sillok.testbeds import scores
from sillok.testbeds.base import Recipe, Testbed, check_count, check_split
from sillok.testbeds.training import Progress, fresh, optimise

SPLITS = ("train", "val", "test")
CLASSES = 10
HELD = 36  # images of each digit in val, and in test
VERSION = 1  # of the split, of how images are enlarged, and of how they are augmented
PIXELS = {"xs": 8, "s": 16, "m": 32}
ATTRIBUTES = 6
# The largest augmentations: shift in half widths (an eighth is half a pixel of the original), angle in
# radians, change of scale, and shear.
SHIFT, TURN, SCALE, SHEAR = 0.125, 0.2, 0.1, 0.15


@dataclass(frozen=True)
class DigitsData:
    """Images (N, 1, H, W) float32 in [-1, 1], ink bright on a dark ground, and labels (N,) int64."""

    images: torch.Tensor
    labels: torch.Tensor


@functools.cache
def _originals() -> tuple[torch.Tensor, torch.Tensor]:
    """All images (1797, 1, 8, 8) in [0, 1] and their labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images.astype(np.float32) / 16)
    return images[:, None], torch.from_numpy(found.target.astype(np.int64))


@functools.cache
def _rows(split: str) -> torch.Tensor:
    """The rows of a split: of each digit 36 for val and 36 for test by a fixed shuffle, the rest for train."""
    labels = _originals()[1].numpy()
    rng = np.random.default_rng(20_241_120)
    parts: dict[str, list[Any]] = {name: [] for name in SPLITS}
    for digit in range(CLASSES):
        rows = rng.permutation(np.flatnonzero(labels == digit))
        for name, part in zip(SPLITS, (rows[2 * HELD :], rows[:HELD], rows[HELD : 2 * HELD]), strict=True):
            parts[name].append(part)
    return torch.from_numpy(np.sort(np.concatenate(parts[split])))


def render(originals: torch.Tensor, pixels: int, theta: torch.Tensor | None = None) -> torch.Tensor:
    """Images (N, 1, pixels, pixels) in [-1, 1] of originals (N, 1, 8, 8) in [0, 1], optionally transformed.

    One bicubic interpolation (Keys' kernel with a = -0.75, pixel centres aligned by area, the ground beyond
    the edge) does enlarging and transform together, so that 8 pixels without a transform are the originals
    themselves; what it overshoots is clipped.

    Args:
        originals: ink in [0, 1].
        pixels: width and height of the result, at least 8 (it enlarges only).
        theta: (N, 2, 3) affine maps from places in the result to places in the original, in half widths.
    """
    check_count("pixels", pixels, 8)
    if theta is None:
        theta = torch.eye(2, 3).expand(len(originals), 2, 3)
    places = F.affine_grid(theta, [len(originals), 1, pixels, pixels], align_corners=False)
    ink = F.grid_sample(originals, places, mode="bicubic", padding_mode="zeros", align_corners=False)
    return ink.clamp(0, 1).mul(2).sub(1)


def transforms(n: int, generator: torch.Generator) -> torch.Tensor:
    """(n, 2, 3) random affine maps for `render`: small shifts, turns, changes of scale and shears."""
    draws = torch.rand((n, 6), generator=generator).mul(2).sub(1)
    angle, shear = TURN * draws[:, 0], SHEAR * draws[:, 1]
    width, height = 1 + SCALE * draws[:, 2], 1 + SCALE * draws[:, 3]
    cos, sin = angle.cos(), angle.sin()
    x = torch.stack([cos / width, (shear * cos - sin) / width, SHIFT * draws[:, 4]], 1)
    y = torch.stack([sin / height, (shear * sin + cos) / height, SHIFT * draws[:, 5]], 1)
    return torch.stack([x, y], 1)


def attributes(images: torch.Tensor) -> torch.Tensor:
    """(N, 6) what else an image (N, 1, H, W) shows, roughly in [-1, 1].

    Ink, its centre (x, y), and the second moments about the centre (xx, yy, xy: breadth, height and slant).
    """
    ink = images[:, 0].add(1).div(2)
    height, width = ink.shape[1:]
    x = (torch.arange(width, device=ink.device) + 0.5).mul(2 / width).sub(1)
    y = (torch.arange(height, device=ink.device) + 0.5).mul(2 / height).sub(1)[:, None]
    total = ink.sum((1, 2)).clamp_min(1e-3)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (ink * values).sum((1, 2)) / total

    cx, cy = mean(x.expand(height, width)), mean(y.expand(height, width))
    dx, dy = x[None, None] - cx[:, None, None], y[None] - cy[:, None, None]
    columns = (
        8 * (ink.mean((1, 2)) - 0.3),
        5 * cx,
        5 * cy,
        10 * (mean(dx * dx) - 0.15),
        10 * (mean(dy * dy) - 0.3),
        10 * mean(dx * dy),
    )
    return torch.stack(columns, 1)


def sample(
    split: str, pixels: int, *, n: int | None = None, seed: int = 0, augment: bool = False
) -> DigitsData:
    """Images of a split; see `Digits.data`."""
    check_split(split, SPLITS)
    rows = _rows(split)
    generator = torch.Generator().manual_seed(seed)
    if n is not None:
        check_count("n", n)
        if n > len(rows) and not augment:
            raise ValueError(
                f"n must be at most {len(rows)}, the images of split {split!r}, unless augment=True; got {n}"
            )
        orders = [torch.randperm(len(rows), generator=generator) for _ in range(-(-n // len(rows)))]
        rows = rows[torch.cat(orders)[:n]]
    originals, labels = _originals()
    theta = transforms(len(rows), generator) if augment else None
    return DigitsData(render(originals[rows], pixels, theta), labels[rows])


def strings(
    texts: Sequence[str], pixels: int = 16, seed: int = 0, *, split: str = "train", augment: bool = False
) -> torch.Tensor:
    """Images of strings of digits, side by side without a gap, every digit an image drawn from `split`.

    Args:
        texts: N strings of digits, all of one length k.
        pixels: height of the images, and width of a digit.
        seed: which image stands for each digit; the first rows do not depend on how many texts there are.
        split, augment: as in `Digits.data`.

    Returns:
        (N, 1, pixels, pixels * k) float32 in [-1, 1].

    Raises:
        ValueError: no text, a text of another length or with another character, an unknown split.
    """
    check_split(split, SPLITS)
    lengths = {len(text) for text in texts}
    if isinstance(texts, str) or len(lengths) != 1 or not max(lengths):
        raise ValueError(f"texts must be strings of digits of one length, at least one; got {texts!r}"[:200])
    foreign = [text for text in texts if not (text.isascii() and text.isdigit())]
    if foreign:
        raise ValueError(f"texts must consist of the digits 0 to 9; got {foreign[0]!r}")
    length = lengths.pop()
    originals, labels = _originals()
    rows = _rows(split)
    of_digit = [rows[labels[rows] == digit] for digit in range(CLASSES)]
    generator = torch.Generator().manual_seed(seed)
    chosen, thetas = [], []
    for text in texts:
        draws = torch.rand(length, generator=generator)
        chosen += [
            of_digit[int(digit)][int(u * len(of_digit[int(digit)]))]
            for digit, u in zip(text, draws, strict=True)
        ]
        thetas.append(transforms(length, generator))
    theta = torch.cat(thetas) if augment else None
    cells = render(originals[torch.stack(chosen)], pixels, theta)
    return cells.view(len(texts), length, 1, pixels, pixels).permute(0, 2, 3, 1, 4).flatten(3).contiguous()


@dataclass(frozen=True, kw_only=True)
class DigitsRecipe(Recipe):
    """How the classifier of digits is made and trained: every stage of it halves the width."""

    pixels: int
    channels: tuple[int, ...]
    features: int = 64
    noise: float = 0.05
    smoothing: float = 0.05
    data: int = VERSION


class Digits(Testbed):
    """Handwritten digits 0 to 9 in grey, and a classifier whose features judge generators of them.

    Sizes: `xs` is 8 pixels (the originals), `s` is 16, `m` is 32 (enlarged by bicubic interpolation). The split
    is fixed and stratified: 1,077 images to train, 36 of each digit in val and in test. All splits share their
    13 writers. The classifier also regresses ink, centre and second moments, so that its 64 features tell of
    position, weight and slant and not of the class alone.
    """

    name = "digits"
    recipes: ClassVar[Mapping[str, DigitsRecipe]] = {
        "xs": DigitsRecipe(pixels=8, channels=(32, 64), steps=1500, batch=128, lr=4e-3, ema=0.99),
        "s": DigitsRecipe(pixels=16, channels=(24, 48, 80), steps=1500, batch=128, lr=4e-3, ema=0.99),
        "m": DigitsRecipe(pixels=32, channels=(16, 32, 48, 80), steps=1500, batch=128, lr=4e-3, ema=0.99),
    }

    @property
    def pixels(self) -> int:
        """Width and height of the images."""
        return PIXELS[self.size]

    def bounds(self) -> dict[str, tuple[float, float]]:
        """More than 97 % of held-out images classified."""
        return {"accuracy": (0.97, 1.0)}

    def build(self, seed: int = 0) -> Any:
        """A `Classifier` with fresh weights."""
        recipe = self.recipes[self.size]
        return fresh(
            lambda: scores.Classifier(
                recipe.pixels,
                recipe.channels,
                recipe.features,
                colours=1,
                classes=CLASSES,
                attributes=ATTRIBUTES,
            ),
            seed,
        )

    def data(self, split: str, n: int | None = None, seed: int = 0, augment: bool = False) -> DigitsData:
        """Images of a split (train, val or test).

        Args:
            n: how many, drawn by `seed` without repetition; the whole split in its fixed order by default.
                With `augment` it may exceed the split, which is then gone through again and again.
            seed: of the draw and of the augmentation.
            augment: shift, turn, scale and shear every image a little (`transforms`).

        Raises:
            ValueError: an unknown split, n below 1 or above the images that there are.
        """
        return sample(split, self.pixels, n=n, seed=seed, augment=augment)

    def read(self, images: torch.Tensor) -> list[str]:
        """What the classifier reads in images (N, 1, H, H * k) of strings, one digit in each cell.

        Raises:
            ValueError: the height is not this size's, or the width no multiple of it.
            RuntimeError: the testbed has no weights.
        """
        h = self.pixels
        if images.ndim != 4 or images.shape[1:3] != (1, h) or images.shape[3] % h or not images.shape[3]:
            raise ValueError(f"images must have shape (N, 1, {h}, {h} k); got {tuple(images.shape)}")
        cells = images.unfold(3, h, h).permute(0, 3, 1, 2, 4)  # (N, k, 1, H, H)
        found = scores.predict(self.model, cells.flatten(0, 1).clamp(-1, 1))[0].argmax(1)
        return ["".join(map(str, row)) for row in found.view(cells.shape[:2]).tolist()]

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Cross-entropy of the class (a little smoothed) plus squared error of the attributes."""
        recipe = self.recipes[self.size]

        def loss_at(step: int) -> torch.Tensor:
            batch = self.data("train", recipe.batch, seed * 1_000_003 + step, augment=True)
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            # a little noise, since the judge will see images that a model made
            noise = recipe.noise * torch.randn(batch.images.shape, generator=generator)
            logits, found = model((batch.images + noise).to(device))
            loss = F.cross_entropy(logits, batch.labels.to(device), label_smoothing=recipe.smoothing)
            return loss + 0.5 * F.mse_loss(found, attributes(batch.images).to(device))

        return optimise(model, loss_at, recipe, progress)

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Scores of the test split against the validation split; all images of both by default."""
        held, other = self.data("test", n, seed), self.data("val", n, seed)
        judge = scores.Judge(model, other.images)
        error = scores.predict(model, held.images)[1] - attributes(held.images)
        return {**judge(held.images, held.labels), "attribute_rmse": float(error.square().mean().sqrt())}
