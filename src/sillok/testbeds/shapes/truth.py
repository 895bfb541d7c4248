"""Ground truth of clips, computed from their numbers: poses, visibility, tracks, depth, optical flow, labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count
from sillok.testbeds.shapes.clips import Array, Clips, Floats, camera_matrices, pixel_centres
from sillok.testbeds.shapes.scenes import SHAPES, check_pixels, signed_distance

HEADINGS = ("right", "down-right", "down", "down-left", "left", "up-left", "up", "up-right")
_TRIES = 24  # candidates for a point inside a shape


class Tracks(NamedTuple):
    """Points followed through clips.

    Attributes:
        xy: (N, P, T, 2) pixel coordinates, also where the point is hidden or outside the image.
        visible: (N, P, T) whether the point is in the image, its object is there, and nothing nearer covers it.
        instance: (N, P) 0 for the background, k + 1 for object k.
    """

    xy: Array
    visible: NDArray[np.bool_]
    instance: NDArray[np.int64]


class Flow(NamedTuple):
    """Forward optical flow.

    Attributes:
        flow: (N, T-1, H, W, 2) in pixels, x and y: where what each pixel's centre shows goes to.
        valid: (N, T-1, H, W) whether that place lies in the next image, the object being there still.
        occluded: (N, T-1, H, W) whether something nearer covers that place in the next image.
    """

    flow: Floats
    valid: NDArray[np.bool_]
    occluded: NDArray[np.bool_]


def distance_to(clips: Clips, points: Array, k: int) -> Array:
    """Signed distance (N, T, ...) in half widths from world points (N, T, ..., 2) to object k, negative inside.

    Exact along flat edges; outside of a corner it is a lower bound. Infinite where the object is not there.
    """
    grow = (slice(None), slice(None), *(None,) * (points.ndim - 3))
    offset = points - clips.position[:, :, k][(*grow, slice(None))]
    angle = clips.angle[:, :, k][grow]
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = cos * offset[..., 0] + sin * offset[..., 1], cos * offset[..., 1] - sin * offset[..., 0]
    found = np.full(x.shape, np.inf)
    for kind in range(len(SHAPES)):
        rows = clips.shape[:, k] == kind
        if rows.any():
            radius = clips.radius[rows, k].reshape(-1, *(1,) * (x.ndim - 1))
            found[rows] = signed_distance(kind, x[rows], y[rows], radius)
    distance: Array = np.where(clips.exists[:, :, k][grow], found, np.inf)
    return distance


def body_points(clips: Clips, k: int, count: int) -> Array:
    """(N, count, 2) points of object k in its own frame, spread evenly over it (the same for all its clips)."""
    found = np.empty((len(clips), count, 2))
    for kind in range(len(SHAPES)):
        side = 1.2 * (2 * ((np.arange(64) + 0.5) / 64) - 1)
        x, y = (part.reshape(-1) for part in np.meshgrid(side, side))
        inside = np.flatnonzero(signed_distance(kind, x, y, np.ones(1)) < 0)
        chosen = inside[np.linspace(0, len(inside) - 1, count).astype(int)]
        rows = clips.shape[:, k] == kind
        found[rows] = np.stack([x[chosen], y[chosen]], -1) * clips.radius[rows, k, None, None]
    return found


def to_world(clips: Clips, local: Array, k: int) -> Array:
    """World coordinates (N, T, P, 2) of points (N, P, 2) that object k carries."""
    cos, sin = np.cos(clips.angle[:, :, k, None]), np.sin(clips.angle[:, :, k, None])
    x, y = local[:, None, :, 0], local[:, None, :, 1]
    return clips.position[:, :, k, None] + np.stack([cos * x - sin * y, sin * x + cos * y], -1)


def in_view(clips: Clips, points: Array) -> NDArray[np.bool_]:
    """Whether world points (N, T, ..., 2) lie in the image of their frame."""
    grow = (slice(None), slice(None), *(None,) * (points.ndim - 3))
    zoom, centre = clips.camera[..., 2][grow], clips.camera[..., :2][(*grow, slice(None))]
    seen = (points - centre) * zoom[..., None]
    return np.asarray(np.all((seen >= -1) & (seen < 1), axis=-1))


def covered(clips: Clips, points: Array, depth: Any) -> NDArray[np.bool_]:
    """Whether an object nearer than `depth` (N,) covers world points (N, T, ..., 2)."""
    found = np.zeros(points.shape[:-1], np.bool_)
    for k in range(clips.shape.shape[1]):
        nearer = np.flatnonzero(clips.depth[:, k] < depth)
        if len(nearer):
            found[nearer] |= distance_to(clips[nearer], points[nearer], k) < 0
    hidden: NDArray[np.bool_] = found
    return hidden


def visible_share(clips: Clips, samples: int = 128) -> Array:
    """(N, T, K) share of each object's area that is in the image and not hidden, over `samples` points each."""
    check_count("samples", samples)
    share = np.zeros(clips.exists.shape)
    for k in range(clips.shape.shape[1]):
        points = to_world(clips, body_points(clips, k, samples), k)
        shown = in_view(clips, points) & ~covered(clips, points, clips.depth[:, k])
        share[:, :, k] = shown.mean(-1) * clips.exists[:, :, k]
    return share


def sample_tracks(clips: Clips, points: int = 32, pixels: int = 32, *, seed: int = 0) -> Tracks:
    """Follow `points` points a clip: as many on each object and on the background, exactly.

    A point of an object is drawn evenly from its area, a point of the background from the room at the first
    frame; hidden ones are among them. Clip i's points depend on `seed` and i alone.

    Raises:
        ValueError: fewer than 1 point, or `pixels` out of range.
    """
    check_count("points", points)
    matrix = camera_matrices(clips, pixels)
    n, k = clips.shape.shape
    u = np.random.default_rng([seed, 11]).random((n, points, 2 * _TRIES))
    instance = np.arange(points)[None, :] % (clips.count[:, None] + 1)
    world = np.empty((n, clips.frames, points, 2))
    covers = np.empty((n, clips.frames, points), bool)
    there = np.ones((n, clips.frames, points), bool)
    for i in range(k + 1):
        row, column = np.nonzero(instance == i)
        if not len(row):
            continue
        chosen, tries = clips[row], 2 * u[row, column].reshape(-1, _TRIES, 2) - 1
        if i == 0:
            first = chosen.camera[:, 0]
            place = np.repeat((first[:, :2] + tries[:, 0] / first[:, 2:])[:, None], clips.frames, axis=1)
        else:
            local = _inside_shape(chosen.shape[:, i - 1], tries) * chosen.radius[:, i - 1, None]
            place = to_world(chosen, local[:, None], i - 1)[:, :, 0]
            there[row, :, column] = chosen.exists[:, :, i - 1]
        world[row, :, column] = place
        depth = chosen.depth[:, i - 1] if i else np.ones(len(row))
        covers[row, :, column] = covered(chosen, place[:, :, None], depth)[..., 0]
    shown = in_view(clips, world) & ~covers & there
    xy = np.einsum("ntab,ntpb->npta", matrix[..., :2, :2], world) + matrix[:, None, :, :2, 2]
    return Tracks(xy, shown.swapaxes(1, 2), instance)


def _inside_shape(shape: NDArray[np.int64], tries: Array) -> Array:
    """(n, 2) the first of the candidates (n, C, 2) in [-1, 1] that lies in a shape of radius 1."""
    found = np.zeros((len(shape), 2))
    for kind in range(len(SHAPES)):
        rows = np.flatnonzero(shape == kind)
        x, y = 1.2 * tries[rows, :, 0], 1.2 * tries[rows, :, 1]
        first = (signed_distance(kind, x, y, np.ones(1)) < 0).argmax(1)
        every = np.arange(len(rows))
        found[rows] = np.stack([x[every, first], y[every, first]], -1)
        missed = signed_distance(kind, found[rows, 0], found[rows, 1], np.ones(1)) >= 0
        found[rows[missed]] = 0.0  # one in 10,000 for the triangle: its centre then
    return found


def depth_maps(clips: Clips, masks: NDArray[np.uint8]) -> Floats:
    """(N, T, H, W) depth of what the masks show: the object's own, or 1 for the background.

    Raises:
        ValueError: masks of another number of clips or frames.
    """
    _check_masks(clips, masks)
    table = np.concatenate([np.ones((len(clips), 1)), clips.depth], 1).astype(np.float32)
    found: Floats = table[np.arange(len(clips))[:, None, None, None], masks]
    return found


def optical_flow(clips: Clips, masks: NDArray[np.uint8]) -> Flow:
    """Forward flow of every pixel: the rigid motion of the object that covers it, or the camera's.

    It is the true displacement where a fault moves an object, too: a teleport is a long flow.

    Args:
        clips: N clips of T frames, of at least 2.
        masks: (N, T, H, W) as `render_clips` gives them, square.

    Raises:
        ValueError: clips of one frame, or masks that do not fit.
    """
    _check_masks(clips, masks)
    if clips.frames < 2:
        raise ValueError("optical flow needs clips of at least 2 frames; got 1")
    n, frames, pixels = masks.shape[:3]
    x, y = pixel_centres(clips, pixels)
    matrix = camera_matrices(clips, pixels)[:, 1:, :, :, None, None]
    whole = (n, frames - 1, pixels, pixels)
    here = (np.broadcast_to(x[:, :-1, None, :], whole), np.broadcast_to(y[:, :-1, :, None], whole))
    there = (here[0].copy(), here[1].copy())
    lives, nearer = np.ones(whole, bool), np.zeros(whole, bool)
    depth = depth_maps(clips, masks)[:, :-1]
    for k in range(clips.shape.shape[1]):
        at = np.nonzero(masks[:, :-1] == k + 1)
        turn = (clips.angle[:, 1:, k] - clips.angle[:, :-1, k])[at[:2]]
        before, after = clips.position[:, :-1, k][at[:2]], clips.position[:, 1:, k][at[:2]]
        dx, dy = here[0][at] - before[:, 0], here[1][at] - before[:, 1]
        there[0][at] = after[:, 0] + np.cos(turn) * dx - np.sin(turn) * dy
        there[1][at] = after[:, 1] + np.sin(turn) * dx + np.cos(turn) * dy
        lives[at] = clips.exists[:, 1:, k][at[:2]]
    next_world = np.stack(there, -1)
    for k in range(clips.shape.shape[1]):
        behind = depth > clips.depth[:, k, None, None, None].astype(np.float32)
        rows = np.flatnonzero(behind.any((1, 2, 3)))
        later = _from_second(clips[rows])
        nearer[rows] |= behind[rows] & (distance_to(later, next_world[rows], k) < 0)
    px = matrix[:, :, 0, 0] * there[0] + matrix[:, :, 0, 2]
    py = matrix[:, :, 1, 1] * there[1] + matrix[:, :, 1, 2]
    column, line = np.arange(pixels) + 0.5, (np.arange(pixels) + 0.5)[:, None]
    inside = (px >= 0) & (px < pixels) & (py >= 0) & (py < pixels)
    flow = np.stack([px - column, py - line], -1).astype(np.float32)
    return Flow(flow, inside & lives, nearer & inside & lives)


def _from_second(clips: Clips) -> Clips:
    """The poses of the second frame on: what `distance_to` reads."""
    parts = {key: getattr(clips, key)[:, 1:] for key in ("position", "angle", "exists", "camera")}
    return replace(clips, **parts)


def _check_masks(clips: Clips, masks: NDArray[np.uint8]) -> None:
    n, frames = clips.position.shape[:2]
    if masks.ndim != 4 or masks.shape[:2] != (n, frames) or masks.shape[2] != masks.shape[3]:
        raise ValueError(f"masks must have shape ({n}, {frames}, H, H); got {masks.shape}")
    check_pixels(masks.shape[2])


def heading(velocity: Array, slack: float = 12.5) -> NDArray[np.int64]:
    """Index into `HEADINGS` of velocities (..., 2); -1 where still, -2 more than `slack` degrees off the eight."""
    angle = np.arctan2(velocity[..., 1], velocity[..., 0])
    eighth = np.round(angle / (np.pi / 4))
    off = np.abs(np.rad2deg(angle - eighth * np.pi / 4)) > slack
    found = np.where(off, -2, eighth.astype(np.int64) % 8)
    return np.where((np.abs(velocity) < 1e-9).all(-1), -1, found)


class Labels(NamedTuple):
    """What each object of a clip is and does, (N, K) each; -1 beyond `count`.

    Attributes:
        shape, colour, size: indices into `SHAPES`, `COLOURS` (first frame), `SIZES`.
        heading: of the first frame, into `HEADINGS`; -1 still or padding, -2 between two of them.
        speed: 0 still, 1 slow, 2 fast (above the middle of the range drawn from), at the first frame.
        spin: 0 none, 1 clockwise, 2 counter-clockwise, at the first frame.
        bounces: number of events of the object (walls and others).
        column, row: rank of x and of y at the first frame: 0 is left-most, or top-most.
        order: rank of depth, 0 in front.
    """

    shape: NDArray[np.int64]
    colour: NDArray[np.int64]
    size: NDArray[np.int64]
    heading: NDArray[np.int64]
    speed: NDArray[np.int64]
    spin: NDArray[np.int64]
    bounces: NDArray[np.int64]
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    order: NDArray[np.int64]


def clip_labels(clips: Clips, *, fast: float = 0.055) -> Labels:
    """Class and attribute labels; `fast` (half widths per frame) divides slow from fast."""
    n, k = clips.shape.shape
    there = np.arange(k) < clips.count[:, None]
    first, spin = clips.velocity[:, 0], clips.spin[:, 0]
    pace = np.linalg.norm(first, axis=-1)
    bounces = np.zeros((n, k), np.int64)
    np.add.at(bounces, (clips.events["clip"], clips.events["object"]), 1)
    met = clips.events[clips.events["other"] >= 0]
    np.add.at(bounces, (met["clip"], met["other"]), 1)

    def rank(values: Array) -> NDArray[np.int64]:
        return np.argsort(np.argsort(np.where(there, values, np.inf), axis=1), axis=1)

    every = (
        clips.shape, clips.colour, clips.size, heading(first),
        (pace > 1e-9).astype(np.int64) + (pace > fast), (spin > 0) + 2 * (spin < 0), bounces,
        rank(clips.position[:, 0, :, 0]), rank(clips.position[:, 0, :, 1]), rank(clips.depth),
    )  # fmt: skip
    return Labels(*(np.where(there, values, -1) for values in every))
