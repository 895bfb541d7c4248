"""Clips of coloured shapes: the table of numbers that a clip is, and how it is painted.

World coordinates are in half image widths, x to the right and y down; the walls stand at -1 and 1, and a
camera at rest sees just the room between them. Pixel (row i, column j) has its centre at x = j + 0.5,
y = i + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.shapes.motion import Laws
from sillok.testbeds.shapes.scenes import COLOURS, SHAPES, check_pixels, signed_distance

Floats = NDArray[np.float32]
Array = NDArray[np.float64]

SIZES = ("small", "large")
FAULTS = ("teleport", "vanish", "recolour", "through")
_CORNER = np.array(
    [1.0, 0.82 * 2**0.5, 1.2, (1 + 0.34**2) ** 0.5]
)  # circumscribed circle over radius, by shape
_CHUNK = 64  # frames painted at once: the working set stays in the cache


@dataclass(frozen=True)
class Clips:
    """N clips of T frames with up to K objects each; rows beyond `count` are padding.

    Attributes:
        shape, colour, size: (N, K) indices into `SHAPES`, `COLOURS` (at the first frame) and `SIZES`.
        count: (N,) number of objects.
        radius: (N, K) in half widths; mass: (N, K), pi times its square.
        depth: (N, K) in (0, 1), distinct; a nearer object hides a farther one, the background lies at 1.
        position, velocity: (N, T, K, 2) in half widths, and per frame (just after any bounce).
        angle, spin: (N, T, K) in radians (positive turns x towards y: clockwise on the screen), and per frame.
        exists: (N, T, K) whether the object is there.
        rgb: (N, T, K, 3) colours in [0, 1].
        background: (N, 2, 3) colours at the two ends of a linear gradient; direction: (N,) its angle.
        pattern: (N, K + 1, 4) texture of each object and (last) of the background: frequency in radians per
            half width, orientation, two phases; texture: its amplitude, 0 for none.
        camera: (N, T, 3) x and y of the point at the image's centre, and zoom; see `camera_matrices`.
        laws: what the objects obey.
        events: structured (E,) by clip and time: clip, frame (the last one at or before it), time, kind
            (left, right, top, bottom: a wall; object), object, other (-1 for a wall).
        fault: one of `FAULTS` or None; fault_frame: (N,) the first frame that shows it (for `through`, the
            last before the wall is passed); fault_object: (N,). Both -1 without a fault.
    """

    shape: NDArray[np.int64]
    colour: NDArray[np.int64]
    size: NDArray[np.int64]
    count: NDArray[np.int64]
    radius: Array
    mass: Array
    depth: Array
    position: Array
    velocity: Array
    angle: Array
    spin: Array
    exists: NDArray[np.bool_]
    rgb: Floats
    background: Floats
    direction: Floats
    pattern: Array
    camera: Array
    events: NDArray[Any]
    fault_frame: NDArray[np.int64]
    fault_object: NDArray[np.int64]
    laws: Laws
    texture: float
    fault: str | None

    def __len__(self) -> int:
        return len(self.shape)

    @property
    def frames(self) -> int:
        """T."""
        return int(self.position.shape[1])

    @property
    def label(self) -> NDArray[np.int64]:
        """(N,) class of the first object: shape x 4 + colour, as for still images."""
        return self.shape[:, 0] * len(COLOURS) + self.colour[:, 0]

    @property
    def reach(self) -> Array:
        """(N, K) radius of the circle around each object's corners: it is what meets walls and others."""
        return circumscribed(self.shape, self.radius)

    def __getitem__(self, index: Any) -> Clips:
        """The clips at a slice or index array (an integer gives one clip, still with its first axis)."""
        if isinstance(index, (int, np.integer)):
            index = [index]
        chosen = np.arange(len(self))[index]
        parts = {
            key: value[chosen]
            for key, value in vars(self).items()
            if isinstance(value, np.ndarray) and key != "events"
        }
        low, high = np.searchsorted(self.events["clip"], [chosen, chosen + 1])
        length = high - low
        events = self.events[np.repeat(low - np.cumsum(length) + length, length) + np.arange(length.sum())]
        events["clip"] = np.repeat(np.arange(len(chosen)), length)
        return replace(self, **parts, events=events)


def circumscribed(shape: NDArray[np.int64], radius: Array) -> Array:
    """Radius of the circle around the corners of shapes of some `radius`; same shape as both."""
    return _CORNER[shape] * radius


def concatenate(parts: list[Clips]) -> Clips:
    """Clips of equal length and laws, one batch after the other."""
    joined: dict[str, Any] = {
        key: np.concatenate([getattr(part, key) for part in parts])
        for key, value in vars(parts[0]).items()
        if isinstance(value, np.ndarray) and key != "events"
    }
    events, start = [], 0
    for part in parts:
        moved = part.events.copy()
        moved["clip"] += start
        start += len(part)
        events.append(moved)
    return replace(parts[0], **joined, events=np.concatenate(events))


def camera_matrices(clips: Clips, pixels: int) -> Array:
    """(N, T, 3, 3) matrices that take homogeneous world coordinates to pixel coordinates."""
    check_pixels(pixels)
    scale = clips.camera[..., 2] * (pixels / 2)
    made = np.zeros((*clips.camera.shape[:2], 3, 3))
    made[..., 0, 0] = made[..., 1, 1] = scale
    made[..., :2, 2] = pixels / 2 - scale[..., None] * clips.camera[..., :2]
    made[..., 2, 2] = 1
    return made


def pixel_centres(clips: Clips, pixels: int) -> tuple[Array, Array]:
    """World x of the columns and world y of the rows, (N, T, pixels) each, as the camera of each frame sees."""
    line = (np.arange(pixels) + 0.5) * (2 / pixels) - 1
    seen = line / clips.camera[..., 2:]
    return clips.camera[..., 0:1] + seen, clips.camera[..., 1:2] + seen


def render_clips(clips: Clips, pixels: int = 32) -> tuple[Floats, NDArray[np.uint8]]:
    """Paint clips, antialiased: each pixel has the share of each object that covers it.

    Args:
        clips: N of them.
        pixels: width and height, 16 to 128.

    Returns:
        Images (N, T, pixels, pixels, 3) in [0, 1], and instance masks (N, T, pixels, pixels): 0 for the
        background, k + 1 where object k covers at least half of the pixel and nothing nearer does.

    Raises:
        ValueError: `pixels` out of range.
    """
    check_pixels(pixels)
    n, frames = clips.position.shape[:2]
    images = np.empty((n * frames, pixels, pixels, 3), np.float32)
    masks = np.zeros((n * frames, pixels, pixels), np.uint8)
    rows = _Rows(clips, pixels)
    for start in range(0, n * frames, _CHUNK):
        part = slice(start, min(start + _CHUNK, n * frames))
        images[part] = np.moveaxis(rows.paint(part, masks[part]), 1, -1)
    whole = (n, frames, pixels, pixels)
    return images.reshape(*whole, 3), masks.reshape(whole)


class _Rows:
    """All frames of all clips as one list of rows, objects from the farthest to the nearest."""

    def __init__(self, clips: Clips, pixels: int) -> None:
        n, frames, k = clips.angle.shape
        order = np.argsort(-clips.depth, axis=1)
        every = np.arange(n)[:, None]

        def by_clip(values: Any) -> Any:
            return np.repeat(values[every, order], frames, axis=0)

        def by_frame(values: Any) -> Any:
            return (
                np.swapaxes(values, 1, 2)[every, order].swapaxes(1, 2).reshape(n * frames, *values.shape[2:])
            )

        self.shape, self.radius = by_clip(clips.shape), by_clip(clips.radius).astype(np.float32)
        self.identity = np.repeat(order + 1, frames, axis=0).astype(np.uint8)
        self.centre = by_frame(clips.position).astype(np.float32)
        self.angle = by_frame(clips.angle).astype(np.float32)
        self.exists, self.rgb = by_frame(clips.exists), by_frame(clips.rgb)
        self.x, self.y = (
            line.reshape(n * frames, -1).astype(np.float32) for line in pixel_centres(clips, pixels)
        )
        self.scale = (clips.camera[..., 2].reshape(-1) * (pixels / 2)).astype(np.float32)
        self.background = np.repeat(clips.background, frames, axis=0)
        self.direction = np.repeat(clips.direction, frames)
        self.texture = np.float32(clips.texture)
        pattern = np.concatenate([clips.pattern[every, order], clips.pattern[:, k:]], 1).astype(np.float32)
        self.pattern = np.repeat(pattern, frames, axis=0)

    def paint(self, part: slice, masks: NDArray[np.uint8]) -> Floats:
        """Images (n, 3, pixels, pixels) of the rows of `part`; `masks` (n, pixels, pixels) are filled in."""
        x, y = self.x[part, None, :], self.y[part, :, None]
        cos, sin = np.cos(self.direction[part])[:, None, None], np.sin(self.direction[part])[:, None, None]
        first, second = (self.background[part, end, :, None, None] for end in (0, 1))
        ramp = (0.5 + 0.35 * (x * cos)) + (0.35 * y * sin)
        images: Floats = first + ramp[:, None] * (second - first)
        if self.texture:
            images += self._waves(slice(part.start, part.stop), -1, x, y)[:, None]
        for slot in range(self.shape.shape[1]):
            for kind in range(len(SHAPES)):
                rows = part.start + np.flatnonzero(self.exists[part, slot] & (self.shape[part, slot] == kind))
                if len(rows):
                    self._object(kind, slot, rows, part.start, images, masks)
        return images

    def _object(self, kind: int, slot: int, rows: Any, start: int, images: Floats, masks: Any) -> None:
        angle = self.angle[rows, slot, None, None]
        cos, sin = np.cos(angle), np.sin(angle)
        dx = self.x[rows, None, :] - self.centre[rows, slot, 0, None, None]
        dy = self.y[rows, :, None] - self.centre[rows, slot, 1, None, None]
        x, y = cos * dx + sin * dy, cos * dy - sin * dx
        distance = signed_distance(kind, x, y, self.radius[rows, slot, None, None])
        cover = np.clip(0.5 - distance * self.scale[rows, None, None], 0, 1)
        colour = self.rgb[rows, slot, :, None, None]
        if self.texture:
            colour = colour + self._waves(rows, slot, x, y)[:, None]
        here = rows - start
        images[here] += cover[:, None] * (colour - images[here])
        painted = masks[here]
        np.copyto(painted, self.identity[rows, slot, None, None], where=cover >= 0.5)
        masks[here] = painted

    def _waves(self, rows: Any, slot: int, x: Floats, y: Floats) -> Floats:
        frequency, turn, phase, other = (self.pattern[rows, slot, i, None, None] for i in range(4))
        cos, sin = np.cos(turn) * frequency, np.sin(turn) * frequency
        waves = np.sin(x * cos + y * sin + phase) + np.sin(1.3 * (y * cos - x * sin) + other)
        return (0.5 * self.texture * waves).astype(np.float32)
