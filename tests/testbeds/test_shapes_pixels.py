"""The still images: the shipped checkpoints were trained on these and on no others."""

from __future__ import annotations

import numpy as np
import pytest

from sillok.testbeds import shapes

# pixels, split, turn: nine values (three images, a pixel each), the mean colour, the sum of the masks, of the
# labels by their place, and of the attributes. Values and not a digest: a sine's last bit is the processor's.
STILLS = [
    (16, "train", shapes.FULL_TURN, [0.62232, 0.35461, 0.39429, 0.3245, 0.60644, 0.29622, 0.21456, 0.51811, 0.76352],
     [0.477096, 0.496901, 0.478905], 1490, 5012, -9.19),
    (32, "train", 0.6, [0.46231, 0.44139, 0.49839, 0.3245, 0.60644, 0.29622, 0.21456, 0.51811, 0.76352],
     [0.477107, 0.496838, 0.479061], 5990, 5012, -9.19),
    (32, "test", shapes.FULL_TURN, [0.74327, 0.6572, 0.19788, 0.17735, 0.39827, 0.60721, 0.54451, 0.51922, 0.53554],
     [0.48997, 0.487343, 0.504051], 5405, 5107, -8.412),
    (57, "val", shapes.FULL_TURN, [0.43027, 0.50759, 0.48269, 0.69809, 0.18099, 0.22215, 0.83644, 0.71874, 0.26843],
     [0.490173, 0.473905, 0.470412], 17393, 5501, -18.54),
]  # fmt: skip


@pytest.mark.parametrize(("pixels", "split", "turn", "points", "mean", "covered", "labels", "told"), STILLS)
def test_still_images_are_those_of_version_1(pixels, split, turn, points, mean, covered, labels, told):
    scenes = shapes.sample_scenes(40, 11, split=split, turn=turn)
    images, masks = shapes.render(scenes, pixels)
    assert shapes.VERSION == 1
    np.testing.assert_allclose(images[[3, 17, 39], pixels // 2, pixels // 3].ravel(), points, atol=1e-4)
    np.testing.assert_allclose(images.mean((0, 1, 2)), mean, atol=1e-5)
    assert abs(int(masks.sum()) - covered) <= 2
    assert int((scenes.label * np.arange(40)).sum()) == labels
    assert abs(float(shapes.attributes(scenes).astype(float).sum()) - told) < 0.01


def test_clips_and_scenes_in_space_are_those_of_version_1():
    """Their numbers to nine digits, and what is painted of them to four: models were trained on these."""
    clips = shapes.sample_clips(3, 12, 5, objects=(2, 3), laws=shapes.Laws(collide=True), camera="both")
    images, masks = shapes.render_clips(clips, 32)
    spaces = shapes.sample_spaces(2, 3, 5, moving=True)
    views = shapes.render_spaces(spaces, 16)
    assert (shapes.CLIPS_VERSION, shapes.SPACES_VERSION) == (1, 1)
    np.testing.assert_allclose(
        clips.position[:, -1, 0].ravel(),
        [0.460736999603, -0.682193623585, 0.658802666303, -0.23668261754, 0.611056185821, 0.592597061008],
        rtol=1e-9,
    )
    np.testing.assert_allclose(clips.camera[:, -1].sum(), 3.73263693697, rtol=1e-9)
    np.testing.assert_allclose(images.mean((0, 1, 2, 3)), [0.476722, 0.486201, 0.490133], atol=1e-4)
    assert abs(int(np.count_nonzero(masks)) - 3434) <= 3
    np.testing.assert_allclose(
        spaces.centre[:, -1, 0].ravel(),
        [0.311939827305, -1.60128541011, 0.346234746296, -0.0812986537491, 1.13801815956, 0.541828789878],
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        spaces.world_to_camera[:, -1, :3, 3].ravel(),
        [1.43416059411e-16, 0.272378853951, 5.69757037684, -3.03201736692e-18, 0.256229007237, 5.66835718049],
        rtol=1e-9,
        atol=1e-12,
    )
    np.testing.assert_allclose(views.image.mean((0, 1, 2, 3)), [0.557927, 0.529754, 0.500929], atol=1e-4)
