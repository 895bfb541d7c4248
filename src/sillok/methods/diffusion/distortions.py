"""What happens to images on their way: compression, blur, noise, rotation, crop, brightness, resizing.

Everything runs in Pillow on 8-bit images, as it would on a file, and follows from the seed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

Picture = TypeVar("Picture", Image.Image, Tensor)


class Distortion(NamedTuple):
    """One kind: how it is done, the strength that it has by default, what that means, and its range."""

    apply: Callable[[Image.Image, float, np.random.Generator], Image.Image]
    strength: float
    meaning: str
    low: float
    high: float


def _none(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    return image


def _jpeg(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=round(strength))
    file.seek(0)
    with Image.open(file) as back:
        return back.convert(image.mode)


def _blur(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(strength))


def _noise(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    values = np.asarray(image, np.float64)
    values = values + 255 * strength * rng.standard_normal(values.shape)
    return Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))


def _rotate(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    return image.rotate(strength, Image.Resampling.BILINEAR)


def _crop(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    width, height = (max(1, round(side * math.sqrt(strength))) for side in image.size)
    left, top = (int(rng.integers(0, a - b + 1)) for a, b in zip(image.size, (width, height), strict=True))
    part = image.crop((left, top, left + width, top + height))
    return part.resize(image.size, Image.Resampling.BICUBIC)


def _brightness(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    factor = rng.uniform(max(0.0, 1 - strength), 1 + strength)
    return ImageEnhance.Brightness(image).enhance(factor)


def _resize(image: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
    small = tuple(max(1, round(side * strength)) for side in image.size)
    return image.resize(small, Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)


KINDS: dict[str, Distortion] = {
    "none": Distortion(_none, 0.0, "8 bits a channel, and no loss beyond that", 0.0, 0.0),
    "jpeg": Distortion(_jpeg, 25.0, "JPEG quality, from 1 to 100", 1.0, 100.0),
    "blur": Distortion(_blur, 8.0, "standard deviation of a Gaussian, in pixels", 0.0, math.inf),
    "noise": Distortion(
        _noise, 0.1, "standard deviation of Gaussian noise, the range being 1", 0.0, math.inf
    ),
    "rotate": Distortion(_rotate, 75.0, "degrees counterclockwise; corners become black", -360.0, 360.0),
    "crop": Distortion(_crop, 0.75, "share of the area kept, at a random place, brought to size", 0.01, 1.0),
    "brightness": Distortion(_brightness, 6.0, "b: a factor between max(0, 1 - b) and 1 + b", 0.0, math.inf),
    "resize": Distortion(_resize, 0.5, "factor to scale the sides by, and back again", 0.01, 1.0),
}


def distort(image: Picture, kind: str, *, seed: int, strength: float | None = None) -> Picture:
    """Images after a distortion, at 8 bits a channel.

    Args:
        image: a PIL image in mode RGB or L, or images (B, C, H, W) in [-1, 1] with 1 or 3 channels; values
            beyond that are clipped.
        kind: one of `KINDS`: none, jpeg, blur, noise, rotate, crop, brightness, resize.
        seed: of what is drawn (noise, the place of a crop, a brightness); each row of a batch has its own
            draw, which does not depend on the others. 0 or more.
        strength: in the unit that `KINDS` states; default: the strength there, which is that of the robustness
            tables of Tree-Ring (arXiv 2305.20030) and those that follow it.

    Returns:
        What ``image`` was: a PIL image, or (B, C, H, W) of the same dtype and device.

    Raises:
        ValueError: an unknown kind, a strength out of its range, another shape or mode, an empty batch, values
            that are not finite.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    chosen = KINDS[kind]
    strength = chosen.strength if strength is None else strength
    if not chosen.low <= strength <= chosen.high:
        raise ValueError(
            f"strength of {kind!r} ({chosen.meaning}) must lie in [{chosen.low:g}, {chosen.high:g}]; "
            f"got {strength!r}"
        )
    if isinstance(image, Image.Image):
        if image.mode not in ("RGB", "L"):
            raise ValueError(f"image must be in mode RGB or L; got {image.mode!r}: convert it first")
        return chosen.apply(image, strength, np.random.default_rng([seed, 0]))
    if not isinstance(image, Tensor) or not image.is_floating_point():
        raise TypeError(f"image must be a PIL image or a floating-point tensor; got {type(image).__name__}")
    if image.ndim != 4 or image.shape[1] not in (1, 3) or not len(image):
        raise ValueError(f"image must have shape (B, 1 or 3, H, W) with B >= 1; got {tuple(image.shape)}")
    if not bool(image.isfinite().all()):
        raise ValueError("image must be finite; got NaN or infinity")
    rows = []
    for row, item in enumerate(to_uint8(image)):
        picture = Image.fromarray(item if item.shape[-1] == 3 else item[..., 0])
        done = np.asarray(chosen.apply(picture, strength, np.random.default_rng([seed, row])))
        rows.append(done.reshape(item.shape))
    values = torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return values.to(dtype=image.dtype, device=image.device)


def to_uint8(images: Tensor) -> np.ndarray:
    """Images (B, C, H, W) in [-1, 1], clipped, as 8-bit integers (B, H, W, C)."""
    levels = ((images.detach().float().clamp(-1, 1) + 1) * 127.5).round()
    found: np.ndarray = levels.to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    return found
