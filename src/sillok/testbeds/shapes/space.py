"""Small scenes in space: spheres and boxes on a checkered floor, a light, and a camera on a path.

World coordinates are right-handed with z up, the floor at z = 0. Camera coordinates are OpenCV's: x right,
y down, z forward. Pixel (row i, column j) has its centre at x = j + 0.5, y = i + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count, check_split
from sillok.testbeds.shapes.clips import Array, Floats
from sillok.testbeds.shapes.scenes import COLOURS, HUES, SPLITS, check_objects, check_pixels, hsv_to_rgb

SOLIDS = ("sphere", "box")
PATHS = ("still", "orbit", "dolly", "pan")
LIGHTS = ("directional", "point")
SPACES_VERSION = 1  # of the distribution that `sample_spaces` draws from, and of how it is ray-cast
FLOOR_RADIUS = 9.0
ROOM = 6.0  # half width of the room where there are walls
WALL_HEIGHT = 3.0
_MOST, _PLACES, _ATTEMPTS, _UNIFORMS = 5, 24, 50, 340


@dataclass(frozen=True)
class Spaces:
    """N scenes of T frames with up to K objects each; rows beyond `count` are padding.

    Attributes:
        solid, colour: (N, K) indices into `SOLIDS` and `COLOURS`; count: (N,) number of objects.
        half: (N, K, 3) half extents of a box, or the radius of a sphere three times.
        centre: (N, T, K, 3) in world coordinates; rotation: (N, T, K, 3, 3) from object to world.
        rgb: (N, K, 3) albedo of the objects; floor: (N, 2, 3) of the two kinds of tile; wall, sky: (N, 3).
        walls: whether four walls stand at x, y = -6 and 6, three high.
        light: (N, 3) position of a point light, or unit vector towards a directional one.
        light_kind: one of `LIGHTS`; softness: radius of the lamp (point), or of its disc in the sky as a
            tangent (directional); 0 gives hard shadows.
        light_rgb: (N, 3) colour of the light; ambient: (N,) share of light that comes from everywhere.
        focal: (N,) focal length in half image widths; world_to_camera: (N, T, 4, 4).
    """

    solid: NDArray[np.int64]
    colour: NDArray[np.int64]
    count: NDArray[np.int64]
    half: Array
    centre: Array
    rotation: Array
    rgb: Floats
    floor: Floats
    wall: Floats
    sky: Floats
    light: Array
    light_rgb: Floats
    ambient: Array
    focal: Array
    world_to_camera: Array
    walls: bool
    light_kind: str
    softness: float

    def __len__(self) -> int:
        return len(self.solid)

    @property
    def frames(self) -> int:
        """T."""
        return int(self.centre.shape[1])

    def __getitem__(self, index: Any) -> Spaces:
        """The scenes at a slice or index array (an integer gives one scene, still with its first axis)."""
        index = [index] if isinstance(index, (int, np.integer)) else index
        chosen = np.arange(len(self))[index]
        return replace(self, **{key: getattr(self, key)[chosen] for key in _arrays(self)})


def _arrays(spaces: Spaces) -> list[str]:
    return [field.name for field in fields(spaces) if isinstance(getattr(spaces, field.name), np.ndarray)]


def intrinsics(spaces: Spaces, pixels: int) -> Array:
    """(N, 3, 3) pinhole matrices for square images: focal length in pixels, principal point at the centre."""
    check_pixels(pixels)
    made = np.zeros((len(spaces), 3, 3))
    made[:, 0, 0] = made[:, 1, 1] = spaces.focal * pixels / 2
    made[:, 0, 2] = made[:, 1, 2] = pixels / 2
    made[:, 2, 2] = 1
    return made


def eyes(spaces: Spaces) -> Array:
    """(N, T, 3) world positions of the camera."""
    turn, shift = spaces.world_to_camera[..., :3, :3], spaces.world_to_camera[..., :3, 3]
    found: Array = -np.einsum("ntji,ntj->nti", turn, shift)
    return found


def project(spaces: Spaces, points: Array, pixels: int) -> tuple[Array, Array]:
    """Pixel coordinates (N, T, P, 2) and depth z (N, T, P) of world points (N, T, P, 3), seen in their frame."""
    seen = points @ spaces.world_to_camera[..., :3, :3].swapaxes(-1, -2)
    seen = seen + spaces.world_to_camera[:, :, None, :3, 3]
    depth = seen[..., 2]
    scale = (spaces.focal * pixels / 2)[:, None, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return scale * seen[..., :2] / depth[..., None] + pixels / 2, depth


def rays(spaces: Spaces, xy: Array, pixels: int) -> Array:
    """(N, T, P, 3) world directions through pixel coordinates (P, 2), of length 1 along the optical axis."""
    seen = (np.asarray(xy) - pixels / 2)[None] * (2 / pixels) / spaces.focal[:, None, None]
    axis = np.concatenate([seen, np.ones((*seen.shape[:2], 1))], -1)
    return axis[:, None] @ spaces.world_to_camera[..., :3, :3]


def unproject(spaces: Spaces, depth: Array) -> Array:
    """World points (N, T, H, W, 3) of depth maps z (N, T, H, W); infinite depth gives nan or infinity.

    Raises:
        ValueError: maps that are not square, or of another number of scenes or frames.
    """
    n, frames = spaces.centre.shape[:2]
    if depth.ndim != 4 or depth.shape[:2] != (n, frames) or depth.shape[2] != depth.shape[3]:
        raise ValueError(f"depth must have shape ({n}, {frames}, H, H); got {depth.shape}")
    pixels = depth.shape[2]
    away = rays(spaces, pixel_grid(pixels), pixels).reshape(n, frames, pixels, pixels, 3)
    with np.errstate(invalid="ignore"):
        return eyes(spaces)[:, :, None, None] + depth[..., None] * away


def pixel_grid(pixels: int, samples: int = 1) -> Array:
    """(pixels^2 samples^2, 2) x and y of the samples of all pixels, row by row, evenly spread in each pixel."""
    line = (np.arange(pixels * samples) + 0.5) / samples
    x, y = np.meshgrid(line, line)
    return np.stack([x, y], -1).reshape(-1, 2)


def look_at(eye: Array, target: Array) -> Array:
    """World-to-camera matrices (..., 4, 4) of cameras at `eye` (..., 3) that look at `target`, z being up."""
    forward = target - eye
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    turn = np.stack([right, np.cross(forward, right), forward], -2)
    made = np.zeros((*eye.shape[:-1], 4, 4))
    made[..., :3, :3] = turn
    made[..., :3, 3] = -(turn @ eye[..., None])[..., 0]
    made[..., 3, 3] = 1
    return made


def sample_spaces(
    n: int,
    frames: int = 1,
    seed: int = 0,
    *,
    split: str = "train",
    objects: tuple[int, int] = (2, 5),
    path: str = "orbit",
    moving: bool = False,
    walls: bool = False,
    light: str = "directional",
    softness: float = 0.0,
) -> Spaces:
    """Draw `n` scenes of spheres (radius 0.3 to 0.55) and boxes that stand on the floor, clear of each other.

    A scene depends on seed, split and its own index alone (and on the options): asking for more appends, and
    more frames go on where fewer end.

    Args:
        n: how many.
        frames: length.
        seed: of the random numbers.
        split: train, val or test; each draws from a stream of its own.
        objects: fewest and most objects, within 1 to 5.
        path: of the camera. `orbit` goes round the scene, `dolly` to and fro along its axis, `pan` turns it.
        moving: whether objects slide to and fro (0.3 at most) and boxes turn about the vertical.
        walls: whether walls stand round the scene.
        light: directional or point.
        softness: of shadows, 0 to 0.5; see `Spaces`.

    Raises:
        ValueError: a value out of range.
    """
    check_count("n", n)
    check_count("frames", frames)
    check_split(split, SPLITS)
    check_objects(objects, _MOST)
    if path not in PATHS:
        raise ValueError(f"path must be one of {', '.join(PATHS)}; got {path!r}")
    if light not in LIGHTS:
        raise ValueError(f"light must be one of {', '.join(LIGHTS)}; got {light!r}")
    if not 0 <= softness <= 0.5:
        raise ValueError(f"softness must lie in [0, 0.5]; got {softness!r}")
    made: Spaces | None = None
    todo = np.arange(n)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([SPLITS.index(split), seed, SPACES_VERSION, 17, attempt])
        u = rng.random((todo[-1] + 1, _UNIFORMS))[todo]
        drawn, free = _draw(u, frames, objects, path, moving, walls, light, softness)
        if made is None:
            made = drawn
        else:
            for key in _arrays(made):
                getattr(made, key)[todo[free]] = getattr(drawn, key)[free]
        todo = todo[~free]
        if not len(todo):
            return made
    raise ValueError(f"no place for {objects} objects was found in {_ATTEMPTS} draws")


def _draw(
    u: Array,
    frames: int,
    objects: tuple[int, int],
    path: str,
    moving: bool,
    walls: bool,
    light: str,
    softness: float,
) -> tuple[Spaces, NDArray[np.bool_]]:
    n, k = len(u), objects[1]
    columns = np.split(u, np.cumsum([1, k, k, 3 * k, 3 * k, 4 * k, 2 * k * _PLACES, 12, 11]), axis=1)
    counted, solids, colours, sizes, shades, ways, places, looks, views = columns[:9]
    count = objects[0] + (counted[:, 0] * (objects[1] - objects[0] + 1)).astype(np.int64)
    solid = (solids * len(SOLIDS)).astype(np.int64)
    colour = (colours * len(COLOURS)).astype(np.int64)
    sizes, shades, ways = sizes.reshape(n, k, 3), shades.reshape(n, k, 3), ways.reshape(n, k, 4)
    half = np.where(solid[..., None] == 0, 0.3 + 0.25 * sizes[..., :1], 0.25 + 0.25 * sizes)
    foot = np.where(solid == 0, half[..., 0], np.hypot(half[..., 0], half[..., 1])) + 0.3 * moving
    place, free = _place(
        1.8 * (2 * places.reshape(n, k, _PLACES, 2) - 1), foot, np.arange(k) < count[:, None]
    )
    centre, rotation = _poses(place, half[..., 2], solid, ways, frames, moving)
    hue = (HUES[colour] + 0.06 * (shades[..., 0] - 0.5)) % 1
    rgb = hsv_to_rgb(np.stack([hue, 0.5 + 0.25 * shades[..., 1], 0.65 + 0.25 * shades[..., 2]], -1))
    # tiles, wall and sky are pale, the floor's two kinds apart in value
    pale = np.stack(
        [looks[:, :4], 0.05 + 0.2 * looks[:, 4:8], [0.45, 0.7, 0.6, 0.75] + 0.1 * looks[:, 8:12]], -1
    )
    surfaces = hsv_to_rgb(pale)
    return Spaces(
        solid, colour, count, half, centre, rotation, rgb,
        surfaces[:, :2], surfaces[:, 2], surfaces[:, 3],
        _lamp(views, light), (1 - 0.1 * views[:, 3:4] * [0.0, 0.5, 1.0]).astype(np.float32),
        0.25 + 0.15 * views[:, 4], 1.7 + 0.7 * views[:, 5], _path(views, frames, path), walls, light, softness,
    ), free  # fmt: skip


def _place(places: Array, foot: Array, active: Any) -> tuple[Array, NDArray[np.bool_]]:
    """(n, K, 2) the first candidate of each object that is clear of those before it, and whether all found one."""
    place, free = places[:, :, 0].copy(), np.ones(len(places), bool)
    for k in range(1, places.shape[1]):
        gap = np.linalg.norm(places[:, k, :, None] - place[:, None, :k], axis=-1)
        clear = ((gap > (foot[:, :k] + foot[:, k : k + 1] + 0.05)[:, None]) | ~active[:, None, :k]).all(-1)
        place[:, k] = places[np.arange(len(places)), k, clear.argmax(1)]
        free &= clear.any(1) | ~active[:, k]
    return place, free


def _to_and_fro(phase: Any) -> Any:
    return 1 - np.abs((phase + 1) % 4 - 2)


def _poses(
    place: Array, height: Array, solid: Any, ways: Array, frames: int, moving: bool
) -> tuple[Array, Array]:
    """Centres (n, T, K, 3) and rotations (n, T, K, 3, 3) about the vertical."""
    time = np.arange(frames)[:, None] * moving
    swing = 0.3 * _to_and_fro((0.1 + 0.15 * ways[:, None, :, 0]) * time)
    way = 2 * np.pi * ways[:, None, :, 1]
    yaw = 2 * np.pi * ways[:, None, :, 2] + 0.15 * (2 * ways[:, None, :, 3] - 1) * time
    floor = place[:, None] + swing[..., None] * np.stack([np.cos(way), np.sin(way)], -1)
    centre = np.concatenate([floor, np.broadcast_to(height[:, None, :, None], (*floor.shape[:3], 1))], -1)
    cos, sin = np.cos(yaw), np.sin(yaw)
    rotation = np.zeros((*yaw.shape, 3, 3))
    rotation[..., 0, 0] = rotation[..., 1, 1] = cos
    rotation[..., 0, 1], rotation[..., 1, 0] = -sin, sin
    rotation[..., 2, 2] = 1
    return centre, rotation


def _lamp(views: Array, kind: str) -> Array:
    way, height = 2 * np.pi * views[:, 0], np.deg2rad(35 + 35 * views[:, 1])
    towards = np.stack([np.cos(way) * np.cos(height), np.sin(way) * np.cos(height), np.sin(height)], -1)
    return towards if kind == "directional" else towards * (4 + views[:, 2:3])


def _path(views: Array, frames: int, path: str) -> Array:
    """World-to-camera matrices (n, T, 4, 4) of a camera 4.4 to 5.2 from the centre, 2.2 to 3.6 high."""
    time, side = np.arange(frames), np.sign(views[:, 6:7] - 0.5)
    angle = 2 * np.pi * views[:, 7:8] + (path == "orbit") * side * (0.04 + 0.04 * views[:, 8:9]) * time
    away = (
        4.4
        + 0.8 * views[:, 9:10]
        - (path == "dolly") * 1.2 * _to_and_fro((0.05 + 0.1 * views[:, 8:9]) * time)
    )
    height = np.broadcast_to(2.2 + 1.4 * views[:, 10:11], away.shape)
    eye = np.stack([away * np.cos(angle), away * np.sin(angle), height + 0 * angle], -1)
    turn = (path == "pan") * side * 0.35 * _to_and_fro((0.05 + 0.1 * views[:, 8:9]) * time)
    # the target swings round the camera at its own distance
    x, y = -eye[..., 0], -eye[..., 1]
    swung = (
        np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], -1)
        + eye[..., :2]
    )
    return look_at(eye, np.concatenate([swung, np.full((*swung.shape[:2], 1), 0.3)], -1))
