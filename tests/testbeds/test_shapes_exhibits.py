"""The page of the shapes testbed: every exhibit is there, and its pictures show what they say."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

from sillok.testbeds import shapes
from sillok.testbeds.shapes import exhibits


@functools.cache
def shown():
    return {exhibit.name: exhibit for exhibit in shapes.Shapes("xs").exhibits()}


def test_every_exhibit_has_a_picture_of_a_sensible_size():
    assert len(shown()) == 11
    for exhibit in shown().values():
        assert exhibit.image.dtype == np.uint8
        assert exhibit.image.ndim == 3
        assert exhibit.image.shape[2] == 3
        assert 100 < exhibit.image.shape[0] < 900
        assert 600 < exhibit.image.shape[1] < 1700
        assert exhibit.image.std() > 10
        assert len(exhibit.caption) > 15


def test_questions_are_shown_in_both_languages():
    text = shown()["Captions and questions"].text
    assert len(re.findall(r"\?", text)) > 15
    assert re.search("[가-힣]+(이|가) ", text)
    assert "clip 2" in text


def test_tracks_are_drawn_where_the_points_are():
    grey = np.full((3, 20, 20, 3), 0.5, np.float32)
    xy = np.array([[[4.5, 10.5], [9.5, 10.5], [15.5, 10.5]]])
    seen = exhibits.film(
        grey, shapes.Tracks(xy, np.ones((1, 3), bool), np.zeros((1, 1), int)), every=2, scale=2
    )
    hidden = exhibits.film(
        grey, shapes.Tracks(xy, np.zeros((1, 3), bool), np.zeros((1, 1), int)), every=2, scale=2
    )
    gap, width = 2, 40
    for frame, x in ((0, 4.5), (1, 15.5)):
        row, column = gap + 21, gap + frame * (width + gap) + int(2 * x)
        assert seen[row, column].tolist() == [255, 0, 0]
        assert (hidden[row, column] == [255, 0, 0]).all() == (frame == 1), (
            "a ring is open, but a tail ends in it"
        )
    assert seen[gap + 21, gap + width + gap + 20].tolist() == [255, 0, 0], (
        "the tail runs through the places before"
    )
    assert seen[gap + 5, gap + 5].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("flow", "colour"), [((2, 0), (1, 0, 0)), ((0, 0), (1, 1, 1)), ((-1, 0), (0.5, 1, 1))]
)
def test_the_wheel_gives_direction_as_hue_and_speed_as_saturation(flow, colour):
    np.testing.assert_allclose(exhibits.colour_wheel(np.array(flow, float), 2.0), colour, atol=1e-6)
