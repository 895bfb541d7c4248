"""The still images, bit for bit: the shipped checkpoints were trained on these and on no others."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from sillok.testbeds import shapes


def digest(*arrays: np.ndarray) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the bytes of arrays, with their kinds and shapes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


@pytest.mark.parametrize(
    ("pixels", "split", "turn", "expected"),
    [
        (16, "train", shapes.FULL_TURN, "c251e9dc08059adc"),
        (32, "train", 0.6, "b519a650071992a1"),
        (32, "test", shapes.FULL_TURN, "0d0ddc28064cc4a3"),
        (57, "val", shapes.FULL_TURN, "c544d0cd06c9882b"),
    ],
)
def test_still_images_are_those_of_version_1(pixels, split, turn, expected):
    scenes = shapes.sample_scenes(40, 11, split=split, turn=turn)
    assert shapes.VERSION == 1
    assert digest(*shapes.render(scenes, pixels), scenes.label, shapes.attributes(scenes)) == expected


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
