"""Object control by camera poses: the geometry, the layers, and the noise that is carried along."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableVideoDiffusionPipeline
from diffusers.pipelines.free_init_utils import FreeInitMixin
from PIL import Image
from tiny_svd import save_tiny_svd

from sillok.methods.cameras import project
from sillok.methods.diffusion.objctrl import (
    background_poses,
    layer_pose_features,
    lift_trajectory,
    low_pass,
    objmc,
    plucker,
    scale_depth,
    shared_warp_latents,
    trajectory_to_poses,
    warp,
    warp_masks,
)

SIZE = (20, 32)
K = np.array([[32.0, 0, 16], [0, 32.0, 10], [0, 0, 1]])


def depth_map(seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return 3 + 0.04 * x + 0.02 * y + 0.1 * np.random.default_rng(seed).random(SIZE)


def track(frames: int = 6) -> np.ndarray:
    return np.stack([np.linspace(8.5, 22.25, frames), np.linspace(12.5, 6.75, frames)], -1)


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def square(top: int = 8, left: int = 5, side: int = 7) -> np.ndarray:
    mask = np.zeros(SIZE)
    mask[top : top + side, left : left + side] = 1
    return mask


def test_the_first_point_is_seen_along_the_track() -> None:
    points = lift_trajectory(track(), depth_map(), K)
    poses = trajectory_to_poses(points)
    np.testing.assert_array_equal(poses[0], np.eye(4))
    for pose, uv, point in zip(poses, track(), points, strict=True):
        found, z = project(points[0], pose, K)
        np.testing.assert_allclose(found, uv, atol=1e-6)
        assert float(z) == pytest.approx(point[2])
    assert np.ptp(points[:, 2]) > 0.1  # the depth follows the image's
    # the object goes right, and so the camera goes left
    assert poses[-1, 0, 3] > 0
    assert -(poses[-1, :3, :3].T @ poses[-1, :3, 3])[0] < 0


def test_depth_is_taken_from_the_pixel_of_the_point() -> None:
    depth = np.arange(1.0, 1 + SIZE[0] * SIZE[1]).reshape(SIZE)
    points = lift_trajectory([[0.0, 0.0], [31.9, 0.2], [32.0, 20.0], [4.5, 2.5]], depth, K)
    assert points[:, 2].tolist() == [1, 32, 640, 2 * 32 + 5]


def test_a_static_track_gives_identity_poses_and_an_unchanged_warp() -> None:
    poses = trajectory_to_poses(lift_trajectory(np.repeat(track()[:1], 4, 0), depth_map(), K))
    np.testing.assert_array_equal(poses, np.tile(np.eye(4), (4, 1, 1)))
    image = np.random.default_rng(0).random((*SIZE, 2))
    assert all(np.array_equal(frame, image) for frame in warp(image, depth_map(), poses, K))
    masks = warp_masks(square(), depth_map(), poses, K)
    assert all(np.array_equal(mask, square()) for mask in masks)
    rays = plucker(poses, K, SIZE)
    assert torch.equal(rays, rays[:1].expand_as(rays))


def test_depth_is_scaled_to_its_middle() -> None:
    scaled = scale_depth(depth_map())
    assert scaled[5:15, 8:24].mean() == pytest.approx(5.2)  # a margin of ten, cut to a quarter of each side
    np.testing.assert_allclose(scaled / depth_map(), scaled[0, 0] / depth_map()[0, 0])


def test_background_poses_rest_go_back_or_are_none() -> None:
    poses = trajectory_to_poses(lift_trajectory(track(), depth_map(), K))
    np.testing.assert_array_equal(background_poses(poses, "fixed"), np.tile(np.eye(4), (6, 1, 1)))
    np.testing.assert_array_equal(background_poses(poses, "reverse"), poses[::-1])
    assert background_poses(poses, "free") is None


def test_masks_go_where_the_object_goes() -> None:
    flat = np.full(SIZE, 4.0)
    poses = trajectory_to_poses(lift_trajectory(track(), flat, K))
    masks = warp_masks(square(), flat, poses, K)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    middles = np.stack([[(x * m).sum() / m.sum(), (y * m).sum() / m.sum()] for m in masks])
    np.testing.assert_allclose(middles - middles[0], track() - track()[0], atol=0.15)
    np.testing.assert_allclose(masks.sum((1, 2)), 49, rtol=0.05)
    # coming nearer makes it larger
    near = poses.copy()
    near[:, :3, 3] = [[0, 0, -0.4 * i] for i in range(6)]
    assert warp_masks(square(), flat, near, K)[-1].sum() > 2 * 49


def test_a_mask_too_small_to_warp_is_shifted() -> None:
    speck = np.zeros(SIZE)
    speck[10, 6] = 1
    depth = np.full(SIZE, 4.0)
    depth[10, 6] = 8.0
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, :3, 3] = [0.5, -0.25, 0]  # at depth 8: two pixels right and one up, behind the plane in front
    assert warp(speck, depth, poses, K)[1].sum() < 0.25
    masks = warp_masks(speck, depth, poses, K)
    assert masks[1].sum() == 1
    assert masks[1][9, 8] == 1


def features(seed: int) -> list[torch.Tensor]:
    return [
        rand(1, c, 6, *size, seed=seed + c)
        for c, size in ((2, SIZE), (3, (10, 16)), (4, (5, 8)), (5, (3, 4)))
    ]


def test_a_mask_of_one_gives_the_object_and_of_zero_the_background() -> None:
    obj, bg = features(0), features(10)
    one, none = np.ones((6, *SIZE)), np.zeros((6, *SIZE))
    for mode in ("fixed", "reverse"):
        assert all(
            torch.equal(a, b) for a, b in zip(layer_pose_features(obj, bg, one, mode=mode), obj, strict=True)
        )
        assert all(
            torch.equal(a, b) for a, b in zip(layer_pose_features(obj, bg, none, mode=mode), bg, strict=True)
        )
    assert not any(x.any() for x in layer_pose_features(obj, None, none, mode="free"))


@pytest.mark.parametrize(("side", "kernels"), [(18, (1, 1, 1, 3)), (12, (3, 1, 1, 5)), (5, (5, 3, 3, 7))])
def test_the_union_is_dilated_the_more_the_less_it_covers(side: int, kernels: tuple[int, ...]) -> None:
    masks = np.zeros((6, *SIZE))
    masks[2] = square(1, 1, side)
    ones = [torch.ones(1, 1, 6, *SIZE) for _ in range(4)]
    zeros = [torch.zeros_like(x) for x in ones]
    mixed = layer_pose_features(ones, zeros, masks)
    for x, kernel in zip(mixed, kernels, strict=True):
        assert torch.equal(x, x[:, :, :1].expand_as(x))  # the same in every frame
        top, left = (max(0, 1 - kernel // 2),) * 2
        bottom = min(SIZE[0], 1 + side + kernel // 2)
        right = min(SIZE[1], 1 + side + kernel // 2)
        assert float(x[0, 0, 0].sum()) == (bottom - top) * (right - left)
    plain = layer_pose_features(ones, zeros, masks, scalewise=False)
    assert [float(x[0, 0, 0].sum()) for x in plain] == [side * side] * 4


def free_init() -> FreeInitMixin:
    return FreeInitMixin()


@pytest.mark.parametrize(("d_s", "d_t", "order"), [(0.25, 0.1, 4), (0.4, 0.3, 2), (0.25, 0.0, 4)])
def test_filter_and_mix_are_free_inits(d_s: float, d_t: float, order: int) -> None:
    theirs = free_init()._get_free_init_freq_filter((1, 3, 6, *SIZE), "cpu", "butterworth", order, d_s, d_t)
    torch.testing.assert_close(
        low_pass(6, *SIZE, d_s=d_s, d_t=d_t, order=order), theirs[0, 0], atol=1e-6, rtol=1e-5
    )
    noise, flat = rand(1, 6, 3, *SIZE), np.full(SIZE, 4.0)
    poses = trajectory_to_poses(lift_trajectory(track(), flat, K))
    masks = warp_masks(square(), flat, poses, K)
    found = shared_warp_latents(noise, flat, poses, masks, K, d_s=d_s, d_t=d_t, order=order)
    frames = np.stack(warp(noise[0, 0].permute(1, 2, 0).numpy(), flat, poses, K))
    at = torch.from_numpy(masks).float()[:, None]
    pasted = torch.from_numpy(frames).float().permute(0, 3, 1, 2) * at + noise[0] * (1 - at)
    mixed = free_init()._apply_freq_filter(pasted.transpose(0, 1)[None], noise.transpose(1, 2), theirs)
    torch.testing.assert_close(found, mixed.transpose(1, 2), atol=1e-5, rtol=1e-4)


def test_no_frequency_returns_the_noise_and_the_mix_keeps_its_variance() -> None:
    noise, flat = rand(2, 6, 4, *SIZE), np.full(SIZE, 4.0)
    poses = trajectory_to_poses(lift_trajectory(track(), flat, K))
    masks = warp_masks(square(), flat, poses, K)
    assert torch.equal(shared_warp_latents(noise, flat, poses, masks, K, d_s=0), noise)
    mixed = shared_warp_latents(noise, flat, poses, masks, K)
    assert mixed.shape == noise.shape
    assert not torch.equal(mixed, noise)
    assert float(mixed.std()) == pytest.approx(1, abs=0.03)
    inside = torch.from_numpy(masks[-1] > 0.5)
    warped = torch.from_numpy(warp(noise[0, 0, 0].numpy(), flat, poses, K)[-1])
    assert float(warped[inside].std()) < 0.85 < float(mixed[0, -1, 0][inside].std())
    # a batch is mixed as each item alone
    alone = shared_warp_latents(noise[1:], flat, poses, masks, K)
    torch.testing.assert_close(mixed[1:], alone, atol=1e-5, rtol=1e-4)
    half = shared_warp_latents(noise.half(), flat, poses, masks, K)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), mixed, atol=2e-2, rtol=0)


def test_objmc_is_the_mean_distance() -> None:
    assert objmc(track(), track()) == 0
    assert objmc(track() + np.array([3, 4]), track()) == pytest.approx(5)


def test_two_steps_in_a_video_pipeline(tmp_path: Path) -> None:
    pipe = StableVideoDiffusionPipeline.from_pretrained(save_tiny_svd(tmp_path / "svd"))
    pipe.set_progress_bar_config(disable=True)
    noise, depth = rand(1, 6, 4, *SIZE), scale_depth(depth_map())
    poses = trajectory_to_poses(lift_trajectory(track(), depth, K))
    masks = warp_masks(square(), depth, poses, K)
    options: dict[str, Any] = {
        "image": Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 64, 3), np.uint8)),
        "height": 40,
        "width": 64,
        "num_frames": 6,
        "num_inference_steps": 2,
        "output_type": "pt",
    }

    def draw(latents: torch.Tensor) -> torch.Tensor:
        frames: torch.Tensor = pipe(
            latents=latents, generator=torch.Generator().manual_seed(0), **options
        ).frames
        return frames

    plain, moved = draw(noise), draw(shared_warp_latents(noise, depth, poses, masks, K))
    assert moved.shape == (1, 6, 3, 40, 64)
    assert moved.isfinite().all()
    assert not torch.allclose(moved, plain, atol=1e-3)
    assert torch.equal(draw(shared_warp_latents(noise, depth, poses, masks, K, d_s=0)), plain)


def test_bad_input_is_named() -> None:
    depth = depth_map()
    poses = np.tile(np.eye(4), (6, 1, 1))
    noise, masks = rand(1, 6, 4, *SIZE), np.ones((6, *SIZE))
    cases: list[tuple[str, types.LambdaType]] = [
        ("track must stay in the image of 32 x 20", lambda: lift_trajectory([[33, 2]], depth, K)),
        (r"track must have shape \(F, 2\)", lambda: lift_trajectory([1, 2], depth, K)),
        ("depth must be positive, finite", lambda: lift_trajectory(track(), -depth, K)),
        ("points must be finite", lambda: trajectory_to_poses([[0, 0, np.nan]])),
        ("mode must be one of fixed, reverse, free; got 'still'", lambda: background_poses(poses, "still")),
        ("not be empty", lambda: warp_masks(np.zeros(SIZE), depth, poses, K)),
        (r"be \(20, 32\) as depth is", lambda: warp_masks(np.ones((20, 31)), depth, poses, K)),
        ("needs background features", lambda: layer_pose_features(features(0), None, masks)),
        (
            "'free' has no background",
            lambda: layer_pose_features(features(0), features(1), masks, mode="free"),
        ),
        ("one to four scales; got 0", lambda: layer_pose_features([], [], masks)),
        (
            "bg must have the shapes of obj",
            lambda: layer_pose_features(features(0)[:2], features(1)[1:3], masks),
        ),
        (r"masks must lie in \[0, 1\]", lambda: layer_pose_features(features(0), features(1), 2 * masks)),
        (
            r"noise must have shape \(B, F, C, 20, 32\)",
            lambda: shared_warp_latents(noise[..., 1:], depth, poses, masks, K),
        ),
        ("masks must have shape", lambda: shared_warp_latents(noise, depth, poses, masks[1:], K)),
        ("poses 6 rows; got", lambda: shared_warp_latents(noise, depth, poses[1:], masks, K)),
        ("d_s, d_t not negative", lambda: low_pass(2, 3, 4, d_s=-1)),
        (r"one shape \(F, 2\)", lambda: objmc(track(), track()[1:])),
        ("must be finite", lambda: objmc(track() * np.nan, track())),
    ]
    for text, call in cases:
        with pytest.raises(ValueError, match=text):
            call()
