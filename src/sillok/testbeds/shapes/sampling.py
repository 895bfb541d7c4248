"""Drawing clips: every clip from its own row of random numbers, drawn again where a request is not met."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import check_count, check_split
from sillok.testbeds.shapes import truth
from sillok.testbeds.shapes.clips import FAULTS, SIZES, Array, Clips, circumscribed, concatenate
from sillok.testbeds.shapes.motion import WALLS, Interference, Laws, State, simulate
from sillok.testbeds.shapes.scenes import CLASSES, COLOURS, HUES, SPLITS, check_objects, hsv_to_rgb

CLIPS_VERSION = 1  # of the distribution that `sample_clips` draws from
MOST = 6
CAMERAS = ("still", "pan", "zoom", "both")
_PLACES = 16  # candidates for where an object starts, and for where it jumps to
_UNIFORMS = 430
_ATTEMPTS = 200
_NEVER = 1 << 40


@dataclass(frozen=True)
class _Request:
    frames: int
    objects: tuple[int, int]
    speed: tuple[float, float]
    still: float
    spin: float
    laws: Laws
    camera: str
    texture: float
    hidden: int | None
    fault: str | None


class _Row:
    """Hands out the uniform numbers of a block of rows, column after column."""

    def __init__(self, uniforms: Array) -> None:
        self.uniforms, self.used = uniforms, 0

    def __call__(self, *shape: int) -> Array:
        size = int(np.prod(shape, dtype=int))
        taken = self.uniforms[:, self.used : self.used + size]
        self.used += size
        return taken.reshape(len(taken), *shape)


def sample_clips(
    n: int,
    frames: int = 16,
    seed: int = 0,
    *,
    split: str = "train",
    objects: tuple[int, int] = (1, 3),
    labels: NDArray[np.int64] | None = None,
    headings: NDArray[np.int64] | None = None,
    speed: tuple[float, float] = (0.03, 0.08),
    still: float = 0.2,
    spin: float = 0.4,
    laws: Laws | None = None,
    camera: str = "still",
    texture: float = 0.0,
    hidden: int | None = None,
    fault: str | None = None,
) -> Clips:
    """Draw `n` clips of moving shapes, with everything that is true of them.

    A clip depends on seed, split and its own index alone (and on the options): asking for more clips appends
    to the same sequence. Objects of one clip differ in shape or colour. Each is small (radius 0.17 to 0.21)
    or large (0.29 to 0.35; both times sqrt(3 / most objects) where more than three may come). Headings lie
    within 12 degrees of one of eight directions, speeds in the lowest or highest quarter of their range.
    Circles do not spin, unless there is texture to see it by. With `frames=1` these are stills.

    Args:
        n: how many.
        frames: length; a longer clip begins like a shorter one, unless `hidden` or `fault` is asked for.
        seed: of the random numbers.
        split: train, val or test; each draws from a stream of its own.
        objects: fewest and most objects, within 1 to 6.
        labels: (n,) classes of the first object, or (n, m) of the first m, no two alike in a clip.
        headings: likewise, indices into `HEADINGS` (0 right, then clockwise by 45 degrees), -1 for any; an
            object whose heading is given moves.
        speed: lowest and highest, in half widths per frame.
        still: share of objects that do not move. spin: share of objects that rotate.
        laws: gravity, friction, restitution, collisions; by default none, and elastic walls.
        camera: still, pan, zoom or both.
        texture: amplitude of a soft pattern on objects and background, 0 to 0.15 (0.1 is well seen).
        hidden: the object that is wholly covered in the middle frame, `(frames - 1) // 2`, and at least 30 %
            visible in the first and the last; needs 5 frames, two objects, and laws without loss or collisions.
        fault: what goes against the laws in every clip, once, in the middle half of its frames: `teleport`,
            `vanish`, `recolour` or `through` (a wall does not stop the object); needs 6 frames.

    Raises:
        ValueError: a value out of range, options that do not go together, or a request that no clip met.
    """
    check_count("n", n)
    check_count("frames", frames)
    check_split(split, SPLITS)
    request = _Request(frames, objects, speed, still, spin, laws or Laws(), camera, texture, hidden, fault)
    _check(request)
    wanted = _asked("labels", labels, n, CLASSES, 0)
    towards = _asked("headings", headings, n, len(truth.HEADINGS), -1)
    parts: list[Clips] = []
    places: list[NDArray[np.int64]] = []
    todo = np.arange(n)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([SPLITS.index(split), seed, CLIPS_VERSION, 7, attempt])
        uniforms = rng.random((todo[-1] + 1, _UNIFORMS))[todo]
        made, good = _draw(_Row(uniforms), request, wanted[todo], towards[todo])
        if good.any():
            parts.append(made[good])
            places.append(todo[good])
        todo = todo[~good]
        if not len(todo):
            return concatenate(parts)[np.argsort(np.concatenate(places))]
    raise ValueError(
        f"no clip in {_ATTEMPTS} draws met the request (objects={objects}, frames={frames}, speed={speed}, "
        f"hidden={hidden}, fault={fault}); allow more frames, another speed, or fewer objects"
    )


def _asked(name: str, values: Any, n: int, count: int, low: int) -> NDArray[np.int64]:
    """The (n, m) indices asked for; m is 0 where nothing was."""
    if values is None:
        return np.empty((n, 0), np.int64)
    asked = np.asarray(values)
    asked = asked[:, None] if asked.ndim == 1 else asked
    if asked.ndim != 2 or len(asked) != n or not 1 <= asked.shape[1] <= MOST or asked.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be integers of shape ({n},) or ({n}, m) with m from 1 to {MOST}; "
            f"got {np.asarray(values).dtype} of shape {np.shape(values)}"
        )
    if asked.min() < low or asked.max() >= count:
        raise ValueError(f"{name} must lie in [{low}, {count - 1}]; got {asked.min()} to {asked.max()}")
    if name == "labels" and (np.diff(np.sort(asked, 1), axis=1) == 0).any():
        raise ValueError("labels of one clip must differ: its objects are told apart by shape and colour")
    return asked.astype(np.int64)


def _check(request: _Request) -> None:
    check_objects(request.objects, MOST)
    low = request.objects[0]
    if not 0 < request.speed[0] <= request.speed[1] <= 0.5:
        raise ValueError(f"speed must be (low, high) with 0 < low <= high <= 0.5; got {request.speed}")
    for name, top in (("still", 1), ("spin", 1), ("texture", 0.15)):
        if not 0 <= getattr(request, name) <= top:
            raise ValueError(f"{name} must lie in [0, {top}]; got {getattr(request, name)!r}")
    if request.camera not in CAMERAS:
        raise ValueError(f"camera must be one of {', '.join(CAMERAS)}; got {request.camera!r}")
    if request.fault is not None:
        if request.fault not in FAULTS:
            raise ValueError(f"fault must be one of {', '.join(FAULTS)}, or None; got {request.fault!r}")
        if request.frames < 6:
            raise ValueError(f"a fault needs frames of at least 6; got {request.frames}")
    if request.hidden is not None:
        if not 0 <= request.hidden < low or low < 2:
            raise ValueError(
                f"hidden must name one of the first {low} objects, of at least 2; got {request.hidden!r}"
            )
        if request.frames < 5 or not request.laws.reversible or request.laws.collide or request.fault:
            raise ValueError(
                "hidden needs frames of at least 5, no friction, restitution 1, no collide and no fault; "
                f"got frames={request.frames}, {request.laws}, fault={request.fault!r}"
            )


def _draw(row: _Row, request: _Request, labels: Any, headings: Any) -> tuple[Clips, NDArray[np.bool_]]:
    """One attempt for each row: clips, and which of them are as asked."""
    low, high = request.objects
    n, k = len(labels), high
    count = low + (row() * (high - low + 1)).astype(np.int64).reshape(n)
    keys = row(CLASSES)
    np.put_along_axis(keys, labels, np.arange(labels.shape[1]) - MOST, axis=1)
    label = np.argsort(keys, axis=1)[:, :k]
    shape, colour = np.divmod(label, len(COLOURS))
    active = np.arange(k) < count[:, None]
    slot = np.argsort(row(MOST), axis=1)[:, :k]
    depth = 0.1 + 0.8 * (slot + 0.6 * row(MOST)[:, :k]) / MOST
    size = (row(MOST)[:, :k] * len(SIZES)).astype(np.int64)
    radius = (0.17 + 0.12 * size + (0.04 + 0.02 * size) * row(MOST)[:, :k]) * min(1, (3 / high) ** 0.5)
    velocity = _velocities(row, request, headings)
    turning = (row(MOST) < request.spin)[:, :k] & ((shape > 0) | (request.texture > 0))
    spin = np.where(turning, (0.06 + 0.1 * row(MOST)[:, :k]) * np.sign(row(MOST)[:, :k] - 0.5), 0.0)
    angle = 2 * np.pi * (row(MOST)[:, :k] - 0.5)
    places = 2 * row(MOST, _PLACES, 2)[:, :k] - 1
    ok = np.ones(n, bool)
    if request.hidden is not None:
        ok &= _hide(request, shape, size, radius, depth, velocity, row())
    reach = circumscribed(shape, radius)
    position, free = _place(places, reach, active, request.laws.collide)
    state = State(position, velocity, angle, spin, reach, np.pi * radius**2, active)
    if request.hidden is not None:
        _rewind(state, request)
    broken, frame, which = _plan_fault(row, request, state, count)
    motion = simulate(state, request.laws, request.frames, broken)
    rgb, other = _colours(row, colour)
    rgb = np.repeat(rgb[:, None], request.frames, axis=1)
    if request.fault == "recolour":
        after = np.arange(request.frames)[None, :] >= frame[:, None]
        every = np.arange(n)
        rgb[every, :, which] = np.where(after[..., None], other[every, which][:, None], rgb[every, :, which])
    ends = np.stack([row(2), 0.08 + 0.22 * row(2), 0.35 + 0.35 * row(2)], -1)
    pattern = row(MOST + 1, 4) * [7, np.pi, 2 * np.pi, 2 * np.pi] + [5, 0, 0, 0]
    clips = Clips(
        shape, colour, size, count, radius, state.mass, depth,
        motion.position, motion.velocity, motion.angle, motion.spin, motion.exists, rgb,
        hsv_to_rgb(ends), (2 * np.pi * row()).astype(np.float32),
        np.concatenate([pattern[:, :k], pattern[:, -1:]], 1), _camera(row, request),
        motion.events, frame, which, request.laws, request.texture, request.fault,
    )  # fmt: skip
    return clips, ok & free & _as_asked(clips, request)


def _velocities(row: _Row, request: _Request, headings: Any) -> Array:
    k = request.objects[1]
    towards = (row(MOST) * len(truth.HEADINGS)).astype(np.int64)[:, :k]
    given = np.zeros_like(towards) - 1
    given[:, : headings.shape[1]] = headings[:, :k]
    towards = np.where(given >= 0, given, towards)
    angle = np.pi / 4 * towards + np.deg2rad(12) * (2 * row(MOST)[:, :k] - 1)
    low, high = request.speed
    quarter = (row(MOST)[:, :k] * 2).astype(np.int64) * 0.75 + 0.25 * row(MOST)[:, :k]
    moves = (row(MOST)[:, :k] >= request.still) | (given >= 0)
    velocity: Array = np.where(moves, low + (high - low) * quarter, 0)[..., None] * np.stack(
        [np.cos(angle), np.sin(angle)], -1
    )
    return velocity


def _colours(row: _Row, colour: NDArray[np.int64]) -> tuple[Any, Any]:
    """(n, K, 3) colours near the four hues, and those that the objects would have after a recolouring."""
    k = colour.shape[1]
    shade, step = row(MOST, 3)[:, :k], 1 + (row(MOST)[:, :k] * (len(COLOURS) - 1)).astype(np.int64)
    made = []
    for named in (colour, (colour + step) % len(COLOURS)):
        hue = (HUES[named] + 0.06 * (shade[..., 0] - 0.5)) % 1
        made.append(hsv_to_rgb(np.stack([hue, 0.5 + 0.25 * shade[..., 1], 0.6 + 0.25 * shade[..., 2]], -1)))
    return made[0], made[1]


def _place(places: Array, reach: Array, active: Any, apart: bool) -> tuple[Array, NDArray[np.bool_]]:
    """The first candidate of each object that is clear of the objects before it, and whether all found one."""
    places = places * (1 - reach[:, :, None, None])
    position, free = places[:, :, 0].copy(), np.ones(len(places), bool)
    for k in range(1, places.shape[1] if apart else 1):
        gap = np.linalg.norm(places[:, k, :, None] - position[:, None, :k], axis=-1)
        clear = ((gap > (reach[:, :k] + reach[:, k : k + 1] + 0.02)[:, None]) | ~active[:, None, :k]).all(-1)
        position[:, k] = places[np.arange(len(places)), k, clear.argmax(1)]
        free &= clear.any(1) | ~active[:, k]
    return position, free


def _hide(request: _Request, shape: Any, size: Any, radius: Any, depth: Any, velocity: Any, u: Array) -> Any:
    """Make object `hidden` small, fast and behind another, large one; tells which rows can hide it."""
    far, near = request.hidden or 0, 0 if request.hidden else 1
    size[:, far], size[:, near] = 0, 1
    shrink = min(1, (3 / request.objects[1]) ** 0.5)
    radius[:, far] = (0.17 + 0.04 * u.reshape(-1)) * shrink
    radius[:, near] = (0.42 + 0.06 * u.reshape(-1)) * shrink
    depth[:, [far, near]] = np.sort(depth[:, [far, near]], axis=1)[:, ::-1]
    speed = np.linalg.norm(velocity[:, far], axis=-1)
    needed = np.maximum(speed, 1.3 * radius[:, near] / ((request.frames - 1) // 2))
    velocity[:, far] *= (needed / np.maximum(speed, 1e-9))[:, None]
    return (shape[:, near] <= 1) & (speed > 0)


def _rewind(state: State, request: _Request) -> None:
    """Put the two in one place in the middle frame, and go back from there to the first."""
    far, near = request.hidden or 0, 0 if request.hidden else 1
    state.position[:, far] = state.position[:, near]
    middle = (request.frames - 1) // 2
    back = replace(state, velocity=-state.velocity, spin=-state.spin)
    past = simulate(back, request.laws, middle + 1)
    state.position, state.velocity = past.position[:, -1], -past.velocity[:, -1]
    state.angle = past.angle[:, -1]


def _plan_fault(row: _Row, request: _Request, state: State, count: Any) -> tuple[Any, Any, Any]:
    """What to break, the frame and the object (n,), both -1 where nothing is."""
    n, k = state.reach.shape
    which = (row().reshape(n) * count).astype(np.int64)
    low, high = request.frames // 4, request.frames - request.frames // 4
    frame = low + (row().reshape(n) * (high - low)).astype(np.int64)
    jumps = 2 * row(_PLACES, 2) - 1
    if request.fault is None:
        return None, np.full(n, -1), np.full(n, -1)
    ghost, gone = np.full((n, k), _NEVER), np.full((n, k), _NEVER)
    jump = np.full(n, -1)
    if request.fault == "teleport":
        jump = frame
    elif request.fault == "vanish":
        gone[np.arange(n), which] = frame
    elif request.fault == "through":
        events = simulate(state, request.laws, request.frames).events
        events = events[np.isin(events["kind"], WALLS) & (events["frame"] >= low) & (events["frame"] < high)]
        clip, first = np.unique(events["clip"], return_index=True)
        frame[:] = -1
        frame[clip], which[clip] = events["frame"][first], events["object"][first]
        ghost[clip, which[clip]] = frame[clip]
    return Interference(ghost, gone, jump, which, jumps), frame, which


def _camera(row: _Row, request: _Request) -> Array:
    """(n, T, 3) poses: x and y run to and fro within 0.5, the zoom between 1 / 1.4 and 1.4."""
    u = row(4)
    time = np.arange(request.frames)
    way, rate = 2 * np.pi * u[:, :1], 0.015 + 0.015 * u[:, 1:2]
    zoom = np.log(1.4) * np.sign(u[:, 2:3] - 0.5) * _to_and_fro((0.03 + 0.04 * u[:, 3:]) * time)
    path = 0.5 * _to_and_fro(rate * time / 0.5)
    pans, zooms = request.camera in ("pan", "both"), request.camera in ("zoom", "both")
    return np.stack([pans * path * np.cos(way), pans * path * np.sin(way), np.exp(zooms * zoom)], -1)


def _to_and_fro(phase: Array) -> Array:
    """0 at 0, 1 at 1, 0 at 2, -1 at 3, and so on: a triangular wave."""
    return 1 - np.abs((phase + 1) % 4 - 2)


def _as_asked(clips: Clips, request: _Request) -> NDArray[np.bool_]:
    """Whether what was asked for can be seen."""
    if request.hidden is not None:
        share = truth.visible_share(clips)[:, :, request.hidden]
        middle = (request.frames - 1) // 2
        shown: NDArray[np.bool_] = (share[:, 0] >= 0.3) & (share[:, -1] >= 0.3) & (share[:, middle] == 0)
        return shown
    every = np.arange(len(clips))
    if request.fault is None:
        return np.ones(len(clips), bool)
    found, which, frame = clips.fault_frame >= 0, clips.fault_object, clips.fault_frame
    share = truth.visible_share(clips)[every, :, which]
    seen: NDArray[np.bool_] = found & (share[every, np.maximum(frame, 1) - 1] >= 0.5)
    if request.fault in ("teleport", "recolour"):
        seen &= share[every, frame] >= 0.5
    if request.fault == "teleport":
        path = clips.position[every, :, which]
        jump = np.linalg.norm(path[every, frame] - path[every, np.maximum(frame, 1) - 1], axis=-1)
        seen &= jump > 0.45
    return seen
