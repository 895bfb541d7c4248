"""The motion of shapes: conservation laws, exact events, determinism, and what breaks the laws on request."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.testbeds import shapes
from sillok.testbeds.shapes.motion import Laws, State, simulate

COLLIDE = Laws(collide=True)
SEEDS = st.integers(0, 10_000)


def kinetic(clips):
    """(N, T) energy of motion."""
    there = np.arange(clips.shape.shape[1]) < clips.count[:, None]
    return (0.5 * (clips.mass * there)[:, None] * (clips.velocity**2).sum(-1)).sum(-1)


def lone_disc(position, velocity, reach=0.2):
    """One clip with one disc."""
    return State(
        np.array([[position]], float),
        np.array([[velocity]], float),
        np.zeros((1, 1)),
        np.zeros((1, 1)),
        np.array([[reach]]),
        np.ones((1, 1)),
        np.ones((1, 1), bool),
    )


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_elastic_collisions_conserve_energy(seed):
    clips = shapes.sample_clips(4, 60, seed, objects=(3, 6), laws=COLLIDE)
    energy = kinetic(clips)
    np.testing.assert_allclose(energy, energy[:, :1].repeat(60, 1), rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_momentum_changes_at_walls_only_and_by_what_the_wall_turns_round(seed):
    clips = shapes.sample_clips(6, 40, seed, objects=(2, 5), laws=COLLIDE, still=0)
    there = np.arange(clips.shape.shape[1]) < clips.count[:, None]
    momentum = ((clips.mass * there)[:, None, :, None] * clips.velocity).sum(2)
    wall = np.zeros((6, 40), bool)
    events = clips.events[clips.events["other"] < 0]
    wall[events["clip"], events["frame"]] = True
    calm = ~wall[:, :-1]
    change = np.abs(np.diff(momentum, axis=1)).max(-1)
    assert change[calm].max() < 1e-14
    assert change[~calm].min(initial=1) > 1e-6
    assert calm.any()


def test_discs_never_overlap_or_leave_the_room_when_they_collide():
    clips = shapes.sample_clips(40, 60, 3, objects=(4, 6), laws=COLLIDE)
    there = np.arange(6) < clips.count[:, None]
    assert (np.abs(clips.position).max(-1) <= 1 - clips.reach[:, None] + 1e-12)[
        there[:, None].repeat(60, 1)
    ].all()
    for a in range(6):
        for b in range(a):
            gap = np.linalg.norm(clips.position[:, :, a] - clips.position[:, :, b], axis=-1)
            both = there[:, a] & there[:, b]
            assert (gap - (clips.reach[:, a] + clips.reach[:, b])[:, None])[both].min() > -1e-9
    assert (clips.events["kind"] == "object").sum() > 100


def test_energy_with_gravity_counts_height():
    clips = shapes.sample_clips(30, 80, 4, laws=Laws(gravity=(0.001, 0.004)))
    height = (clips.position * [0.001, 0.004]).sum(-1)  # potential energy is minus this
    total = 0.5 * (clips.velocity**2).sum(-1) - height
    np.testing.assert_allclose(total, total[:, :1].repeat(80, 1), atol=1e-12)


def test_a_free_disc_follows_the_triangular_wave():
    time = np.arange(200)
    motion = simulate(lone_disc([0.1, -0.3], [0.031, 0.047]), Laws(), 200)
    for axis, (start, speed) in enumerate([(0.1, 0.031), (-0.3, 0.047)]):
        phase = (start + speed * time + 0.8) % 3.2
        np.testing.assert_allclose(
            motion.position[0, :, 0, axis], np.minimum(phase, 3.2 - phase) - 0.8, atol=1e-12
        )


def test_events_carry_their_exact_time_and_kind():
    motion = simulate(lone_disc([0.0, 0.0], [0.3, 0.0], reach=0.25), Laws(), 9)
    assert motion.events["kind"].tolist() == ["right", "left"]
    np.testing.assert_allclose(motion.events["time"], [2.5, 7.5], atol=1e-12)
    assert motion.events["frame"].tolist() == [2, 7]
    fall = simulate(lone_disc([0.0, -0.8], [0.0, 0.0]), Laws(gravity=(0, 0.02), restitution=0.5), 40)
    flight = (2 * 1.6 / 0.02) ** 0.5  # and every later flight lasts half as long as the one before it
    np.testing.assert_allclose(np.diff(fall.events["time"][:4]) / flight, [1, 0.5, 0.25], atol=1e-9)
    assert set(fall.events["kind"]) == {"bottom"}


def test_friction_slows_at_its_rate_and_what_bounces_with_loss_comes_to_rest():
    free = simulate(lone_disc([-0.5, 0.0], [0.05, 0.0]), Laws(friction=0.1), 12)
    np.testing.assert_allclose(free.velocity[0, :, 0, 0], 0.05 * np.exp(-0.1 * np.arange(12)), rtol=1e-12)
    np.testing.assert_allclose(
        free.position[0, :, 0, 0], -0.5 + 0.5 * (1 - np.exp(-0.1 * np.arange(12))), rtol=1e-12
    )
    for laws in (Laws(gravity=(0, 0.02), restitution=0.5), Laws(gravity=(0, 0.02), friction=0.2)):
        rest = simulate(lone_disc([0.0, 0.5], [0.01, 0.0]), laws, 200)
        assert rest.position[0, -1, 0, 1] == pytest.approx(0.8, abs=1e-12)
        assert rest.velocity[0, -1, 0, 1] == 0
        assert rest.events["time"].max() < 150


def test_restitution_scales_the_closing_speed():
    discs = dataclasses.replace(
        lone_disc([0, 0], [0, 0]),
        position=np.array([[[-0.5, 0.0], [0.3, 0.05]]]),
        velocity=np.array([[[0.1, 0.0], [-0.02, 0.01]]]),
        angle=np.zeros((1, 2)),
        spin=np.zeros((1, 2)),
        reach=np.array([[0.2, 0.15]]),
        mass=np.array([[1.0, 3.0]]),
        active=np.ones((1, 2), bool),
    )
    for restitution in (0.5, 0.8, 1.0):
        motion = simulate(discs, Laws(collide=True, restitution=restitution), 7)
        assert motion.events["kind"].tolist() == ["object"]
        time = motion.events["time"][0]
        normal = discs.position[0, 0] + time * discs.velocity[0, 0]
        normal = normal - (discs.position[0, 1] + time * discs.velocity[0, 1])
        assert np.linalg.norm(normal) == pytest.approx(0.35, abs=1e-12)
        closing = [(v[0] - v[1]) @ normal for v in motion.velocity[0, [0, -1]]]
        assert closing[1] == pytest.approx(-restitution * closing[0], rel=1e-12)
        momentum = motion.velocity[0, :, 0] + 3 * motion.velocity[0, :, 1]
        np.testing.assert_allclose(momentum, momentum[:1].repeat(7, 0), atol=1e-15)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"laws": COLLIDE, "objects": (2, 5)},
        {"hidden": 1, "objects": (2, 3)},
        {"fault": "through"},
        {"fault": "teleport"},
        {"camera": "both", "texture": 0.1},
        {"labels": np.arange(12), "headings": np.arange(12) % 8},
    ],
)
def test_a_clip_depends_on_its_index_alone(options):
    few = {k: v[:5] if isinstance(v, np.ndarray) else v for k, v in options.items()}
    short, long = shapes.sample_clips(5, 12, 9, **few), shapes.sample_clips(12, 12, 9, **options)
    for key, value in vars(long[:5]).items():
        assert np.array_equal(getattr(short, key), value), key
    assert np.array_equal(shapes.render_clips(short, 16)[0], shapes.render_clips(long, 16)[0][:5])


def test_a_longer_clip_begins_like_a_shorter_one():
    for laws in (Laws(), COLLIDE, Laws(gravity=(0, 0.004), friction=0.02)):
        short = shapes.sample_clips(6, 10, 2, laws=laws, camera="both")
        long = shapes.sample_clips(6, 30, 2, laws=laws, camera="both")
        for key in ("position", "velocity", "angle", "camera", "rgb"):
            assert np.array_equal(getattr(short, key), getattr(long, key)[:, :10]), key


def test_splits_and_seeds_share_no_clip():
    seen = {}
    for split in shapes.SPLITS:
        for seed in (0, 1):
            for clip in shapes.sample_clips(60, 3, seed, split=split).position:
                assert seen.setdefault(clip.tobytes(), (split, seed)) == (split, seed)
    assert len(seen) == 360


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    shapes.sample_clips(3)
    assert np.array_equal(before, np.random.get_state()[1])


def test_drawing_is_balanced_and_objects_of_a_clip_differ():
    clips = shapes.sample_clips(2000, 1, 5, objects=(1, 4))
    assert np.bincount(clips.count)[1:].min() > 430
    assert np.bincount(clips.label, minlength=16).min() > 85
    labels = shapes.clip_labels(clips)
    for part, values in ((labels.shape, 4), (labels.colour, 4), (labels.size, 2), (labels.heading, 8)):
        found = np.bincount(part[part >= 0], minlength=values)
        assert found.min() > 0.85 * found.mean()
    kinds = np.sort(
        np.where(np.arange(4) < clips.count[:, None], clips.shape * 4 + clips.colour, -np.arange(4) - 1)
    )
    assert (np.diff(kinds, axis=1) != 0).all()


def test_labels_and_headings_can_be_asked_for():
    label, towards = np.arange(32).reshape(16, 2) % 16, np.arange(16) % 8
    clips = shapes.sample_clips(16, 2, 0, objects=(2, 3), labels=label, headings=towards, still=1.0)
    assert np.array_equal(clips.shape[:, :2] * 4 + clips.colour[:, :2], label)
    labels = shapes.clip_labels(clips)
    assert np.array_equal(labels.heading[:, 0], towards)
    assert (labels.heading[:, 1] == -1).all()
    step = clips.velocity[:, 0, 0]
    side = np.stack([np.cos(np.pi / 4 * towards), np.sin(np.pi / 4 * towards)], -1)
    assert ((step * side).sum(-1) > 0.97 * np.linalg.norm(step, axis=-1)).all()


def test_speeds_lie_in_the_outer_quarters():
    clips = shapes.sample_clips(300, 1, 0, speed=(0.02, 0.1), still=0)
    pace = np.linalg.norm(clips.velocity[:, 0, 0], axis=-1)
    assert ((pace >= 0.02) & (pace <= 0.04) | (pace >= 0.08) & (pace <= 0.1)).all()


@pytest.mark.parametrize("options", [{"hidden": 1, "objects": (2, 2)}, {"hidden": 0, "objects": (3, 6)}])
@pytest.mark.parametrize("frames", [5, 17])
def test_the_hidden_object_is_hidden_in_the_middle_and_seen_at_both_ends(options, frames):
    clips = shapes.sample_clips(25, frames, 6, **options)
    masks = shapes.render_clips(clips, 64)[1] == options["hidden"] + 1
    area = masks.sum((2, 3))
    assert (area[:, (frames - 1) // 2] == 0).all()
    assert (area[:, 0] > 8).all()
    assert (area[:, -1] > 8).all()
    assert all(np.isclose(kinetic(clips), kinetic(clips)[:, :1]).all(1)), "the clip obeys its laws forwards"


def predicted(clips, frame, k):
    """Where object k of each clip would be by free flight from the frame before."""
    every = np.arange(len(clips))
    return (clips.position[every, frame - 1] + clips.velocity[every, frame - 1])[every, k]


def test_teleport_moves_one_object_once():
    clips = shapes.sample_clips(40, 16, 0, fault="teleport", laws=COLLIDE)
    plain = shapes.sample_clips(40, 16, 0, laws=COLLIDE)
    jump = np.linalg.norm(np.diff(clips.position, axis=1), axis=-1)
    every, at, who = np.arange(40), clips.fault_frame, clips.fault_object
    assert (jump[every, at - 1, who] > 0.4).all()
    jump[every, at - 1, who] = 0
    assert jump.max() < 0.25
    same = [np.allclose(a[:f], b[:f]) for a, b, f in zip(clips.position, plain.position, at, strict=True)]
    assert sum(same) > 25, "before the fault most clips are those without one (some were drawn again)"


def test_vanish_and_recolour():
    gone = shapes.sample_clips(30, 12, 1, fault="vanish")
    masks = shapes.render_clips(gone, 32)[1]
    for i in range(30):
        k, frame = gone.fault_object[i], gone.fault_frame[i]
        assert (masks[i, frame - 1] == k + 1).any()
        assert not (masks[i, frame:] == k + 1).any()
    other = shapes.sample_clips(30, 12, 1, fault="recolour")
    change = np.abs(np.diff(other.rgb, axis=1)).max(-1)
    assert (change[np.arange(30), other.fault_frame - 1, other.fault_object] > 0.2).all()
    assert (np.count_nonzero(change, axis=(1, 2)) == 1).all()


def test_through_leaves_the_room_where_a_wall_should_have_stopped_it():
    clips = shapes.sample_clips(40, 20, 2, fault="through", speed=(0.05, 0.1))
    every, at, who = np.arange(40), clips.fault_frame, clips.fault_object
    beyond = (np.abs(clips.position).max(-1) > 1 - clips.reach[:, None] + 1e-9) & clips.exists
    assert beyond[every, at + 1, who].all()
    for i in every:
        assert not beyond[i, : at[i] + 1].any()
        assert not np.delete(beyond[i], who[i], axis=1).any()
    np.testing.assert_allclose(clips.position[every, at + 1, who], predicted(clips, at + 1, who), atol=1e-12)


def test_indexing_keeps_each_clip_with_its_events():
    clips = shapes.sample_clips(12, 30, 1, laws=COLLIDE)
    index = np.array([7, 2, 7, 0])
    part = clips[index]
    for new, old in enumerate(index):
        ours, theirs = (c.events[c.events["clip"] == i] for c, i in ((part, new), (clips, old)))
        assert np.array_equal(ours["time"], theirs["time"])
        assert np.array_equal(ours["kind"], theirs["kind"])
    assert len(part.events) > 4
    assert len(clips[3]) == 1
    assert all(a <= b for a, b in pairwise(part.events["clip"]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shapes.sample_clips(1, objects=3), "objects must be two integers with 1 <= low <= high"),
        (lambda: shapes.sample_clips(1, objects=(1, 2.5)), "objects must be two integers"),
        (lambda: shapes.sample_clips(0), "n must be an integer of at least 1; got 0"),
        (lambda: shapes.sample_clips(1, 0), "frames must be an integer of at least 1; got 0"),
        (lambda: shapes.sample_clips(1, split="dev"), "split must be one of train, val, test; got 'dev'"),
        (lambda: shapes.sample_clips(1, objects=(0, 2)), "objects must be two integers"),
        (lambda: shapes.sample_clips(1, objects=(3, 9)), "objects must be two integers"),
        (lambda: shapes.sample_clips(1, speed=(0.1, 0.05)), "speed must be"),
        (lambda: shapes.sample_clips(1, still=1.5), r"still must lie in \[0, 1\]; got 1.5"),
        (lambda: shapes.sample_clips(1, texture=0.5), "texture must lie in"),
        (lambda: shapes.sample_clips(1, camera="orbit"), "camera must be one of still, pan, zoom, both"),
        (lambda: shapes.sample_clips(1, fault="explode"), "fault must be one of teleport, vanish"),
        (lambda: shapes.sample_clips(1, 4, fault="vanish"), "a fault needs frames of at least 6; got 4"),
        (lambda: shapes.sample_clips(1, hidden=0), "hidden must name one of the first 1 objects"),
        (lambda: shapes.sample_clips(1, 4, hidden=0, objects=(2, 2)), "hidden needs frames of at least 5"),
        (
            lambda: shapes.sample_clips(2, labels=np.array([0, 16])),
            r"labels must lie in \[0, 15\]; got 0 to 16",
        ),
        (lambda: shapes.sample_clips(2, labels=np.array([0.0, 1.0])), "labels must be integers of shape"),
        (lambda: shapes.sample_clips(1, labels=np.array([[3, 3]])), "labels of one clip must differ"),
        (lambda: shapes.sample_clips(2, headings=np.array([0])), "headings must be integers of shape"),
        (
            lambda: shapes.sample_clips(1, hidden=1, objects=(2, 2), labels=np.array([15])),
            "no clip in 200 draws",
        ),
        (lambda: Laws(gravity=(0, 1)), "gravity must be two numbers"),
        (lambda: Laws(friction=2), r"friction must lie in \[0, 1\]; got 2"),
        (lambda: Laws(restitution=0), r"restitution must lie in \[0.1, 1\]"),
        (lambda: Laws(collide=True, gravity=(0, 0.01), friction=0.1), "collide with gravity needs"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
