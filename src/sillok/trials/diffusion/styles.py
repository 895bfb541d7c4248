"""Shapes in styles: ground, texture, outline and grain over the testbed's scenes, and a probe that tells styles.

A style leaves the shape and its colour alone, which are what a caption says. So two images of one style share
the style and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sillok.testbeds.shapes.scenes import Scenes, hsv_to_rgb, render

Doubles = NDArray[np.float64]
TEXTURES = ("plain", "rows", "columns", "diagonal", "checks")
OUTLINES = ("none", "dark", "light")
FRAME = 4  # pixels at the border, where a style's ground shows and a shape seldom does


@dataclass(frozen=True)
class Styles:
    """K styles.

    Attributes:
        ground: (K, 3) colour of the ground in [0, 1].
        texture: (K,) index into `TEXTURES`; contrast: (K,) of its waves; period: (K,) in pixels.
        outline: (K,) index into `OUTLINES`.
        grain: (K,) standard deviation of the noise on every pixel, the range being 1.
    """

    ground: Doubles
    texture: NDArray[np.int64]
    contrast: Doubles
    period: Doubles
    outline: NDArray[np.int64]
    grain: Doubles

    def __len__(self) -> int:
        return len(self.texture)


def draw_styles(count: int, seed: int) -> Styles:
    """``count`` random styles."""
    rng = np.random.default_rng([seed, 0x57])
    hsv = np.stack([rng.random(count), rng.uniform(0.2, 0.6, count), rng.uniform(0.3, 0.75, count)], -1)
    return Styles(
        ground=hsv_to_rgb(hsv).astype(np.float64),
        texture=rng.integers(0, len(TEXTURES), count),
        contrast=rng.uniform(0.12, 0.3, count),
        period=rng.uniform(4, 9, count),
        outline=rng.integers(0, len(OUTLINES), count),
        grain=rng.choice([0.0, 0.03, 0.06], count),
    )


def _waves(styles: Styles, index: NDArray[np.int64], pixels: int, phase: Doubles) -> Doubles:
    """(N, pixels, pixels) in [-1, 1]."""
    line = np.arange(pixels, dtype=np.float64)
    rate = (2 * np.pi / styles.period[index])[:, None, None]
    x = rate * line[None, None, :] + phase[:, 0, None, None]
    y = rate * line[None, :, None] + phase[:, 1, None, None]
    flat = np.zeros((len(index), pixels, pixels))
    kinds = [flat, np.sin(y) + flat, np.sin(x) + flat, np.sin((x + y) / np.sqrt(2)), np.sin(x) * np.sin(y)]
    return np.stack(kinds, 1)[np.arange(len(index)), styles.texture[index]]


def paint(scenes: Scenes, styles: Styles, index: NDArray[np.int64], pixels: int, seed: int) -> Tensor:
    """Images (N, 3, pixels, pixels) in [-1, 1] of scenes, each in the style of its index (N,).

    Raises:
        ValueError: as many indices as there are no scenes.
    """
    if index.shape != (len(scenes),):
        raise ValueError(f"index must have one style for each of {len(scenes)} scenes; got {index.shape}")
    rng = np.random.default_rng([seed, 0x9A])
    images, masks = render(scenes, pixels)
    inside = torch.from_numpy(masks > 0).float()[:, None]
    ring = F.max_pool2d(inside, 3, 1, 1) - inside
    waves = _waves(styles, index, pixels, rng.uniform(0, 2 * np.pi, (len(index), 2)))
    ground = (
        styles.ground[index][:, None, None] * (1 + styles.contrast[index][:, None, None] * waves)[..., None]
    )
    ground_ = torch.from_numpy(ground).float().permute(0, 3, 1, 2)
    drawn = torch.from_numpy(images).permute(0, 3, 1, 2)
    out = inside * drawn + (1 - inside) * ground_
    level = torch.tensor([0.0, 0.1, 0.95])[torch.from_numpy(styles.outline[index])][:, None, None, None]
    has = torch.from_numpy((styles.outline[index] > 0).astype(np.float32))[:, None, None, None] * ring
    out = out * (1 - has) + level * has
    noise = rng.standard_normal(tuple(out.shape)) * styles.grain[index][:, None, None, None]
    return (out + torch.from_numpy(noise).float()).clamp(0, 1) * 2 - 1


def describe(images: Tensor) -> Tensor:
    """(N, 22) numbers that tell a style: colours of the frame, and log energies of differences there and all over.

    Args:
        images: (N, 3, H, W) in [-1, 1].
    """
    images = images.float().clamp(-1, 1)
    height, width = images.shape[2:]
    edge = torch.ones(height, width, dtype=torch.bool)
    edge[FRAME:-FRAME, FRAME:-FRAME] = False
    frame = images[:, :, edge]
    grey = images.mean(1, keepdim=True)
    # two steps apart for texture, one for grain; differences keep nothing of the level
    pairs = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 3), (3, 0), (3, 3)]
    found = [frame.median(2).values, frame.mean(2)]
    for down, across in pairs:
        square = (grey - grey.roll((down, across), (2, 3))).square()[:, 0]
        inner = square[:, 3:-3, 3:-3]
        keep = edge[3:-3, 3:-3]
        found.append(torch.stack([inner[:, keep].mean(1), inner.flatten(1).mean(1)], 1).add(1e-4).log() / 2)
    contrast = torch.stack([grey.flatten(1).amin(1), grey.flatten(1).amax(1)], 1)
    return torch.cat([*found, contrast], 1)


class Probe:
    """Tells styles by `describe`, in units of what the content of an image changes in it.

    Args:
        images: (K, n, 3, H, W), n images of each of K styles, for the means of styles.
    """

    def __init__(self, images: Tensor) -> None:
        values = describe(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        self.centres = values.mean(1)
        self.spread = (values - self.centres[:, None]).square().mean((0, 1)).sqrt().clamp_min(1e-3)

    def _distances(self, images: Tensor) -> Tensor:
        gaps = (describe(images)[:, None] - self.centres[None]) / self.spread
        return gaps.square().mean(2).sqrt()

    def distance(self, images: Tensor, truth: Tensor) -> float:
        """Mean distance of images (N, 3, H, W) to the centres of the styles (N,) that they should have."""
        return float(self._distances(images)[torch.arange(len(truth)), truth].mean())

    def retrieval(self, images: Tensor, truth: Tensor) -> float:
        """Share of images whose nearest centre is that of their style."""
        return float((self._distances(images).argmin(1) == truth).double().mean())
