"""Cameras: projection and its inverse, Plücker rays, and warps, against the ray-caster of the testbeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sillok.methods.cameras import centres, plucker, project, unproject, warp
from sillok.testbeds import shapes

K = np.array([[20.0, 0, 12], [0, 22.0, 9], [0, 0, 1]])
SIZE = (18, 24)


def poses(n: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    made = np.tile(np.eye(4), (n, 1, 1))
    made[:, :3, :3] = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(n)]
    made[:, :3, :3] *= np.linalg.det(made[:, :3, :3])[:, None, None]
    made[:, :3, 3] = rng.standard_normal((n, 3))
    return made


def test_projection_and_its_inverse() -> None:
    rng = np.random.default_rng(1)
    uv, z = rng.random((50, 2)) * 20, 1 + rng.random(50)
    seen = unproject(uv, z, K)
    for pose in poses():
        world = (seen - pose[:3, 3]) @ pose[:3, :3]
        found, depth = project(world, pose, K)
        np.testing.assert_allclose(found, uv, atol=1e-9)
        np.testing.assert_allclose(depth, z, atol=1e-9)
    behind, depth = project([[0.0, 0, -1]], np.eye(4), K)
    assert np.isnan(behind).all()
    assert depth.tolist() == [-1]


def test_pluecker_directions_are_units_and_moments_stand_upright_on_the_centre() -> None:
    made = poses()
    rays = plucker(made, K, SIZE)
    assert rays.shape == (5, 6, *SIZE)
    assert rays.dtype == torch.float32
    moment, away = rays[:, :3].double(), rays[:, 3:].double()
    torch.testing.assert_close(away.norm(dim=1), torch.ones(5, *SIZE, dtype=torch.float64), atol=1e-6, rtol=0)
    origin = torch.from_numpy(centres(made))[:, :, None, None]
    assert float((origin * moment).sum(1).abs().max()) < 1e-5
    assert float((away * moment).sum(1).abs().max()) < 1e-5
    torch.testing.assert_close(torch.cross(origin.expand_as(away), away, dim=1), moment, atol=1e-5, rtol=0)
    # a point on the ray of a pixel is seen in the middle of it
    point = centres(made)[2] + 3 * away[2, :, 4, 7].numpy()
    np.testing.assert_allclose(project(point, made[2], K)[0], [7.5, 4.5], atol=1e-5)


def test_cameras_agree_with_the_ray_casters() -> None:
    scenes = shapes.sample_spaces(2, 3, seed=0, split="val", path="orbit")
    for n in range(2):
        camera = shapes.intrinsics(scenes, 32)[n]
        np.testing.assert_allclose(centres(scenes.world_to_camera[n]), shapes.eyes(scenes)[n], atol=1e-9)
        theirs = shapes.rays(scenes, np.array([[3.5, 20.5]]), 32)[n, 1, 0]
        mine = plucker(scenes.world_to_camera[n], camera, (32, 32))[1, 3:, 20, 3].numpy()
        np.testing.assert_allclose(mine, theirs / np.linalg.norm(theirs), atol=1e-6)


def test_a_warp_by_true_depth_gives_the_other_view() -> None:
    scenes = shapes.sample_spaces(1, 4, seed=3, split="val", path="orbit")
    views = shapes.render_spaces(scenes, 48, samples=2)
    depth = np.asarray(views.depth[0, 0], np.float64)
    depth = np.where(np.isfinite(depth), depth, 40.0)
    image = np.asarray(views.image[0, 0], np.float64)
    frames = warp(image, depth, scenes.world_to_camera[0], shapes.intrinsics(scenes, 48)[0])
    moved = np.asarray(views.image[0, 1], np.float64)
    seen = frames[1].sum(-1) > 0
    assert seen.mean() > 0.8
    assert np.abs(frames[1] - moved)[seen].mean() < 0.5 * np.abs(image - moved)[seen].mean()


def test_a_camera_at_rest_changes_nothing_and_a_shift_shifts() -> None:
    image = np.random.default_rng(0).random((*SIZE, 3))
    depth = np.full(SIZE, 2.0)
    still = np.tile(np.eye(4), (3, 1, 1))
    assert all(np.array_equal(frame, image) for frame in warp(image, depth, still, K))
    moved = still.copy()
    moved[1, 0, 3] = 3 * 2.0 / 20  # three pixels to the right at this depth
    frame = warp(image, depth, moved, K)[1]
    np.testing.assert_allclose(frame[1:-1, 4:-1], image[1:-1, 1:-4], atol=1e-6)
    assert not frame[:, :2].any()
    gone = still.copy()
    gone[2, 2, 3] = -5  # the camera has passed everything
    assert not warp(image, depth, gone, K)[2].any()


def test_what_is_near_hides_what_is_far() -> None:
    image, depth = np.zeros(SIZE), np.full(SIZE, 8.0)
    image[6:12, 4:10], depth[6:12, 4:10] = 1.0, 1.0
    image[6:12, 10:13] = 0.5  # on the far plane, where the near square will come to lie
    moved = np.tile(np.eye(4), (2, 1, 1))
    moved[1, 0, 3] = 4 / 20  # four pixels for what is near, half of one for what is far
    frame = warp(image, depth, moved, K)[1]
    np.testing.assert_allclose(frame[7:11, 9:13], 1.0, atol=1e-6)


def test_bad_input_is_named() -> None:
    one, depth = np.eye(4)[None], np.ones(SIZE)
    with pytest.raises(ValueError, match=r"poses must have shape \(F, 4, 4\)"):
        plucker(np.eye(4), K, SIZE)
    with pytest.raises(ValueError, match="is no rotation"):
        plucker(2 * one, K, SIZE)
    with pytest.raises(ValueError, match="as their last row"):
        centres(np.concatenate([one[:, :3], [[[0, 0, 1, 1]]]], 1))
    with pytest.raises(ValueError, match=r"K must be \[\[fx"):
        plucker(one, -K, SIZE)
    with pytest.raises(ValueError, match="size must be two positive numbers"):
        plucker(one, K, (0, 3))
    with pytest.raises(ValueError, match="depth must be positive and finite"):
        warp(depth, 0 * depth, one, K)
    with pytest.raises(ValueError, match=r"image must have shape \(H, W\[, C\]\)"):
        warp(depth, depth[1:], one, K)
