"""Ground truth of clips against what is painted: masks, tracks, flow, depth, labels, antialiasing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.testbeds import shapes
from sillok.testbeds.shapes import truth
from sillok.testbeds.shapes.motion import Laws

VARIED = {"objects": (2, 5), "camera": "both", "spin": 0.8, "texture": 0.1}
SEEDS = st.integers(0, 10_000)


def edge_distance(clips, xy, pixels):
    """(N, P, T) distance in pixels from pixel coordinates (N, P, T, 2) to the nearest outline of an object."""
    inverse = np.linalg.inv(shapes.camera_matrices(clips, pixels))
    world = np.einsum("ntab,nptb->ntpa", inverse[..., :2, :2], xy) + inverse[:, :, None, :2, 2]
    found = [np.abs(truth.distance_to(clips, world, k)) for k in range(clips.shape.shape[1])]
    return (np.min(found, 0) * clips.camera[..., 2:] * pixels / 2).swapaxes(1, 2)


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.sampled_from([{}, VARIED, {"fault": "vanish"}, {"hidden": 1, "objects": (2, 3)}]))
def test_a_track_is_visible_where_and_only_where_the_mask_shows_its_object(seed, options):
    pixels, clips = 48, shapes.sample_clips(6, 10, seed, **options)
    masks = shapes.render_clips(clips, pixels)[1]
    tracks = shapes.sample_tracks(clips, 24, pixels, seed=seed)
    column, line = np.floor(tracks.xy).astype(int).transpose(3, 0, 1, 2)
    inside = (column >= 0) & (column < pixels) & (line >= 0) & (line < pixels)
    assert not (tracks.visible & ~inside).any()
    clip, frame = np.arange(6)[:, None, None], np.arange(10)
    shown = masks[clip, frame, np.clip(line, 0, pixels - 1), np.clip(column, 0, pixels - 1)]
    sure = inside & (edge_distance(clips, tracks.xy, pixels) > 1)
    assert sure.mean() > 0.4
    assert np.array_equal(tracks.visible[sure], (shown == tracks.instance[..., None])[sure])


def test_tracks_are_rigid_and_spread_over_all_objects():
    clips = shapes.sample_clips(10, 12, 3, **VARIED)
    tracks = shapes.sample_tracks(clips, 30, 64)
    for i in range(10):
        for k in range(int(clips.count[i]) + 1):
            points = tracks.xy[i, tracks.instance[i] == k]
            assert len(points) >= 5
            apart = np.linalg.norm(points[1:] - points[:1], axis=-1) / clips.camera[i, :, 2]
            np.testing.assert_allclose(apart, apart[:, :1].repeat(12, 1), atol=1e-9)
    again = shapes.sample_tracks(clips[:4], 30, 64)
    assert np.array_equal(again.xy, tracks.xy[:4])
    assert np.array_equal(again.visible, tracks.visible[:4])


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_flow_is_what_tracks_do(seed):
    """The flow of a pixel's centre carries the pixel's centre as the object's own frame does."""
    pixels, clips = 32, shapes.sample_clips(4, 6, seed, **VARIED)
    masks = shapes.render_clips(clips, pixels)[1]
    flow = shapes.optical_flow(clips, masks).flow
    matrix = shapes.camera_matrices(clips, pixels)
    for i, t, row, column in np.random.default_rng(seed).integers(0, [4, 5, pixels, pixels], (40, 4)):
        point = np.array([column + 0.5, row + 0.5])
        world = (point - matrix[i, t, :2, 2]) / matrix[i, t, 0, 0]
        if masks[i, t, row, column]:
            k = masks[i, t, row, column] - 1
            turn = clips.angle[i, :, k]
            spun = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).transpose(2, 0, 1)
            world = spun[t + 1] @ spun[t].T @ (world - clips.position[i, t, k]) + clips.position[i, t + 1, k]
        end = matrix[i, t + 1, 0, 0] * world + matrix[i, t + 1, :2, 2]
        np.testing.assert_allclose(flow[i, t, row, column], end - point, atol=1e-5)


@pytest.mark.parametrize("options", [{}, VARIED, {"laws": Laws(collide=True), "objects": (3, 4)}])
def test_flow_warps_each_mask_onto_the_next(options):
    pixels, clips = 64, shapes.sample_clips(8, 6, 1, **options)
    masks = shapes.render_clips(clips, pixels)[1]
    flow, valid, occluded = shapes.optical_flow(clips, masks)
    xy = flow + np.stack(np.meshgrid(np.arange(pixels) + 0.5, np.arange(pixels) + 0.5), -1)
    ahead = edge_distance(
        dataclasses.replace(clips, **{k: getattr(clips, k)[:, 1:] for k in ("position", "angle", "exists", "camera")}),
        xy.reshape(8, 5, -1, 2).swapaxes(1, 2),
        pixels,
    ).swapaxes(1, 2).reshape(valid.shape)  # fmt: skip
    column, line = (np.clip(np.floor(xy[..., a]).astype(int), 0, pixels - 1) for a in (0, 1))
    clip, frame = np.arange(8)[:, None, None, None], np.arange(1, 6)[:, None, None]
    after = masks[clip, frame, line, column]
    sure = valid & (ahead > 1)
    assert sure.mean() > 0.5
    assert np.array_equal((after == masks[:, :-1])[sure], ~occluded[sure])
    inside = ((xy >= 0) & (xy < pixels)).all(-1)
    assert np.array_equal(valid, inside)
    assert occluded[sure].any()


def test_flow_is_not_valid_where_the_object_vanishes():
    clips = shapes.sample_clips(8, 8, 2, fault="vanish")
    masks = shapes.render_clips(clips, 32)[1]
    valid = shapes.optical_flow(clips, masks).valid
    for i in range(8):
        last = clips.fault_frame[i] - 1
        assert not valid[i, last][masks[i, last] == clips.fault_object[i] + 1].any()


def test_a_still_clip_has_no_flow():
    clips = shapes.sample_clips(5, 4, 0, still=1.0, spin=0.0)
    flow, valid, occluded = shapes.optical_flow(clips, shapes.render_clips(clips, 32)[1])
    assert np.abs(flow).max() < 1e-5
    assert valid.all()
    assert not occluded.any()


def test_nearer_objects_hide_farther_ones():
    clips = shapes.sample_clips(60, 2, 5, objects=(3, 6))
    masks = shapes.render_clips(clips, 32)[1]
    depth = shapes.depth_maps(clips, masks)
    centres = shapes.clips.pixel_centres(clips, 32)
    shape = (60, 2, 32, 32)
    world = np.stack(
        [np.broadcast_to(centres[0][:, :, None], shape), np.broadcast_to(centres[1][..., None], shape)], -1
    )
    expected = np.ones(shape)
    near_edge = np.zeros(shape, bool)
    for k in range(6):
        distance = truth.distance_to(clips, world, k)
        expected = np.where(distance < 0, np.minimum(expected, clips.depth[:, k, None, None, None]), expected)
        near_edge |= np.abs(distance) * 16 < 0.51
    assert np.array_equal(depth[~near_edge], expected.astype(np.float32)[~near_edge])
    overlap = sum((truth.distance_to(clips, world, k) < 0).astype(int) for k in range(6)) > 1
    assert overlap[~near_edge].sum() > 200
    assert (depth[masks == 0] == 1).all()


def area(shape, r):
    """Closed forms (N,) in square half widths."""
    every = [np.pi * r**2, (1.64 * r) ** 2, 3 * 3**0.5 * (0.6 * r) ** 2, 4 * r**2 * (0.34 * 2 - 0.34**2)]
    return np.select([shape == kind for kind in range(4)], every)


def test_mean_coverage_equals_area():
    """Antialiasing neither adds nor takes paint, under any pose and zoom."""
    clips = shapes.sample_clips(60, 3, 8, objects=(1, 1), camera="zoom", spin=1.0)
    n, frames = 60, 3
    white = dataclasses.replace(
        clips, background=np.zeros((n, 2, 3), np.float32), rgb=np.ones((n, frames, 1, 3), np.float32)
    )
    cover = shapes.render_clips(white, 96)[0][..., 0].sum((2, 3)) * (2 / 96) ** 2
    whole = area(clips.shape[:, 0], clips.radius[:, 0])
    np.testing.assert_allclose(cover, whole[:, None] * clips.camera[..., 2] ** 2, rtol=0.03)


def test_clips_of_one_object_are_painted_like_still_images():
    clips = shapes.sample_clips(30, 1, 4, objects=(1, 1))
    scenes = shapes.Scenes(
        clips.shape, clips.colour, clips.position[:, 0].astype(np.float32), clips.radius.astype(np.float32),
        clips.angle[:, 0].astype(np.float32), clips.rgb[:, 0], clips.background, clips.direction,
    )  # fmt: skip
    images, masks = shapes.render(scenes, 32)
    found, instances = shapes.render_clips(clips, 32)
    np.testing.assert_allclose(found[:, 0], images, atol=2e-4)
    assert (instances[:, 0] != masks).mean() < 1e-4
    assert np.array_equal(clips.label, scenes.label)


def test_visible_share_agrees_with_the_painted_area():
    clips = shapes.sample_clips(20, 3, 2, objects=(3, 4), camera="pan")
    share = shapes.visible_share(clips, 2000)
    masks = shapes.render_clips(clips, 128)[1]
    for k in range(4):
        painted = (masks == k + 1).sum((2, 3)) / (
            area(clips.shape[:, k], clips.radius[:, k])[:, None] * 64**2
        )
        painted *= clips.exists[:, :, k]
        np.testing.assert_allclose(share[:, :, k], painted, atol=0.06)


def test_labels_say_what_the_numbers_say():
    clips = shapes.sample_clips(200, 12, 1, objects=(1, 4))
    labels = shapes.clip_labels(clips)
    for i in range(200):
        there = range(int(clips.count[i]))
        assert [labels.shape[i, k] for k in range(4)][len(there) :] == [-1] * (4 - len(there))
        x, y = clips.position[i, 0, list(there)].T
        assert labels.column[i, x.argmin()] == 0
        assert labels.column[i, x.argmax()] == len(there) - 1
        assert labels.row[i, y.argmin()] == 0
        assert labels.order[i, clips.depth[i, list(there)].argmin()] == 0
        for k in there:
            step = clips.velocity[i, 0, k]
            pace = np.hypot(*step)
            assert labels.speed[i, k] == (0 if pace == 0 else 1 if pace < 0.0426 else 2)
            angle = np.rad2deg(np.arctan2(step[1], step[0])) % 360
            if pace:
                assert abs((angle - 45 * labels.heading[i, k] + 180) % 360 - 180) <= 12.001
            else:
                assert labels.heading[i, k] == -1
            assert labels.spin[i, k] == {0: 0, 1: 1, -1: 2}[int(np.sign(clips.spin[i, 0, k]))]
            mine = (clips.events["object"] == k) | (clips.events["other"] == k)
            assert labels.bounces[i, k] == (mine & (clips.events["clip"] == i)).sum()


def test_camera_matrices_invert_the_pixel_grid():
    clips = shapes.sample_clips(6, 5, 0, camera="both")
    x, y = shapes.clips.pixel_centres(clips, 20)
    world = np.stack([x, y, np.ones_like(x)], -1)
    found = np.einsum("ntab,ntpb->ntpa", shapes.camera_matrices(clips, 20), world)
    np.testing.assert_allclose(found[..., 0], np.broadcast_to(np.arange(20) + 0.5, x.shape), atol=1e-9)
    np.testing.assert_allclose(found[..., 1], np.broadcast_to(np.arange(20) + 0.5, x.shape), atol=1e-9)
    assert clips.camera[:, 0].tolist() == [[0, 0, 1]] * 6
    assert np.abs(np.diff(clips.camera, axis=1)).max() > 0.01


def test_tensors_are_what_the_renderer_gives():
    clips = shapes.sample_clips(3, 4, 0)
    data = shapes.clip_tensors(clips, 24)
    images, masks = shapes.render_clips(clips, 24)
    assert data.videos.shape == (3, 3, 4, 24, 24)
    np.testing.assert_allclose(data.videos.permute(0, 2, 3, 4, 1).numpy(), 2 * images - 1, atol=1e-6)
    assert np.array_equal(data.masks.numpy(), masks)
    assert data.labels.tolist() == clips.label.tolist()
    assert data.captions("ko") == shapes.clip_captions(clips, "ko")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda c, m: shapes.render_clips(c, 200), "pixels must be an integer from 16 to 128; got 200"),
        (lambda c, m: shapes.sample_tracks(c, 0), "points must be an integer of at least 1; got 0"),
        (lambda c, m: shapes.sample_tracks(c, 3, 8), "pixels must be an integer from 16 to 128; got 8"),
        (
            lambda c, m: shapes.depth_maps(c, m[:1]),
            r"masks must have shape \(2, 2, H, H\); got \(1, 2, 16, 16\)",
        ),
        (lambda c, m: shapes.optical_flow(c, m[:, :, :8]), "masks must have shape"),
        (lambda c, m: shapes.optical_flow(shapes.sample_clips(2, 1), m[:, :1]), "at least 2 frames; got 1"),
        (lambda c, m: shapes.visible_share(c, 0), "samples must be an integer of at least 1; got 0"),
    ],
)
def test_bad_input(call, words):
    clips = shapes.sample_clips(2, 2)
    with pytest.raises(ValueError, match=words):
        call(clips, shapes.render_clips(clips, 16)[1])
