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
