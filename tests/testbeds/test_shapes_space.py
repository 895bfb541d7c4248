"""Scenes in space: ray casting against closed forms, poses, shadows, relighting, flow and tracks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.testbeds import shapes

PIXELS = 40
VARIED = [
    {"path": "orbit"},
    {"path": "pan", "walls": True, "moving": True},
    {"path": "dolly", "light": "point", "moving": True},
]


def drawn(options, n=3, frames=3, seed=0):
    spaces = shapes.sample_spaces(n, frames, seed, **options)
    return spaces, shapes.render_spaces(spaces, PIXELS, samples=1)


def staged(solid, half, centre, light, kind="directional", **changes):
    """One object on the floor, seen from (2.8, -2.1, 2.2)."""
    spaces = shapes.sample_spaces(1, 1, 0, objects=(1, 1), light=kind)
    camera = shapes.look_at(np.array([[[2.8, -2.1, 2.2]]]), np.array([0.0, 0.0, 0.3]))
    return dataclasses.replace(
        spaces,
        solid=np.array([[shapes.SOLIDS.index(solid)]]),
        half=np.array([[half]], float),
        centre=np.array([[[centre]]], float),
        rotation=np.eye(3)[None, None, None],
        light=np.array([light], float),
        world_to_camera=camera,
        **changes,
    )


@pytest.mark.parametrize("options", [*VARIED, {"path": "still", "objects": (5, 5), "moving": True}])
def test_a_scene_depends_on_its_index_alone_and_goes_on(options):
    short, long = (shapes.sample_spaces(n, t, 4, **options) for n, t in ((3, 3), (9, 6)))
    for key, value in vars(long[:3]).items():
        if key in ("centre", "rotation", "world_to_camera"):
            value = value[:, :3]
        assert np.array_equal(getattr(short, key), value), key
    view = shapes.render_spaces(short, 16)
    assert np.array_equal(view.image, shapes.render_spaces(long, 16).image[:3, :3])


def test_splits_share_no_scene():
    seen = {}
    for split in shapes.SPLITS:
        for scene in shapes.sample_spaces(80, 1, 0, split=split).centre:
            assert seen.setdefault(scene.tobytes(), split) == split
    assert len(seen) == 240


@given(st.integers(0, 999), st.sampled_from(VARIED))
@settings(max_examples=10, deadline=None)
def test_objects_stand_on_the_floor_and_clear_of_each_other(seed, options):
    spaces = shapes.sample_spaces(4, 20, seed, **options)
    foot = np.where(
        spaces.solid == 0, spaces.half[..., 0], np.hypot(*spaces.half[..., :2].transpose(2, 0, 1))
    )
    np.testing.assert_allclose(spaces.centre[..., 2], np.repeat(spaces.half[:, None, :, 2], 20, 1))
    for i in range(4):
        for a in range(spaces.count[i]):
            for b in range(a):
                gap = np.linalg.norm(spaces.centre[i, :, a, :2] - spaces.centre[i, :, b, :2], axis=-1)
                assert gap.min() > foot[i, a] + foot[i, b]


@pytest.mark.parametrize("options", VARIED)
def test_rotations_are_orthonormal_and_right_handed(options):
    spaces = shapes.sample_spaces(5, 6, 1, **options)
    for turn in (spaces.rotation, spaces.world_to_camera[..., :3, :3]):
        np.testing.assert_allclose(
            turn @ turn.swapaxes(-1, -2), np.broadcast_to(np.eye(3), turn.shape), atol=1e-12
        )
        np.testing.assert_allclose(np.linalg.det(turn), 1, atol=1e-12)
    assert (spaces.world_to_camera[..., 3, :] == [0, 0, 0, 1]).all()


def test_cameras_follow_the_opencv_convention():
    eye, target = np.array([[[3.0, 0.0, 2.0]]]), np.array([0.0, 0.0, 1.0])
    spaces = dataclasses.replace(shapes.sample_spaces(1), world_to_camera=shapes.look_at(eye, target))
    np.testing.assert_allclose(shapes.eyes(spaces), eye, atol=1e-12)
    # the target, a point to its right as seen by the camera (towards +y), and one above
    points = np.array([[[[0, 0, 1], [0, 0.5, 1], [0, 0, 1.5]]]], float)
    xy, z = shapes.project(spaces, points, PIXELS)
    np.testing.assert_allclose(xy[0, 0, 0], [PIXELS / 2, PIXELS / 2], atol=1e-9)
    np.testing.assert_allclose(z[0, 0, 0], 10**0.5)
    assert xy[0, 0, 1, 0] > PIXELS / 2
    assert xy[0, 0, 2, 1] < PIXELS / 2
    seen = (spaces.world_to_camera[0, 0] @ np.append(points[0, 0, 1], 1))[:3]
    pixel = shapes.intrinsics(spaces, PIXELS)[0] @ seen
    np.testing.assert_allclose(pixel[:2] / pixel[2], xy[0, 0, 1])


@pytest.mark.parametrize("options", VARIED)
def test_depth_leads_back_to_the_surfaces(options):
    spaces, views = drawn(options)
    points = shapes.unproject(spaces, views.depth)
    count = spaces.solid.shape[1]
    met = views.surface >= 0
    away = np.linalg.norm(points - shapes.eyes(spaces)[:, :, None, None], axis=-1)
    np.testing.assert_allclose(views.distance[met], away[met], rtol=1e-12)
    assert np.isinf(views.depth[~met]).all()
    assert np.abs(points[views.surface == count][:, 2]).max() < 1e-9
    for i, t, k in np.ndindex(3, 3, count):
        mine = points[i, t][views.surface[i, t] == k] - spaces.centre[i, t, k]
        local = mine @ spaces.rotation[i, t, k] / spaces.half[i, k]
        size = np.linalg.norm(local, axis=-1) if spaces.solid[i, k] == 0 else np.abs(local).max(-1, initial=0)
        np.testing.assert_allclose(size, 1, atol=1e-9)
    walls = views.surface > count
    assert walls.any() == bool(options.get("walls"))
    assert np.allclose(np.abs(points[walls][:, :2]).max(-1), 6)
    assert np.array_equal(views.masks, np.where(met & (views.surface < count), views.surface + 1, 0))


@pytest.mark.parametrize("options", VARIED)
def test_normals_are_unit_face_the_camera_and_stand_on_planes(options):
    spaces, views = drawn(options)
    met = views.surface >= 0
    points = np.where(met[..., None], shapes.unproject(spaces, views.depth), 0)
    np.testing.assert_allclose(np.linalg.norm(views.normal[met], axis=-1), 1, atol=1e-9)
    towards = shapes.eyes(spaces)[:, :, None, None] - points
    assert ((views.normal * towards).sum(-1)[met] > -1e-9).all()
    flat = 0
    for axis in (2, 3):  # neighbours below and to the right, on one face
        step, normal = np.diff(points, axis=axis), views.normal
        one, two = (np.take(normal, range(*r), axis) for r in ((0, PIXELS - 1), (1, PIXELS)))
        same = (np.abs(one - two).max(-1) < 1e-9) & (np.abs(one).max(-1) > 0)
        same &= np.diff(views.surface, axis=axis) == 0
        slope = (step * one).sum(-1)[same] / np.linalg.norm(step, axis=-1)[same]
        assert np.abs(slope).max() < 1e-7
        flat += same.sum()
    assert flat > 3000


def test_a_sphere_has_its_analytic_silhouette_and_depth():
    centre, radius = np.array([0.2, -0.1, 0.5]), 0.5
    spaces = staged("sphere", [radius] * 3, centre, [0, 0, 1])
    mask = shapes.render_spaces(spaces, 64, samples=1).masks[0, 0] == 1
    depth = shapes.render_spaces(spaces, 64, samples=1).depth[0, 0]
    eye = shapes.eyes(spaces)[0, 0]
    line = np.arange(64) + 0.5
    away = shapes.rays(spaces, np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), 64)[0, 0].reshape(
        64, 64, 3
    )
    ahead = centre - eye
    cos = (away @ ahead) / np.linalg.norm(away, axis=-1) / np.linalg.norm(ahead)
    assert np.array_equal(mask, cos > np.sqrt(1 - (radius / np.linalg.norm(ahead)) ** 2))
    assert 200 < mask.sum() < 2000
    unit = away / np.linalg.norm(away, axis=-1, keepdims=True)
    along = unit @ ahead
    near = along - np.sqrt(np.maximum(radius**2 - (ahead @ ahead - along**2), 0))
    axis = spaces.world_to_camera[0, 0, 2, :3]
    np.testing.assert_allclose(depth[mask], (near * (unit @ axis))[mask], rtol=1e-10)


def interpolated(depth, surface, normal, xy):
    """Depth at places between pixels, exact on planes (where its inverse is linear), and where that is so."""
    column, line = np.floor(xy - 0.5).astype(int).T
    inside = (column >= 0) & (line >= 0) & (column < PIXELS - 1) & (line < PIXELS - 1)
    column, line = np.clip(column, 0, PIXELS - 2), np.clip(line, 0, PIXELS - 2)
    u, v = (xy - 0.5 - np.stack([column, line], -1)).T
    value = 0.0
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        value = value + (u if dx else 1 - u) * (v if dy else 1 - v) / depth[line + dy, column + dx]
        inside &= surface[line + dy, column + dx] == surface[line, column]
        inside &= np.abs(normal[line + dy, column + dx] - normal[line, column]).max(-1) < 1e-9
    return 1 / value, inside, surface[line, column], normal[line, column]


@pytest.mark.parametrize("options", [{"path": "orbit"}, {"path": "dolly", "walls": True}, {"path": "pan"}])
def test_reprojected_depth_agrees_with_the_other_view(options):
    spaces, views = drawn({**options, "objects": (3, 5)}, n=4, frames=4)
    points = np.nan_to_num(shapes.unproject(spaces, views.depth), posinf=0, neginf=0)
    agreed = 0
    for i in range(4):
        flat = points[i, 0].reshape(-1, 3)
        there = np.broadcast_to(flat, (1, 4, *flat.shape)).copy()
        xy, z = (part[0, 3] for part in shapes.project(spaces[i], there, PIXELS))
        found, flat_there, surface, normal = interpolated(
            views.depth[i, 3], views.surface[i, 3], views.normal[i, 3], xy
        )
        seen = shapes.reaches(spaces[i], there)[0, 3]
        same = (surface == views.surface[i, 0].reshape(-1)) & (surface >= 0)
        same &= np.abs(normal - views.normal[i, 0].reshape(-1, 3)).max(-1) < 1e-9
        compare = flat_there & same & seen
        np.testing.assert_allclose(z[compare], found[compare], rtol=1e-6)
        hidden = flat_there & ~seen & (surface >= 0) & (views.surface[i, 0].reshape(-1) >= 0) & (z > 0)
        assert (z[hidden] > found[hidden] * (1 - 1e-6)).all()
        agreed += compare.sum()
    assert agreed > 2000


@pytest.mark.parametrize("options", [*VARIED, {"softness": 0.3}, {"light": "point", "softness": 0.5}])
def test_an_image_is_albedo_times_shading(options):
    spaces, views = drawn(options, n=2, frames=2)
    assert np.array_equal(views.image, views.albedo * views.shading)
    assert views.image.dtype == np.float32
    assert views.image.min() > 0.02
    assert views.image.max() < 0.95
    ambient = spaces.ambient[:, None, None, None]
    assert (views.shading[..., 0] >= ambient - 1e-6).all()
    dark = views.shadow == 0
    np.testing.assert_allclose(
        views.shading[dark], np.broadcast_to(ambient, dark.shape)[dark][:, None].repeat(3, 1), rtol=1e-6
    )
    fine = shapes.render_spaces(spaces, PIXELS, samples=3)
    assert np.array_equal(fine.albedo * fine.shading, views.image), "only the image is supersampled"
    assert np.abs(fine.image - views.image).mean() < 0.04
    assert np.abs(fine.image - views.image).max() > 0.02


def test_lambert_shading_of_the_floor():
    light = np.array([0.6, 0.0, 0.8])
    spaces = staged("box", [0.3, 0.3, 0.3], [0, 0, 0.3], light)
    views = shapes.render_spaces(spaces, PIXELS, samples=1)
    lit = (views.surface == 1) & (views.shadow == 1)
    expected = spaces.ambient[0] + (1 - spaces.ambient[0]) * 0.8 * spaces.light_rgb[0]
    np.testing.assert_allclose(views.shading[lit], np.broadcast_to(expected, (lit.sum(), 3)), rtol=1e-6)


@pytest.mark.parametrize("kind", ["directional", "point"])
def test_the_shadow_of_a_sphere(kind):
    light = np.array([-0.48, -0.36, 0.8]) * (1 if kind == "directional" else 4)
    centre, radius = np.array([0.0, 0.0, 0.5]), 0.5
    spaces = staged("sphere", [radius] * 3, centre, light, kind)
    views = shapes.render_spaces(spaces, 64, samples=1)
    floor = views.surface[0, 0] == 1
    points = shapes.unproject(spaces, views.depth)[0, 0][floor]
    towards = np.broadcast_to(light, points.shape) if kind == "directional" else light - points
    unit = towards / np.linalg.norm(towards, axis=-1, keepdims=True)
    to_axis = np.linalg.norm(np.cross(centre - points, unit), axis=-1)
    ahead = ((centre - points) * unit).sum(-1) > 0
    sure = np.abs(to_axis - radius) > 1e-4
    dark = (to_axis < radius) & ahead
    assert np.array_equal(views.shadow[0, 0][floor][sure] == 0, dark[sure])
    assert dark.sum() > 100


def test_the_shadow_of_a_box():
    """Light from -x at 45 degrees: the shadow reaches two half heights beyond the box, towards +x."""
    spaces = staged("box", [0.4, 0.3, 0.5], [0, 0, 0.5], np.array([-1, 0, 1]) / 2**0.5)
    views = shapes.render_spaces(spaces, 64, samples=1)
    floor = views.surface[0, 0] == 1
    x, y, _ = shapes.unproject(spaces, views.depth)[0, 0][floor].T
    dark = (np.abs(y) < 0.3) & (x > -0.4) & (x < 0.4 + 1.0)
    edge = np.minimum(np.abs(np.abs(y) - 0.3), np.minimum(np.abs(x + 0.4), np.abs(x - 1.4))) < 1e-4
    assert np.array_equal((views.shadow[0, 0][floor] == 0)[~edge], dark[~edge])
    assert dark.sum() > 50


def test_soft_shadows_have_a_rim_and_the_hard_ones_do_not():
    hard, soft = (staged("sphere", [0.5] * 3, [0, 0, 0.5], [0.6, 0, 0.8], softness=s) for s in (0.0, 0.3))
    one, two = (shapes.render_spaces(s, 64, samples=1, shadows=16).shadow[0, 0] for s in (hard, soft))
    assert set(np.unique(one)) == {0.0, 1.0}
    assert ((two > 0) & (two < 1)).sum() > 50
    assert abs(one.mean() - two.mean()) < 0.03


def test_relighting_changes_shading_alone():
    spaces = shapes.sample_spaces(2, 1, 3)
    other = dataclasses.replace(spaces, light=spaces.light[::-1].copy() * [-1, 1, 1])
    one, two = (shapes.render_spaces(s, PIXELS) for s in (spaces, other))
    for key in ("albedo", "depth", "normal", "surface"):
        assert np.array_equal(getattr(one, key), getattr(two, key)), key
    assert np.abs(one.shading - two.shading).max() > 0.2


@pytest.mark.parametrize("options", [*VARIED, {"path": "still", "moving": True}])
def test_flow_and_tracks_agree_with_each_other_and_with_the_views(options):
    spaces, views = drawn(options, n=3, frames=4, seed=2)
    flow, valid, occluded = shapes.space_flow(spaces, views)
    tracks = shapes.space_tracks(spaces, 60, PIXELS, seed=1)
    assert tracks.visible[:, :, 0].all()
    column, line = np.floor(tracks.xy).astype(int).transpose(3, 0, 1, 2)
    checked = 0
    for i, p, t in np.ndindex(3, 60, 4):
        x, y = column[i, p, t], line[i, p, t]
        if not (1 <= x < PIXELS - 1 and 1 <= y < PIXELS - 1):
            continue
        around = np.unique(views.masks[i, t, y - 1 : y + 2, x - 1 : x + 2])
        if len(around) == 1:
            checked += 1
            if tracks.visible[i, p, t]:
                assert around[0] == tracks.instance[i, p]
    assert checked > 250
    xy, z = shapes.project(spaces, tracks.xyz.swapaxes(1, 2), PIXELS)
    assert np.array_equal(xy.swapaxes(1, 2), tracks.xy)
    assert np.array_equal(z.swapaxes(1, 2), tracks.depth)
    # the flow of a pixel's centre is how a track through it goes on
    for i, t in np.ndindex(3, 3):
        row, col = np.argwhere(views.surface[i, t] >= 0)[:: PIXELS * 3].T
        points = shapes.unproject(spaces, views.depth)[i, t, row, col]
        path = shapes.carry(spaces[i], points[None], views.surface[i, t, row, col][None], t)
        xy, _ = shapes.project(spaces[i], path, PIXELS)
        np.testing.assert_allclose(xy[0, t], np.stack([col, row], -1) + 0.5, atol=1e-8)
        inside = valid[i, t, row, col]
        np.testing.assert_allclose(flow[i, t, row, col][inside], (xy[0, t + 1] - xy[0, t])[inside], atol=1e-4)
    seen = valid & ~occluded
    xy = flow + np.stack(np.meshgrid(*[np.arange(PIXELS) + 0.5] * 2), -1)
    x, y = (np.clip(np.floor(xy[..., a]).astype(int), 1, PIXELS - 2) for a in (0, 1))
    clip, frame = np.arange(3)[:, None, None, None], np.arange(1, 4)[:, None, None]
    same = np.stack([views.masks[clip, frame, y + b, x + a] for a in (-1, 0, 1) for b in (-1, 0, 1)])
    calm = (same == same[0]).all(0) & seen
    assert (same[0] == views.masks[:, :3])[calm].all()
    assert calm.mean() > 0.4
    if options["path"] == "still":
        assert np.abs(flow[:, :, :][(views.masks[:, :-1] == 0)]).max() < 1e-5
        assert np.abs(flow).max() > 0.1


def test_occluded_flow_is_found():
    """A sphere slides in front of a box: the box's pixels there are gone in the next frame."""
    spaces = staged("sphere", [0.3] * 3, [0, 0, 0.3], [0, 0, 1])
    eye = shapes.eyes(spaces)[0, 0]
    side = spaces.world_to_camera[0, 0, 0, :3]
    centre = np.stack([-0.8 * side, [0.0, 0.0, 0.0]]) * 1.0 + 0.4 * eye * [1, 1, 0] + [0, 0, 0.6]
    moved = dataclasses.replace(
        spaces,
        centre=centre[None, :, None],
        rotation=np.repeat(spaces.rotation, 2, 1),
        world_to_camera=np.repeat(spaces.world_to_camera, 2, 1),
    )
    views = shapes.render_spaces(moved, PIXELS, samples=1)
    flow, valid, occluded = shapes.space_flow(moved, views)
    background = views.masks[0, 0] == 0
    assert np.array_equal(
        occluded[0, 0][background & valid[0, 0]], (views.masks[0, 1] == 1)[background & valid[0, 0]]
    )
    assert occluded[0, 0].sum() > 20
    assert np.abs(flow[0, 0][~background]).max() > 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: shapes.sample_spaces(1, objects=3), "objects must be two integers with 1 <= low <= high"),
        (lambda s: shapes.sample_spaces(0), "n must be an integer of at least 1; got 0"),
        (lambda s: shapes.sample_spaces(1, 0), "frames must be an integer of at least 1; got 0"),
        (lambda s: shapes.sample_spaces(1, split="dev"), "split must be one of train, val, test; got 'dev'"),
        (lambda s: shapes.sample_spaces(1, objects=(2, 6)), "objects must be two integers"),
        (
            lambda s: shapes.sample_spaces(1, path="fly"),
            "path must be one of still, orbit, dolly, pan; got 'fly'",
        ),
        (
            lambda s: shapes.sample_spaces(1, light="lava"),
            "light must be one of directional, point; got 'lava'",
        ),
        (lambda s: shapes.sample_spaces(1, softness=2), r"softness must lie in \[0, 0.5\]; got 2"),
        (lambda s: shapes.render_spaces(s, 8), "pixels must be an integer from 16 to 128; got 8"),
        (lambda s: shapes.render_spaces(s, 16, samples=0), "samples must be an integer of at least 1; got 0"),
        (lambda s: shapes.render_spaces(s, 16, shadows=0), "shadows must be an integer of at least 1; got 0"),
        (lambda s: shapes.space_flow(s, shapes.render_spaces(s, 16)), "at least 2 frames; got 1"),
        (
            lambda s: shapes.space_flow(shapes.sample_spaces(1, 2), shapes.render_spaces(s, 16)),
            "views must have",
        ),
        (lambda s: shapes.space_tracks(s, frame=1), r"frame must lie in \[0, 0\]; got 1"),
        (lambda s: shapes.unproject(s, np.ones((1, 1, 4, 5))), r"depth must have shape \(1, 1, H, H\)"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call(shapes.sample_spaces(1))
