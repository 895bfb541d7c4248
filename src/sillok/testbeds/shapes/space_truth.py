"""What moves where in scenes in space: exact optical flow, point tracks, and warps between views."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count
from sillok.testbeds.shapes.clips import Array
from sillok.testbeds.shapes.raycast import Views, _Rows, reaches
from sillok.testbeds.shapes.scenes import check_pixels
from sillok.testbeds.shapes.space import Spaces, eyes, project, rays, unproject
from sillok.testbeds.shapes.truth import Flow


class SpaceTracks(NamedTuple):
    """Surface points followed through scenes in space.

    Attributes:
        xy: (N, P, T, 2) pixel coordinates, also where the point is hidden or outside the image.
        visible: (N, P, T) whether the point is in the image and nothing nearer covers it.
        instance: (N, P) 0 for floor and walls, k + 1 for object k.
        xyz: (N, P, T, 3) world coordinates; depth: (N, P, T) z in camera coordinates.
    """

    xy: Array
    visible: NDArray[np.bool_]
    instance: NDArray[np.int64]
    xyz: Array
    depth: Array


def carry(spaces: Spaces, points: Array, surface: NDArray[np.int64], frame: int) -> Array:
    """Where world points (N, P, 3) of one frame are in all frames, (N, T, P, 3), each carried by its surface.

    `surface` (N, P) is as in `Views`: an object carries its points, all else stands still.
    """
    frames, k = spaces.centre.shape[1:3]
    made = np.repeat(points[:, None], frames, axis=1)
    for i in range(k):
        row, point = np.nonzero(surface == i)
        if not len(row):
            continue
        offset = points[row, point] - spaces.centre[row, frame, i]
        local = np.einsum("mji,mj->mi", spaces.rotation[row, frame, i], offset)
        made[row, :, point] = spaces.centre[row, :, i] + np.einsum(
            "mtij,mj->mti", spaces.rotation[row, :, i], local
        )
    return made


def space_flow(spaces: Spaces, views: Views) -> Flow:
    """Forward optical flow of what each pixel's centre shows: the motion of its surface and of the camera.

    Sky has no flow: it is not valid there.

    Raises:
        ValueError: scenes of one frame, or views of other scenes.
    """
    n, frames, pixels = views.depth.shape[:3]
    if (n, frames) != spaces.centre.shape[:2]:
        raise ValueError(
            f"views must have shape {spaces.centre.shape[:2]} of scenes and frames; got {(n, frames)}"
        )
    if frames < 2:
        raise ValueError("optical flow needs scenes of at least 2 frames; got 1")
    sky = views.surface < 0
    points = np.where(sky[..., None], 0.0, unproject(spaces, np.where(sky, 1.0, views.depth)))
    moved = np.empty((n, frames - 1, pixels * pixels, 3))
    for frame in range(frames - 1):
        pair = _frames(spaces, slice(frame, frame + 2))
        flat = points[:, frame].reshape(n, -1, 3)
        moved[:, frame] = carry(pair, flat, views.surface[:, frame].reshape(n, -1), 0)[:, 1]
    later = _frames(spaces, slice(1, None))
    xy, z = project(later, moved, pixels)
    shape = (n, frames - 1, pixels, pixels)
    inside = ((xy >= 0) & (xy < pixels)).all(-1) & (z > 0)
    valid = inside.reshape(shape) & ~sky[:, :-1]
    column, line = np.arange(pixels) + 0.5, (np.arange(pixels) + 0.5)[:, None]
    flow = xy.reshape(*shape, 2) - np.stack(np.broadcast_arrays(column, line), -1)
    hidden = ~reaches(later, moved).reshape(shape)
    return Flow(np.where(valid[..., None], flow, 0).astype(np.float32), valid, hidden & valid)


def space_tracks(
    spaces: Spaces, points: int = 32, pixels: int = 32, *, seed: int = 0, frame: int = 0
) -> SpaceTracks:
    """Follow `points` surface points a scene, drawn evenly over the image of `frame`, where all are visible.

    Scene i's points depend on `seed` and i alone.

    Raises:
        ValueError: fewer than 1 point, `pixels` out of range, or no such frame.
    """
    check_count("points", points)
    check_pixels(pixels)
    n, frames, k = spaces.centre.shape[:3]
    if not 0 <= frame < frames:
        raise ValueError(f"frame must lie in [0, {frames - 1}]; got {frame!r}")
    now = _frames(spaces, slice(frame, frame + 1))
    xy = pixels * np.random.default_rng([seed, 19]).random((n, 8 * points, 2))
    away = np.stack([rays(now[i], xy[i], pixels)[0, 0] for i in range(n)])
    time, surface = _Rows.of(now).nearest(away)
    # those that meet something come first; there is floor in every view
    order = np.argsort(surface < 0, axis=1, kind="stable")[:, :points]
    every = np.arange(n)[:, None]
    time, surface = time[every, order], surface[every, order]
    place = eyes(now)[:, 0, None] + time[..., None] * away[every, order]
    path = carry(spaces, place, surface, frame)
    seen, z = project(spaces, path, pixels)
    visible = ((seen >= 0) & (seen < pixels)).all(-1) & (z > 0) & reaches(spaces, path)
    instance = np.where(surface < k, surface + 1, 0)
    return SpaceTracks(
        seen.swapaxes(1, 2), visible.swapaxes(1, 2), instance, path.swapaxes(1, 2), z.swapaxes(1, 2)
    )


def _frames(spaces: Spaces, index: Any) -> Spaces:
    """The scenes at some of their frames."""
    parts = {key: getattr(spaces, key)[:, index] for key in ("centre", "rotation", "world_to_camera")}
    return replace(spaces, **parts)
