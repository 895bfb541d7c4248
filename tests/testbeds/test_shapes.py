"""The renderer of shapes: determinism, geometry against closed forms, ground truth, and its classifier."""

from __future__ import annotations

import colorsys
import dataclasses

import numpy as np
import pytest

from sillok import testbeds
from sillok.testbeds import shapes


def test_a_seed_gives_one_sequence_whatever_its_length():
    short, long = shapes.sample_scenes(10, 5), shapes.sample_scenes(40, 5)
    for key, value in vars(short).items():
        assert np.array_equal(value, getattr(long, key)[:10]), key
    assert np.array_equal(shapes.render(short)[0], shapes.render(long)[0][:10])
    assert not np.array_equal(short.rgb, shapes.sample_scenes(10, 6).rgb)


def test_splits_share_no_image():
    seen = {}
    for split in shapes.SPLITS:
        for image in shapes.render(shapes.sample_scenes(400, 0, split=split), 16)[0]:
            assert seen.setdefault(image.tobytes(), split) == split
    assert len(seen) == 1200


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    shapes.sample_scenes(3, 0)
    assert np.array_equal(before, np.random.get_state()[1])


def test_classes_are_balanced_and_labels_can_be_asked_for():
    label = shapes.sample_scenes(3200, 0).label
    assert np.bincount(label, minlength=16).min() > 120
    wanted = np.arange(32) % 16
    scenes = shapes.sample_scenes(32, 0, labels=wanted)
    assert np.array_equal(scenes.label, wanted)
    assert np.array_equal(scenes.shape[:, 0], wanted // 4)


@pytest.mark.parametrize("pixels", [16, 32, 64])
def test_pixels_stay_away_from_the_limits(pixels):
    images, masks = shapes.render(shapes.sample_scenes(300, 1), pixels)
    assert images.shape == (300, pixels, pixels, 3)
    assert masks.shape == (300, pixels, pixels)
    assert images.dtype == np.float32
    assert images.min() > 0.1
    assert images.max() < 0.9


def test_turn_bounds_the_angles_and_changes_nothing_else():
    full, narrow = shapes.sample_scenes(500, 3), shapes.sample_scenes(500, 3, turn=0.6)
    assert 0.25 < np.abs(narrow.angle).max() <= 0.3
    assert 3.0 < np.abs(full.angle).max() <= np.pi + 1e-6
    for key in set(vars(full)) - {"angle"}:
        assert np.array_equal(getattr(full, key), getattr(narrow, key)), key


def area(kind, r):
    """In square half widths; the integral of the antialiased cover must give it."""
    if kind == "circle":
        return np.pi * r**2
    if kind == "square":
        return (2 * 0.82 * r) ** 2
    if kind == "triangle":
        return 3 * np.sqrt(3) * (0.6 * r) ** 2
    return 2 * (2 * r) * (2 * 0.34 * r) - (2 * 0.34 * r) ** 2


@pytest.mark.parametrize("kind", shapes.SHAPES)
def test_covered_area_equals_the_closed_form(kind):
    n = 64
    scenes = shapes.sample_scenes(n, 2, labels=np.full(n, 4 * shapes.SHAPES.index(kind)))
    black = dataclasses.replace(
        scenes, background=np.zeros((n, 2, 3), np.float32), rgb=np.ones((n, 1, 3), np.float32)
    )
    cover = shapes.render(black, 64)[0][..., 0]
    found = cover.sum((1, 2)) * (2 / 64) ** 2
    np.testing.assert_allclose(found, area(kind, scenes.radius[:, 0]), rtol=0.02)
    assert ((cover > 0.02) & (cover < 0.98)).any(), "edges are antialiased"
    line = (np.arange(64) + 0.5) / 32 - 1
    middle = np.stack([(cover * line).sum((1, 2)), (cover * line[:, None]).sum((1, 2))], -1)
    np.testing.assert_allclose(middle / cover.sum((1, 2))[:, None], scenes.centre[:, 0], atol=0.02)


@pytest.mark.parametrize(("kind", "period"), [(0, 0.3), (1, np.pi / 2), (2, 2 * np.pi / 3), (3, np.pi / 2)])
def test_turning_by_a_symmetry_changes_nothing(kind, period):
    scenes = shapes.sample_scenes(8, 3, labels=np.full(8, 4 * kind))
    turned = dataclasses.replace(scenes, angle=(scenes.angle + period).astype(np.float32))
    half = dataclasses.replace(scenes, angle=(scenes.angle + period / 2).astype(np.float32))
    image = shapes.render(scenes)[0]
    np.testing.assert_allclose(shapes.render(turned)[0], image, atol=2e-4)
    if kind:
        assert np.abs(shapes.render(half)[0] - image).max() > 0.05


def test_masks_tell_the_object_from_the_background():
    scenes = shapes.sample_scenes(20, 4)
    images, masks = shapes.render(scenes, 32)
    for image, mask, rgb in zip(images, masks, scenes.rgb[:, 0], strict=True):
        inside = np.abs(image - rgb).max(-1) < 1e-5
        assert not (inside & (mask == 0)).any()
        assert inside.sum() > 0.5 * (mask == 1).sum() > 0


def test_later_objects_cover_earlier_ones():
    one = shapes.sample_scenes(1, 0, labels=np.array([0]))
    both = dataclasses.replace(
        one,
        shape=np.zeros((1, 2), np.int64),
        colour=np.array([[0, 3]]),
        centre=np.zeros((1, 2, 2), np.float32),
        radius=np.array([[0.6, 0.3]], np.float32),
        angle=np.zeros((1, 2), np.float32),
        rgb=np.array([[[1, 0, 0], [0, 0, 1]]], np.float32),
    )
    images, masks = shapes.render(both, 32)
    assert np.allclose(images[0, 16, 16], [0, 0, 1])
    assert masks[0, 16, 16] == 2
    assert np.allclose(images[0, 16, 16 + 7], [1, 0, 0])
    assert masks[0, 16, 16 + 7] == 1
    assert masks[0, 0, 0] == 0


def test_colours_agree_with_the_standard_library():
    hsv = np.random.default_rng(0).random((50, 3))
    expected = np.array([colorsys.hsv_to_rgb(*row) for row in hsv])
    np.testing.assert_allclose(shapes.hsv_to_rgb(hsv), expected, atol=1e-5)


def test_captions_in_two_languages():
    labels = np.array([0, 5, 10, 15])
    assert shapes.captions(labels) == ["a red circle", "a yellow square", "a green triangle", "a blue cross"]
    assert shapes.captions(labels, "ko") == ["빨간 원", "노란 사각형", "초록 삼각형", "파란 십자가"]
    assert len(set(shapes.captions(np.arange(16), "ko"))) == 16


def test_data_is_what_the_renderer_gives():
    bed = shapes.Shapes("s")
    data = bed.data("val", n=12, seed=3)
    images, _ = shapes.render(data.scenes, 32)
    assert data.images.shape == (12, 3, 32, 32)
    np.testing.assert_allclose(data.images.permute(0, 2, 3, 1).numpy(), 2 * images - 1, atol=1e-6)
    assert data.labels.tolist() == data.scenes.label.tolist()
    assert data.captions() == shapes.captions(data.labels.numpy())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shapes.sample_scenes(0), "n must be an integer of at least 1; got 0"),
        (lambda: shapes.sample_scenes(2, split="dev"), "split must be one of train, val, test; got 'dev'"),
        (lambda: shapes.sample_scenes(2, labels=np.array([0, 16])), "labels must have shape"),
        (lambda: shapes.sample_scenes(2, labels=np.array([0])), "labels must have shape"),
        (
            lambda: shapes.render(shapes.sample_scenes(1), 8),
            "pixels must be an integer from 16 to 128; got 8",
        ),
        (lambda: shapes.captions(np.array([0]), "fr"), "language must be en or ko; got 'fr'"),
        (lambda: shapes.Shapes("s").model, "has no weights yet"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises((ValueError, RuntimeError), match=words):
        call()


@pytest.mark.parametrize("size", ["xs", "s"])
def test_the_classifier_keeps_its_floor(size):
    bed = testbeds.load("shapes", size)
    measured = bed.measure(bed.model, n=600, seed=77)
    assert measured["accuracy"] > 0.97
    assert measured["precision"] > 0.8
    assert measured["recall"] > 0.8
    assert measured["attribute_rmse"] < 0.2
    assert 0.15 < measured["saturation"] < 0.6


def test_training_at_a_reduced_size_lowers_the_loss(tmp_path):
    bed = testbeds.train("shapes", "xs", steps=60, samples=64, out=tmp_path)
    assert bed.log[-1]["loss"] < 0.75 * bed.log[0]["loss"]
    again = testbeds.load("shapes", "xs", folder=tmp_path)
    assert again.quality == bed.quality
    assert all((a == b).all() for a, b in zip(again.model.parameters(), bed.model.parameters(), strict=True))
