"""Ray casting of scenes in space: colour with shadows, and exact depth, normals, masks, albedo and shading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count
from sillok.testbeds.shapes.clips import Array, Floats
from sillok.testbeds.shapes.scenes import check_pixels
from sillok.testbeds.shapes.space import (
    FLOOR_RADIUS,
    ROOM,
    WALL_HEIGHT,
    Spaces,
    eyes,
    pixel_grid,
    rays,
)

SKY = -1  # in `Views.surface`
_NEAR = 1e-6  # how far from a surface its shadow ray starts
_CHUNK = 60_000  # rays cast at once
_WALLS = ((0, -ROOM), (0, ROOM), (1, -ROOM), (1, ROOM))


@dataclass(frozen=True)
class Views:
    """What cameras see. All but `image` is sampled at pixel centres.

    Attributes:
        image: (N, T, H, W, 3) colours in [0, 1], the mean over the samples of each pixel.
        albedo: (N, T, H, W, 3) colour of the surface; the sky's own.
        shading: (N, T, H, W, 3) light that the surface gets: ambient + (1 - ambient) light_rgb cos shadow; 1
            for the sky. With one sample a pixel, image == albedo * shading, bit for bit.
        shadow: (N, T, H, W) share of the light that nothing blocks, 1 for the sky; 0 on sides turned away.
        depth: (N, T, H, W) z in camera coordinates; distance: along the ray; both inf for the sky.
        normal: (N, T, H, W, 3) unit vectors in world coordinates; 0 for the sky.
        surface: (N, T, H, W) -1 sky, k object k, K floor, K + 1 to K + 4 walls.
        masks: (N, T, H, W) instances: 0 for sky, floor and walls, k + 1 for object k.
    """

    image: Floats
    albedo: Floats
    shading: Floats
    shadow: Floats
    depth: Array
    distance: Array
    normal: Array
    surface: NDArray[np.int64]
    masks: NDArray[np.uint8]


@dataclass
class _Rows:
    """Frames of scenes, one row each: what a ray can meet, and what lights it."""

    solid: NDArray[np.int64]
    half: Array
    centre: Array
    rotation: Array
    there: NDArray[np.bool_]
    eye: Array
    rgb: Floats
    light: Array
    light_rgb: Floats
    ambient: Array
    spaces: Spaces

    @classmethod
    def of(cls, spaces: Spaces) -> _Rows:
        """All frames of all scenes, frame after frame."""
        n, frames, k = spaces.centre.shape[:3]

        def each(values: Any) -> Any:
            return np.repeat(values, frames, axis=0)

        # object colours, then the floor's first kind of tile (its second is mixed in by place), then walls
        rgb = np.concatenate([spaces.rgb, spaces.floor[:, :1], np.repeat(spaces.wall[:, None], 4, 1)], 1)
        there = np.arange(k) < spaces.count[:, None]
        flat = n * frames
        return cls(
            each(spaces.solid), each(spaces.half), spaces.centre.reshape(flat, k, 3),
            spaces.rotation.reshape(flat, k, 3, 3), each(there), eyes(spaces).reshape(flat, 3),
            np.concatenate([each(rgb), each(spaces.floor[:, 1:]), each(spaces.sky[:, None])], 1),
            each(spaces.light), each(spaces.light_rgb), each(spaces.ambient), spaces,
        )  # fmt: skip

    def part(self, rows: Any) -> _Rows:
        parts: dict[str, Any] = {k: v if isinstance(v, Spaces) else v[rows] for k, v in vars(self).items()}
        return _Rows(**parts)

    def meet(self, k: int, origin: Array, away: Array) -> Array:
        """(n, R) how far along rays (in lengths of `away`) object k is met from outside it, or inf."""
        found = np.full(away.shape[:2], np.inf)
        turn, centre = self.rotation[:, k], self.centre[:, k, None]
        for kind in (0, 1):
            rows = np.flatnonzero(self.there[:, k] & (self.solid[:, k] == kind))
            if not len(rows):
                continue
            o, d = origin[rows] - centre[rows], away[rows]
            if kind == 0:
                found[rows] = _meet_sphere(o, d, self.half[rows, k, :1])
            else:
                found[rows] = _meet_box(o @ turn[rows], d @ turn[rows], self.half[rows, k, None])
        return found

    def nearest(self, away: Array) -> tuple[Array, NDArray[np.int64]]:
        """How far along rays (n, R, 3) from the cameras a surface is met, and which; inf and -1 for the sky."""
        count = self.solid.shape[1]
        origin = np.broadcast_to(self.eye[:, None], away.shape)
        best, which = np.full(away.shape[:2], np.inf), np.full(away.shape[:2], SKY)
        with np.errstate(divide="ignore", invalid="ignore"):
            flat: list[tuple[int, Array, int | None]] = [(count, -origin[..., 2] / away[..., 2], None)]
            if self.spaces.walls:
                flat += [
                    (count + 1 + i, (at - origin[..., axis]) / away[..., axis], axis)
                    for i, (axis, at) in enumerate(_WALLS)
                ]
            for surface, time, axis in flat:
                hit = origin + time[..., None] * away
                if axis is None:
                    inside = (
                        (np.abs(hit[..., :2]) <= ROOM).all(-1)
                        if self.spaces.walls
                        else ((hit[..., :2] ** 2).sum(-1) <= FLOOR_RADIUS**2)
                    )
                else:
                    inside = (
                        (np.abs(hit[..., 1 - axis]) <= ROOM)
                        & (hit[..., 2] >= 0)
                        & (hit[..., 2] <= WALL_HEIGHT)
                    )
                nearer = inside & (time > 0) & (time < best)
                best, which = np.where(nearer, time, best), np.where(nearer, surface, which)
        for k in range(count):
            time = self.meet(k, origin, away)
            nearer = time < best
            best, which = np.where(nearer, time, best), np.where(nearer, k, which)
        return best, which

    def normals(self, points: Array, which: NDArray[np.int64]) -> Array:
        """Unit normals (n, R, 3) of the surfaces at points (n, R, 3)."""
        found = np.zeros(points.shape)
        count = self.solid.shape[1]
        found[which == count] = (0, 0, 1)
        for i, (axis, at) in enumerate(_WALLS):
            found[which == count + 1 + i] = -np.sign(at) * np.eye(3)[axis]
        for k in range(count):
            row, ray = np.nonzero(which == k)
            offset = points[row, ray] - self.centre[row, k]
            local = (offset[:, None] @ self.rotation[row, k])[:, 0] / self.half[row, k]
            axis = np.abs(local).argmax(-1)
            face = np.eye(3)[axis] * np.sign(np.take_along_axis(local, axis[:, None], 1))
            face = (self.rotation[row, k] @ face[..., None])[..., 0]
            ball = self.solid[row, k, None] == 0
            found[row, ray] = np.where(ball, offset / self.half[row, k, :1], face)
        return found

    def lit(self, points: Array, towards: Array) -> NDArray[np.bool_]:
        """Whether nothing blocks the light from points (n, R, 3) along `towards`, which ends at a point light."""
        free = np.ones(points.shape[:2], bool)
        limit = np.inf if self.spaces.light_kind == "directional" else 1.0
        for k in range(self.solid.shape[1]):
            free &= ~(self.meet(k, points, towards) < limit)
        return free

    def albedo(self, points: Array, which: NDArray[np.int64]) -> Floats:
        """Colours (n, R, 3): the object's, the wall's, the tile's, or the sky's."""
        count = self.solid.shape[1]
        with np.errstate(invalid="ignore"):
            odd = (np.floor(points[..., :2]).sum(-1) % 2).astype(bool) & (which == count)
        index = np.where(odd, count + 5, np.where(which == SKY, count + 6, which))
        return self.rgb[np.arange(len(points))[:, None], index]


def reaches(spaces: Spaces, points: Array) -> NDArray[np.bool_]:
    """Whether world points (N, T, P, 3) on surfaces can be seen from their frame's camera: nothing is nearer."""
    flat = points.reshape(-1, *points.shape[2:])
    rows = _Rows.of(spaces)
    time, _ = rows.nearest(flat - rows.eye[:, None])
    free: NDArray[np.bool_] = time.reshape(points.shape[:-1]) > 1 - 1e-5
    return free


def _meet_sphere(o: Array, d: Array, radius: Array) -> Array:
    a, b = (d * d).sum(-1), (o * d).sum(-1)
    inside = b * b - a * ((o * o).sum(-1) - radius**2)
    with np.errstate(invalid="ignore"):
        time = (-b - np.sqrt(inside)) / a
    return np.where((inside > 0) & (time > 0), time, np.inf)


def _meet_box(o: Array, d: Array, half: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (-half - o) / d, (half - o) / d
    enters = np.fmin(first, second).max(-1)
    leaves = np.fmax(first, second).min(-1)
    return np.where((enters <= leaves) & (leaves > _NEAR), np.maximum(enters, 0.0), np.inf)


def _shade(rows: _Rows, away: Array, shadows: int) -> tuple[Any, ...]:
    """Along rays (n, R, 3): time, surface, normal, shadow, shading, albedo."""
    time, which = rows.nearest(away)
    met = which != SKY
    points = rows.eye[:, None] + np.where(met, time, 0.0)[..., None] * away
    normal = rows.normals(points, which)
    start = points + _NEAR * normal
    free, bright = np.zeros(time.shape), np.zeros(time.shape)
    lamps = _lamps(rows, shadows)
    for lamp in lamps:
        if rows.spaces.light_kind == "point":
            towards = lamp[:, None] - start
        else:
            towards = np.broadcast_to(lamp[:, None], start.shape)
        cos = (normal * towards).sum(-1) / np.linalg.norm(towards, axis=-1)
        clear = (cos > 0) & rows.lit(start, towards)
        free += clear
        bright += np.where(clear, cos, 0.0)
    shadow = np.where(met, free / len(lamps), 1.0).astype(np.float32)
    ambient = rows.ambient[:, None, None]
    shading = ambient + (1 - ambient) * (bright / len(lamps))[..., None] * rows.light_rgb[:, None]
    shading = np.where(met[..., None], shading, 1.0).astype(np.float32)
    return time, which, normal, shadow, shading, rows.albedo(points, which)


def _lamps(rows: _Rows, shadows: int) -> list[Array]:
    """Where the light comes from, (n, 3) each: one place, or several spread evenly over a disc that faces the scene."""
    softness = rows.spaces.softness
    if softness == 0:
        return [rows.light]
    towards = rows.light / np.linalg.norm(rows.light, axis=-1, keepdims=True)
    side = np.cross(towards, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    other = np.cross(towards, side)
    lamps = []
    for i in range(shadows):  # a sunflower's seeds
        radius, angle = softness * ((i + 0.5) / shadows) ** 0.5, i * np.pi * (3 - 5**0.5)
        lamp = rows.light + radius * (np.cos(angle) * side + np.sin(angle) * other)
        if rows.spaces.light_kind == "directional":
            lamp = lamp / np.linalg.norm(lamp, axis=-1, keepdims=True)
        lamps.append(lamp)
    return lamps


def render_spaces(spaces: Spaces, pixels: int = 32, *, samples: int = 2, shadows: int = 8) -> Views:
    """Ray-cast scenes.

    Args:
        spaces: N scenes of T frames.
        pixels: width and height, 16 to 128.
        samples: rays along each side of a pixel for `image`; 1 is one ray through its centre.
        shadows: samples of the lamp where the light is soft.

    Raises:
        ValueError: a value out of range.
    """
    check_pixels(pixels)
    check_count("samples", samples)
    check_count("shadows", shadows)
    n, frames = spaces.centre.shape[:2]
    rows = _Rows.of(spaces)
    whole = (n * frames, pixels * pixels)
    image, albedo, shading = (np.empty((*whole, 3), np.float32) for _ in range(3))
    shadow, depth, surface = np.empty(whole, np.float32), np.empty(whole), np.empty(whole, np.int64)
    normal = np.empty((*whole, 3))
    middle = rays(spaces, pixel_grid(pixels), pixels).reshape(*whole, 3)
    fine = pixel_grid(pixels, samples)
    size = max(1, _CHUNK // (pixels * pixels * samples * samples))
    for start in range(0, n * frames, size):
        at = slice(start, min(start + size, n * frames))
        part = rows.part(at)
        depth[at], surface[at], normal[at], shadow[at], shading[at], albedo[at] = _shade(
            part, middle[at], shadows
        )
        image[at] = albedo[at] * shading[at]
        if samples > 1:
            clip, frame = np.divmod(np.arange(at.start, at.stop), frames)
            turn = spaces.world_to_camera[clip, frame, :3, :3]
            seen = (fine - pixels / 2)[None] * (2 / pixels) / spaces.focal[clip, None, None]
            away = np.concatenate([seen, np.ones((*seen.shape[:2], 1))], -1) @ turn
            light, colour = _shade(part, away, shadows)[-2:]
            grid = (light * colour).reshape(len(clip), pixels, samples, pixels, samples, 3)
            image[at] = grid.mean((2, 4)).reshape(len(clip), -1, 3)
    distance = depth * np.linalg.norm(middle, axis=-1)
    count = spaces.solid.shape[1]
    masks = np.where((surface >= 0) & (surface < count), surface + 1, 0).astype(np.uint8)
    shape = (n, frames, pixels, pixels)
    parts: list[Any] = [image, albedo, shading, shadow, depth, distance, normal, surface, masks]
    return Views(*(part.reshape(*shape, *part.shape[2:]) for part in parts))
