"""Clips under a moving camera, and the untrained transformer that is to make them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sillok.methods.cameras import plucker, project, unproject, warp
from sillok.testbeds import _new
from sillok.testbeds.camera import FRAMES, PIXELS, conditions, pluecker_rays, psnr, views
from sillok.testbeds.tracks import colourful_tracks


def test_rays_are_pluecker_coordinates_of_the_relative_poses() -> None:
    data = views("val", 3, seed=1)
    np.testing.assert_allclose(data.poses[:, 0], np.tile(np.eye(4), (3, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(data.poses[..., :3, :3], np.broadcast_to(np.eye(3), (3, 8, 3, 3)), atol=1e-9)
    for i in range(3):
        rays = plucker(data.poses[i], data.intrinsics[i], (PIXELS, PIXELS))
        torch.testing.assert_close(data.condition[i, :, 3:], rays, atol=1e-6, rtol=0)
    assert torch.equal(data.condition[:, :, :3], data.videos[:, :1].expand(-1, FRAMES, -1, -1, -1))
    focal = data.intrinsics[:, 0, 0]
    assert torch.equal(conditions(data.videos[:, 0], pluecker_rays(data.poses, focal)), data.condition)


def test_the_object_is_seen_where_the_poses_put_it() -> None:
    data = views("val", 12, seed=2)
    tracks = colourful_tracks(data.videos)
    assert tracks.found.all()
    y, x = np.mgrid[:PIXELS, :PIXELS]
    for i in range(12):
        mask = data.masks[i, 0]
        middle = np.array([x[mask].mean(), y[mask].mean()])
        assert np.linalg.norm(tracks.xy[i, 0] - middle) < 0.5
        z = float(np.median(data.depth[i][mask]))
        point = unproject(middle + 0.5, z, data.intrinsics[i])
        last = project(point, data.poses[i, -1], data.intrinsics[i])[0] - 0.5
        assert np.linalg.norm(tracks.xy[i, -1] - last) < 2.0
    moved = np.linalg.norm(tracks.xy[:, -1] - tracks.xy[:, 0], axis=-1)
    assert moved.mean() > 2.5


def test_a_warp_by_depth_and_poses_comes_close_to_the_clip() -> None:
    data = views("val", 4, seed=3)
    for i in range(4):
        image = (data.videos[i, 0].permute(1, 2, 0).double() + 1).numpy() / 2
        last = (data.videos[i, -1].permute(1, 2, 0).double() + 1).numpy() / 2
        frame = warp(image, data.depth[i], data.poses[i], data.intrinsics[i])[-1]
        seen = frame.sum(-1) > 0
        assert seen.mean() > 0.5
        assert np.abs(frame - last)[seen].mean() < 0.75 * np.abs(image - last)[seen].mean()


def test_the_testbed_trains_and_draws_with_its_rays() -> None:
    bed = _new("flow-camera", "s")
    model = bed.build(0)
    samples, condition, noise, _ = bed.batch_for_step(0, 0, 2)
    assert samples.shape == noise.shape == (2, *bed.shape)
    out = bed.forward(model, noise, torch.tensor([500.0]), condition)
    assert out.shape == noise.shape
    out.square().mean().backward()
    assert model.patch_embed.proj.weight.grad[:, 6:].abs().max() > 0
    bed.use(model)
    assert bed.sample(condition, guidance=2.0, steps=1, seed=1).shape == (2, *bed.shape)
    found = bed.measure(bed.model, n=2)
    assert set(found) == {"psnr", *bed.bounds()}
    assert found["gain"] < 0  # untrained, it is worse than the first frame repeated
    with pytest.raises(ValueError, match=r"conditions must be a tensor of shape .*; got \(2, 8, 3, 24, 24\)"):
        bed.condition(samples)


def test_psnr_of_a_known_error() -> None:
    truth = torch.zeros(2, 3, 4)
    assert psnr(truth + 0.2, truth) == pytest.approx(20, abs=1e-4)  # a tenth of the range
