"""Still images of coloured shapes on a soft background, and the antialiased renderer beneath the clips too.

A scene is a row of numbers (`Scenes`), and `render` turns scenes into images and masks. Coordinates are in
half image widths, x to the right and y down, the centre of the image at 0. What is drawn here is fixed bit
for bit: shipped checkpoints were trained on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count, check_split

Floats = NDArray[np.float32]

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = ("red", "yellow", "green", "blue")
CLASSES = len(SHAPES) * len(COLOURS)
VERSION = 1  # of the distribution that `sample_scenes` draws from, and of how `render` paints it
SPLITS = ("train", "val", "test")
FULL_TURN = 2 * np.pi

KOREAN_SHAPES = ("원", "사각형", "삼각형", "십자가")
KOREAN_COLOURS = ("빨간", "노란", "초록", "파란")
HUES = np.array([0.0, 1 / 7, 1 / 3, 0.6], np.float32)
_UNIFORMS = 19  # uniform numbers that one scene is made of
_CHUNK = 256  # frames painted at once: the working set stays in the cache


@dataclass(frozen=True)
class Scenes:
    """N scenes of K objects each, painted in order (the last one on top).

    Attributes:
        shape, colour: (N, K) indices into `SHAPES` and `COLOURS`.
        centre: (N, K, 2) x and y in half widths.
        radius: (N, K) in half widths; angle: (N, K) in radians.
        rgb: (N, K, 3) colour of the objects in [0, 1].
        background: (N, 2, 3) colours in [0, 1] at the two ends of a linear gradient.
        direction: (N,) angle of that gradient in radians.
    """

    shape: NDArray[np.int64]
    colour: NDArray[np.int64]
    centre: Floats
    radius: Floats
    angle: Floats
    rgb: Floats
    background: Floats
    direction: Floats

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> Scenes:
        """The scenes at a slice or index array."""
        return Scenes(**{key: value[index] for key, value in vars(self).items()})

    @property
    def label(self) -> NDArray[np.int64]:
        """(N,) class of the first object: shape x 4 + colour."""
        return self.shape[:, 0] * len(COLOURS) + self.colour[:, 0]


def hsv_to_rgb(hsv: NDArray[Any]) -> Floats:
    """Colours (..., 3) from hue, saturation and value to red, green and blue, all in [0, 1]."""
    hue, saturation, value = hsv[..., :1], hsv[..., 1:2], hsv[..., 2:]
    phase = (np.array([5.0, 3.0, 1.0], np.float32) + 6 * hue) % 6
    return np.asarray(value - value * saturation * np.clip(np.minimum(phase, 4 - phase), 0, 1), np.float32)


def sample_scenes(
    n: int,
    seed: int = 0,
    *,
    split: str = "train",
    labels: NDArray[np.int64] | None = None,
    turn: float = FULL_TURN,
) -> Scenes:
    """Draw `n` scenes of one object.

    Colours are moderately saturated (0.5 to 0.75; the background 0.08 to 0.3), and the values lie between
    0.35 and 0.85, so that no pixel sits at a limit of its range and an image can still be oversaturated. A
    scene depends on seed, split and its own index alone: asking for more appends to the same sequence.

    Args:
        n: how many.
        seed: of the random numbers.
        split: train, val or test; each draws from a stream of its own.
        labels: (n,) classes to draw instead of random ones.
        turn: width of the range of angles, in radians around upright; a full turn by default. A narrow range
            makes a problem that a generator learns in fewer steps.

    Raises:
        ValueError: a count below 1, an unknown split, labels of another length or range.
    """
    check_count("n", n)
    check_split(split, SPLITS)
    rng = np.random.default_rng([SPLITS.index(split), seed, VERSION])
    u = rng.random((n, _UNIFORMS), dtype=np.float32)
    label = (u[:, 0] * CLASSES).astype(np.int64) if labels is None else np.asarray(labels, np.int64)
    if label.shape != (n,) or label.min() < 0 or label.max() >= CLASSES:
        raise ValueError(
            f"labels must have shape ({n},) and lie in [0, {CLASSES - 1}]; got shape {label.shape}"
        )
    shape, colour = np.divmod(label, len(COLOURS))
    hue = (HUES[colour] + 0.06 * (u[:, 1] - 0.5)) % 1
    rgb = hsv_to_rgb(np.stack([hue, 0.5 + 0.25 * u[:, 2], 0.6 + 0.25 * u[:, 3]], -1))
    ends = np.stack([u[:, 4:6], 0.08 + 0.22 * u[:, 6:8], 0.35 + 0.35 * u[:, 8:10]], -1)
    return Scenes(
        shape=shape[:, None],
        colour=colour[:, None],
        centre=(0.7 * (u[:, None, 10:12] - 0.5)).astype(np.float32),
        radius=0.36 + 0.2 * u[:, 12:13],
        angle=turn * (u[:, 13:14] - 0.5),
        rgb=rgb[:, None],
        background=hsv_to_rgb(ends),
        direction=2 * np.pi * u[:, 14],
    )


def signed_distance(kind: int, x: NDArray[Any], y: NDArray[Any], r: NDArray[Any]) -> Any:
    """Distance to the outline of a shape in its own frame (negative inside), exact along its flat edges."""
    if kind == 0:
        return np.sqrt(x * x + y * y) - r
    ax, ay = np.abs(x), np.abs(y)
    if kind == 1:
        return np.maximum(ax, ay) - 0.82 * r
    if kind == 2:  # three half-planes; the circumscribed circle has radius 1.2 r
        return np.maximum(0.8660254 * ax - 0.5 * y, y) - 0.6 * r
    return np.minimum(np.maximum(ax - r, ay - 0.34 * r), np.maximum(ax - 0.34 * r, ay - r))


def check_pixels(pixels: int) -> None:
    """Raise ValueError when `pixels` is no integer from 16 to 128."""
    if isinstance(pixels, bool) or not isinstance(pixels, int) or not 16 <= pixels <= 128:
        raise ValueError(f"pixels must be an integer from 16 to 128; got {pixels!r}")


def check_objects(objects: tuple[int, int], most: int) -> None:
    """Raise ValueError when `objects` is no pair of integers, fewest and most, from 1 to `most`."""
    good = isinstance(objects, tuple) and len(objects) == 2 and all(type(value) is int for value in objects)
    if not good or not 1 <= objects[0] <= objects[1] <= most:
        raise ValueError(f"objects must be two integers with 1 <= low <= high <= {most}; got {objects!r}")


def render(scenes: Scenes, pixels: int = 32) -> tuple[Floats, NDArray[np.uint8]]:
    """Paint scenes.

    Args:
        scenes: N of them.
        pixels: width and height, 16 to 128.

    Returns:
        Images (N, pixels, pixels, 3) in [0, 1], and instance masks (N, pixels, pixels): 0 for the background,
        k + 1 where object k covers at least half of the pixel and nothing later covers it.

    Raises:
        ValueError: `pixels` out of range.
    """
    check_pixels(pixels)
    n = len(scenes)
    images = np.empty((n, pixels, pixels, 3), np.float32)
    masks = np.zeros((n, pixels, pixels), np.uint8)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        _paint(scenes[part], images[part], masks[part])
    return images, masks


def _paint(scenes: Scenes, images: Floats, masks: NDArray[np.uint8]) -> None:
    pixels = images.shape[1]
    line = ((np.arange(pixels, dtype=np.float32) + 0.5) * (2 / pixels) - 1).astype(np.float32)
    cos, sin = np.cos(scenes.direction)[:, None, None], np.sin(scenes.direction)[:, None, None]
    ramp = (0.5 + 0.35 * (line[None, None, :] * cos + line[None, :, None] * sin))[..., None]
    first, second = scenes.background[:, None, None, 0], scenes.background[:, None, None, 1]
    images[:] = first + ramp * (second - first)
    for k in range(scenes.shape.shape[1]):
        cover = _cover(scenes, k, line)
        images += cover[..., None] * (scenes.rgb[:, k, None, None] - images)
        masks[cover >= 0.5] = k + 1


def _cover(scenes: Scenes, k: int, line: Floats) -> Floats:
    """(N, pixels, pixels) share of each pixel that object k covers: the box filter of a straight edge."""
    cover = np.empty((len(scenes), len(line), len(line)), np.float32)
    for kind in range(len(SHAPES)):
        rows = np.flatnonzero(scenes.shape[:, k] == kind)
        if not len(rows):
            continue
        angle = scenes.angle[rows, k, None, None]
        cos, sin = np.cos(angle), np.sin(angle)
        dx = line[None, None, :] - scenes.centre[rows, k, 0, None, None]
        dy = line[None, :, None] - scenes.centre[rows, k, 1, None, None]
        distance = signed_distance(
            kind, cos * dx + sin * dy, cos * dy - sin * dx, scenes.radius[rows, k, None, None]
        )
        cover[rows] = np.clip(0.5 - distance * (len(line) / 2), 0, 1)
    return cover


def captions(labels: NDArray[np.int64], language: str = "en") -> list[str]:
    """One caption for each class label, in English (`en`) or Korean (`ko`).

    Raises:
        ValueError: another language.
    """
    if language not in ("en", "ko"):
        raise ValueError(f"language must be en or ko; got {language!r}")
    shapes, colours = (SHAPES, COLOURS) if language == "en" else (KOREAN_SHAPES, KOREAN_COLOURS)
    pairs = (divmod(int(label), len(COLOURS)) for label in labels)
    return [
        f"a {colours[c]} {shapes[s]}" if language == "en" else f"{colours[c]} {shapes[s]}" for s, c in pairs
    ]


def attributes(scenes: Scenes) -> Floats:
    """(N, 12) what else an image shows, roughly in [-1, 1]: position, radius, colour, background colours."""
    ends = scenes.background
    swap = np.cos(scenes.direction)[:, None] < 0  # name the ends by their side, left first
    left, right = np.where(swap, ends[:, 1], ends[:, 0]), np.where(swap, ends[:, 0], ends[:, 1])
    colour = [2 * part - 1 for part in (scenes.rgb[:, 0], left, right)]
    return np.concatenate([2 * scenes.centre[:, 0], 10 * (scenes.radius[:, :1] - 0.46), *colour], 1).astype(
        np.float32
    )
