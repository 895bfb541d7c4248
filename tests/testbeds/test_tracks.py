"""Tracks read from pixels, against the renderer's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sillok.testbeds import shapes
from sillok.testbeds.movers import PIXELS, movers, sample_movers
from sillok.testbeds.tracks import object_tracks, patch_displacements, track_error, true_tracks


def test_tracks_of_rendered_clips_are_the_renderers() -> None:
    data = movers("val", 48, seed=3)
    found = object_tracks(data.videos)
    truth = true_tracks(data.clips)
    assert found.found.all()
    distance = np.linalg.norm(found.xy - truth, axis=-1)
    assert float(np.mean(distance)) < 0.25
    assert float(np.max(distance)) < 1.0
    masks = shapes.render_clips(data.clips, PIXELS)[1]
    area = (masks == 1).sum((2, 3))
    assert float(np.abs(found.area / area - 1).mean()) < 0.1
    assert track_error(found.xy, truth) == pytest.approx(float(distance.mean()))


def test_noise_of_a_generator_is_borne() -> None:
    data = movers("val", 16, seed=4)
    noise = 0.08 * torch.randn(data.videos.shape, generator=torch.Generator().manual_seed(0))
    found = object_tracks(data.videos + noise)
    assert found.found.all()
    assert track_error(found.xy, true_tracks(data.clips)) < 0.6


def test_a_clip_without_an_object_is_not_found() -> None:
    ramp = torch.linspace(-0.2, 0.3, 32).expand(1, 8, 3, 32, 32)
    noise = 0.03 * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))
    found = object_tracks(ramp + noise)
    assert not found.found.any()
    assert np.isnan(found.xy).all()
    with pytest.raises(ValueError, match="no time at which both are there"):
        track_error(found.xy, np.zeros((1, 8, 2)))


def test_tracks_shift_with_the_picture() -> None:
    data = movers("val", 4, seed=5)
    found, shifted = (object_tracks(v).xy for v in (data.videos, data.videos.flip(-1)))
    np.testing.assert_allclose(PIXELS - 1 - found[..., 0], shifted[..., 0], atol=1e-6)
    np.testing.assert_allclose(found[..., 1], shifted[..., 1], atol=1e-6)


def test_patches_move_as_the_track_does() -> None:
    clips = sample_movers(6, seed=1, split="val")
    flow, covered = patch_displacements(clips, 32, 4)
    assert flow.shape == (6, 64, 64, 2)
    track = true_tracks(clips, 32)
    for clip, start, end in ((0, 0, 7), (3, 6, 2), (5, 4, 4)):
        inside = flow[clip, start * 8 + end][covered[clip, start]]
        assert len(inside) >= 2
        np.testing.assert_allclose(inside - (track[clip, end] - track[clip, start]) / 4, 0, atol=1e-9)
        assert not flow[clip, start * 8 + end][~covered[clip, start]].any()
    # every mover goes along one axis, and so do its patches
    assert float(np.abs(flow).min(-1).max()) < 1e-9
    assert float(np.abs(flow).max()) > 1.5


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"videos must have shape \(N, T, 3, H, W\); got \(2, 3, 8, 8\)"):
        object_tracks(np.zeros((2, 3, 8, 8)))
    with pytest.raises(ValueError, match="videos must be finite"):
        object_tracks(np.full((1, 2, 3, 8, 8), np.nan))
    with pytest.raises(ValueError, match="patch must divide 32; got 5"):
        patch_displacements(sample_movers(1), 32, 5)
    with pytest.raises(ValueError, match="one shape"):
        track_error(np.zeros((8, 2)), np.zeros((7, 2)))
