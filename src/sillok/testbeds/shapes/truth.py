"""Ground truth of clips, computed from their numbers: poses, visibility, tracks, depth, optical flow, labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count
from sillok.testbeds.shapes.clips import Array, Clips, Floats
from sillok.testbeds.shapes.scenes import SHAPES, signed_distance

HEADINGS = ("right", "down-right", "down", "down-left", "left", "up-left", "up", "up-right")


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
    return np.where(clips.exists[:, :, k][grow], found, np.inf)


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
    inside: NDArray[np.bool_] = ((seen >= -1) & (seen < 1)).all(-1)
    return inside


def covered(clips: Clips, points: Array, depth: Any) -> NDArray[np.bool_]:
    """Whether an object nearer than `depth` (N,) covers world points (N, T, ..., 2)."""
    found = np.zeros(points.shape[:-1], bool)
    for k in range(clips.shape.shape[1]):
        nearer = np.flatnonzero(clips.depth[:, k] < depth)
        if len(nearer):
            found[nearer] |= distance_to(clips[nearer], points[nearer], k) < 0
    return found


def visible_share(clips: Clips, samples: int = 128) -> Array:
    """(N, T, K) share of each object's area that is in the image and not hidden, over `samples` points each."""
    check_count("samples", samples)
    share = np.zeros(clips.exists.shape)
    for k in range(share.shape[2]):
        points = to_world(clips, body_points(clips, k, samples), k)
        shown = in_view(clips, points) & ~covered(clips, points, clips.depth[:, k])
        share[:, :, k] = shown.mean(-1) * clips.exists[:, :, k]
    return share
