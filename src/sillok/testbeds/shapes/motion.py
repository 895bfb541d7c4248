"""Discs between four walls, simulated from event to event: flight in closed form, bounces at their exact times.

Lengths are in half image widths, time in frames. Between two events every disc flies under gravity and a
drag that is linear in its velocity; the time of the next event is solved for, and not stepped over. All
clips of a batch advance together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EVENT = np.dtype(
    [
        ("clip", np.int64),
        ("frame", np.int64),  # the last frame at or before the event
        ("time", np.float64),
        ("kind", "U6"),  # left, right, top, bottom: the wall; object: two discs met
        ("object", np.int64),
        ("other", np.int64),  # the second disc, or -1
    ]
)
WALLS = np.array([["left", "right"], ["top", "bottom"]])
_REST = 1e-3  # a bounce slower than this, where energy is lost, ends in rest on the wall
_BISECTIONS = 60
_MOST = 5_000  # events within one frame of one clip


@dataclass(frozen=True)
class Laws:
    """What the discs obey.

    Attributes:
        gravity: x and y (down is positive), in half widths per frame squared.
        friction: rate at which velocity and spin decay, per frame.
        restitution: speed after a bounce over speed before it, along the normal; 1 is elastic.
        collide: whether discs bounce off one another; if not, they pass in front of each other.

    Raises:
        ValueError: a value out of range, or bodies that would come to rest on one another: that is not
            simulated, so `collide` with gravity needs restitution 1 and no friction.
    """

    gravity: tuple[float, float] = (0.0, 0.0)
    friction: float = 0.0
    restitution: float = 1.0
    collide: bool = False

    def __post_init__(self) -> None:
        if len(self.gravity) != 2 or not np.isfinite(self.gravity).all() or np.abs(self.gravity).max() > 0.1:
            raise ValueError(f"gravity must be two numbers within [-0.1, 0.1]; got {self.gravity!r}")
        if not 0 <= self.friction <= 1:
            raise ValueError(f"friction must lie in [0, 1]; got {self.friction!r}")
        lowest = 0.5 if self.collide else 0.1
        if not lowest <= self.restitution <= 1:
            raise ValueError(f"restitution must lie in [{lowest}, 1] here; got {self.restitution!r}")
        if self.collide and any(self.gravity) and self.reversible is False:
            raise ValueError(
                "collide with gravity needs restitution 1 and friction 0: stacks at rest are not simulated"
            )

    @property
    def reversible(self) -> bool:
        """Whether energy is conserved."""
        return self.friction == 0 and self.restitution == 1


@dataclass
class State:
    """N clips of K discs at one instant: position, velocity (N, K, 2), angle, spin, reach, mass (N, K).

    `reach` is the radius of the disc; `active` (N, K) tells which discs there are.
    """

    position: Array
    velocity: Array
    angle: Array
    spin: Array
    reach: Array
    mass: Array
    active: NDArray[np.bool_]

    def rows(self, index: Any) -> State:
        """The clips at an index array."""
        return State(**{key: value[index] for key, value in vars(self).items()})


@dataclass
class Interference:
    """What breaks the laws, each for (N, K) discs from a frame on, and a jump of one disc a clip.

    Attributes:
        ghost: frame from which walls do not stop a disc.
        gone: frame from which a disc is not there.
        jump_frame: (N,) frame at which a disc jumps; jump_object: (N,) which; jump_to: (N, C, 2) candidate
            places, the first free one of which, far enough from where it was, is taken.
    """

    ghost: NDArray[np.int64]
    gone: NDArray[np.int64]
    jump_frame: NDArray[np.int64]
    jump_object: NDArray[np.int64]
    jump_to: Array

    def rows(self, index: Any) -> Interference:
        """The clips at an index array."""
        return Interference(**{key: value[index] for key, value in vars(self).items()})


@dataclass
class Motion:
    """Position, velocity (N, T, K, 2), angle, spin (N, T, K), exists (N, T, K), and events by clip and time."""

    position: Array
    velocity: Array
    angle: Array
    spin: Array
    exists: NDArray[np.bool_]
    events: NDArray[Any]


@dataclass
class _Log:
    rows: list[NDArray[Any]] = field(default_factory=list)

    def add(self, clip: Any, frame: int, time: Any, kind: Any, first: Any, other: Any) -> None:
        made = np.empty(len(clip), EVENT)
        for key, value in zip(EVENT.names or (), (clip, frame, time, kind, first, other), strict=True):
            made[key] = value
        self.rows.append(made)

    def sorted(self) -> NDArray[Any]:
        events = np.concatenate([np.empty(0, EVENT), *self.rows])
        return events[np.lexsort((events["time"], events["clip"]))]


def simulate(start: State, laws: Laws, frames: int, broken: Interference | None = None) -> Motion:
    """Advance N clips of K discs from their start at frame 0.

    Raises:
        RuntimeError: more than 5,000 events within one frame.
    """
    now = start.rows(slice(None))
    now = State(**{key: value.copy() for key, value in vars(now).items()})
    n, k = now.reach.shape
    rest = np.zeros((n, k, 2), bool)
    motion = Motion(
        np.empty((n, frames, k, 2)),
        np.empty((n, frames, k, 2)),
        np.empty((n, frames, k)),
        np.empty((n, frames, k)),
        np.empty((n, frames, k), bool),
        np.empty(0, EVENT),
    )
    log = _Log()
    for frame in range(frames):
        if frame:
            ghost = np.zeros((n, k), bool) if broken is None else broken.ghost <= frame - 1
            _advance(now, rest, laws, ghost, frame - 1, log)
        if broken is not None:
            now.active &= broken.gone > frame
            _jump(now, rest, laws, broken, frame)
        motion.position[:, frame], motion.velocity[:, frame] = now.position, now.velocity
        motion.angle[:, frame], motion.spin[:, frame] = now.angle, now.spin
        motion.exists[:, frame] = now.active
    motion.events = log.sorted()
    return motion


def _advance(now: State, rest: NDArray[np.bool_], laws: Laws, ghost: Any, frame: int, log: _Log) -> None:
    """One frame further, in place."""
    left = np.ones(len(now.reach))
    todo = np.arange(len(left))
    for _ in range(_MOST):
        part, pull = now.rows(todo), np.where(rest[todo], 0.0, np.asarray(laws.gravity))
        walls, side = _wall_times(part, pull, laws.friction, ghost[todo], left[todo])
        pairs, first, second = _pair_times(part, laws, left[todo])
        flat = walls.reshape(len(todo), -1)
        wall, pair = flat.min(1), pairs.min(1, initial=np.inf)
        step = np.minimum(np.minimum(wall, pair), left[todo])
        _fly(part, pull, laws.friction, step)
        time = frame + 1 - left[todo] + step
        left[todo] -= step
        for key in ("position", "velocity", "angle", "spin"):
            getattr(now, key)[todo] = getattr(part, key)
        hit = np.flatnonzero((wall <= pair) & np.isfinite(wall))
        disc, axis = np.divmod(flat[hit].argmin(1), 2)
        _bounce(now, rest, laws, todo[hit], disc, axis, side[hit, disc, axis])
        log.add(todo[hit], frame, time[hit], WALLS[axis, (side[hit, disc, axis] > 0).astype(int)], disc, -1)
        met = np.flatnonzero((pair < wall) & np.isfinite(pair))
        which = pairs[met].argmin(1) if len(met) else met
        _exchange(now, laws, todo[met], first[which], second[which])
        log.add(todo[met], frame, time[met], "object", first[which], second[which])
        todo = todo[np.sort(np.concatenate([hit, met]))]
        if not len(todo):
            return
    raise RuntimeError(f"more than {_MOST} bounces within frame {frame} of one clip")


def _travel(v: Any, pull: Any, friction: float, time: Any) -> tuple[Any, Any]:
    """Distance covered, and velocity reached, after `time` under a constant pull and linear drag."""
    if friction == 0:
        return v * time + 0.5 * pull * time * time, v + pull * time
    stretch, limit = -np.expm1(-friction * time) / friction, pull / friction
    return (v - limit) * stretch + limit * time, limit + (v - limit) * np.exp(-friction * time)


def _fly(part: State, pull: Array, friction: float, time: Array) -> None:
    distance, part.velocity = _travel(part.velocity, pull, friction, time[:, None, None])
    part.position = part.position + distance
    turned, part.spin = _travel(part.spin, 0.0, friction, time[:, None])
    part.angle = part.angle + turned


def _wall_times(part: State, pull: Array, friction: float, ghost: Any, left: Array) -> tuple[Array, Array]:
    """When each disc meets a wall within the time left, (N, K, 2) for x and y, else inf; and which side (+-1).

    A coordinate turns round once at most, so that it runs one way before that time and one way after it.
    """
    x, v = part.position, part.velocity
    limit = (1 - part.reach)[..., None]
    end = np.broadcast_to(left[:, None, None], x.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = -v / pull if friction == 0 else -np.log(pull / (pull - friction * v)) / friction
    turn = np.where((turn > 0) & (turn < end), turn, end)
    times, side = np.full(x.shape, np.inf), np.sign(v)
    stopped = (part.active & ~ghost)[..., None]
    for low, high in ((np.zeros_like(turn), turn), (turn, end)):
        before, after = (x + _travel(v, pull, friction, at)[0] for at in (low, high))
        out = stopped & (np.abs(after) > limit) & ((after - before) * after > 0) & np.isinf(times)
        index = np.nonzero(out)
        if not len(index[0]):
            continue
        side[index] = np.sign(after[index])
        inside, beyond = low[index], high[index].copy()
        start, speed, pulled = x[index], v[index], pull[index]
        wall = np.broadcast_to(limit, x.shape)[index]
        for _ in range(_BISECTIONS):
            middle = 0.5 * (inside + beyond)
            over = (start + _travel(speed, pulled, friction, middle)[0]) * side[index] > wall
            inside, beyond = np.where(over, inside, middle), np.where(over, middle, beyond)
        times[index] = inside
    return times, side


def _pair_times(part: State, laws: Laws, left: Array) -> tuple[Array, Any, Any]:
    """When each pair of discs meets within the time left, (N, pairs), else inf; and the two of each pair.

    Pull is the same for both, so that their relative path is straight and a quadratic equation gives the time.
    """
    first, second = np.triu_indices(part.reach.shape[1], 1)
    if not laws.collide or not len(first):
        return np.empty((len(left), 0)), first, second
    apart = part.position[:, first] - part.position[:, second]
    closing = part.velocity[:, first] - part.velocity[:, second]
    a, b = (closing**2).sum(-1), (apart * closing).sum(-1)
    c = (apart**2).sum(-1) - (part.reach[:, first] + part.reach[:, second]) ** 2
    inside = b * b - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.maximum(c / (-b + np.sqrt(inside)), 0)
        if laws.friction:
            time = -np.log1p(-laws.friction * time) / laws.friction  # nan: they stop before they meet
    meets = (b < 0) & (inside > 0) & part.active[:, first] & part.active[:, second] & (time <= left[:, None])
    return np.where(meets, time, np.inf), first, second


def _bounce(now: State, rest: Any, laws: Laws, clip: Any, disc: Any, axis: Any, side: Array) -> None:
    now.position[clip, disc, axis] = side * (1 - now.reach[clip, disc])
    speed = -laws.restitution * now.velocity[clip, disc, axis]
    pressed = np.asarray(laws.gravity)[axis] * side > 0
    still = pressed & (np.abs(speed) < _REST) & (not laws.reversible)
    now.velocity[clip, disc, axis] = np.where(still, 0.0, speed)
    rest[clip, disc, axis] |= still


def _exchange(now: State, laws: Laws, clip: Any, first: Any, second: Any) -> None:
    """The impulse along the line of centres that conserves momentum and gives back `restitution`."""
    apart = now.position[clip, first] - now.position[clip, second]
    normal = apart / np.linalg.norm(apart, axis=-1, keepdims=True)
    closing = ((now.velocity[clip, first] - now.velocity[clip, second]) * normal).sum(-1)
    one, two = now.mass[clip, first], now.mass[clip, second]
    impulse = (-(1 + laws.restitution) * closing * one * two / (one + two))[:, None] * normal
    now.velocity[clip, first] += impulse / one[:, None]
    now.velocity[clip, second] -= impulse / two[:, None]


def _jump(now: State, rest: NDArray[np.bool_], laws: Laws, broken: Interference, frame: int) -> None:
    for clip in np.flatnonzero(broken.jump_frame == frame):
        disc = broken.jump_object[clip]
        others = now.active[clip] & (np.arange(now.active.shape[1]) != disc) & laws.collide
        reach = now.reach[clip, disc]
        places = np.clip(broken.jump_to[clip], reach - 1, 1 - reach)
        gap = np.linalg.norm(places[:, None] - now.position[clip], axis=-1) - (reach + now.reach[clip])
        far = np.linalg.norm(places - now.position[clip, disc], axis=-1)
        score = np.where((gap > 0.01) | ~others, 1.0, -1.0).min(1) * np.minimum(far, 0.6)
        now.position[clip, disc], rest[clip, disc] = places[score.argmax()], False
