"""Digits: the split, enlarging and augmentation, strings and their reading, and the classifier as a judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sillok import testbeds
from sillok.testbeds import digits, scores

SIZES = ("xs", "s", "m")


@pytest.fixture(scope="module")
def bed():
    """Loads each size once for this file."""
    loaded = {}

    def get(size):
        return loaded.setdefault(size, testbeds.load("digits", size))

    return get


def originals():
    from sklearn.datasets import load_digits

    return load_digits()


def test_splits_are_stratified_disjoint_and_all_of_scikit_learns():
    rows = {split: set(digits._rows(split).tolist()) for split in digits.SPLITS}
    assert {split: len(found) for split, found in rows.items()} == {"train": 1077, "val": 360, "test": 360}
    assert set.union(*rows.values()) == set(range(1797))
    target = originals().target
    for split in ("val", "test"):
        assert np.bincount(target[sorted(rows[split])]).tolist() == [36] * 10
    # trained checkpoints stand on this very split
    assert digits._rows("test")[:8].tolist() == [2, 7, 12, 16, 25, 32, 53, 54]


def test_splits_share_no_image():
    seen = [{tuple(row) for row in digits.sample(s, 8).images.flatten(1).tolist()} for s in digits.SPLITS]
    assert not (seen[0] & seen[2] or seen[1] & seen[2] or seen[0] & seen[1])


def test_8_pixels_are_the_originals():
    data = digits.sample("val", 8)
    expected = originals().images[digits._rows("val").numpy()] / 8 - 1
    np.testing.assert_allclose(data.images[:, 0].numpy(), expected, atol=1e-6)
    assert data.labels.tolist() == originals().target[digits._rows("val").numpy()].tolist()


@pytest.mark.parametrize("pixels", [16, 32])
def test_enlarging_is_torchs_bicubic_inside_and_smooth(pixels):
    ink = digits._originals()[0][:200]
    found = digits.render(ink, pixels)
    assert found.shape == (200, 1, pixels, pixels)
    assert float(found.min()) >= -1 and float(found.max()) <= 1
    expected = torch.nn.functional.interpolate(ink, size=pixels, mode="bicubic").clamp(0, 1) * 2 - 1
    edge = 2 * pixels // 8  # beyond the edge lies the ground, which torch's own takes to repeat the edge
    inner = slice(edge, -edge)
    torch.testing.assert_close(found[..., inner, inner], expected[..., inner, inner], atol=1e-4, rtol=0)
    # averaging over the original's pixels brings back nearly the original
    back = torch.nn.functional.avg_pool2d(found, pixels // 8).add(1).div(2)
    assert float((back - ink).abs().mean()) < 0.05


def test_a_transform_moves_the_ink_as_it_says():
    ink = torch.zeros(1, 1, 8, 8)
    ink[0, 0, 3:5, 3:5] = 1
    shift = torch.tensor(
        [[[1.0, 0, -0.25], [0, 1, 0.5]]]
    )  # the place in the original, so to the right and up
    moved = digits.render(ink, 16, shift)
    x, y = digits.attributes(moved)[0, 1:3] / 5
    assert float(x) == pytest.approx(0.25, abs=0.02)
    assert float(y) == pytest.approx(-0.5, abs=0.02)


def test_attributes_by_hand():
    image = torch.full((1, 1, 8, 8), -1.0)
    image[0, 0, 0, 7] = image[0, 0, 7, 0] = 1  # two corners of the rising diagonal
    ink, x, y, xx, yy, xy = digits.attributes(image)[0].tolist()
    assert (ink / 8 + 0.3) * 64 == pytest.approx(2)
    assert (x, y) == pytest.approx((0, 0), abs=1e-6)
    square = (7 / 8) ** 2
    assert (xx / 10 + 0.15, yy / 10 + 0.3, xy / 10) == pytest.approx((square, square, -square), abs=1e-5)


def test_augmentation_changes_little_and_follows_the_seed(bed):
    it = bed("s")
    first = it.data("train", 64, seed=1, augment=True)
    plain = it.data("train", 64, seed=1)
    assert torch.equal(first.labels, plain.labels)
    change = (first.images - plain.images).abs().mean((1, 2, 3))
    assert float(change.min()) > 0.03 and float(change.max()) < 0.6
    assert torch.equal(first.images, it.data("train", 64, seed=1, augment=True).images)
    assert not torch.equal(first.images, it.data("train", 64, seed=2, augment=True).images)
    assert len(it.data("train", 3000, augment=True).images) == 3000
    theta = digits.transforms(500, torch.Generator().manual_seed(0))
    assert float(theta[:, :, 2].abs().max()) <= digits.SHIFT
    area = torch.linalg.det(theta[:, :, :2])
    low, high = (1 + digits.SCALE) ** -2 - 1e-4, (1 - digits.SCALE) ** -2 + 1e-4
    assert low < float(area.min()) < 0.9 and 1.1 < float(area.max()) < high


def test_draws_repeat_no_image_and_the_whole_split_has_one_order(bed):
    it = bed("xs")
    assert len(torch.unique(it.data("val", 360, seed=4).images.flatten(1), dim=0)) == 360
    assert not torch.equal(it.data("val", 10, seed=4).labels, it.data("val", 10, seed=5).labels)
    assert torch.equal(it.data("test").images, it.data("test", seed=9).images)


@pytest.mark.parametrize("size", SIZES)
def test_the_classifier_holds_its_floor_on_unseen_images(bed, size):
    it = bed(size)
    held = it.data("test")
    found = it.measure(it.model)
    assert found == pytest.approx(it.quality, abs=2e-3)
    assert found["accuracy"] > 0.985
    assert scores.predict(it.model, held.images)[2].shape == (360, 64)
    shaken = it.data("test", 360, seed=3, augment=True)
    logits, attribute, _ = scores.predict(it.model, shaken.images)
    assert float((logits.argmax(1) == shaken.labels).double().mean()) > 0.97
    truth = digits.attributes(shaken.images)
    assert float((attribute - truth).square().mean()) < 0.1 * float(truth.var(0).mean())


def test_the_checkpoints_are_small():
    from sillok.testbeds.base import CHECKPOINTS

    assert all((CHECKPOINTS / f"digits-{size}.safetensors").stat().st_size < 200_000 for size in SIZES)


@pytest.mark.parametrize("size", SIZES)
def test_judge_of_real_and_of_worse_images(bed, size):
    judge = scores.Judge.of(size, testbed="digits")
    held = bed(size).data("test")
    real = judge(held.images, held.labels)
    assert set(real) == {"accuracy", "frechet", "precision", "recall", "outside"}
    assert min(real["precision"], real["recall"]) > 0.75
    generator = torch.Generator().manual_seed(0)
    grain = judge(held.images + 0.4 * torch.randn(held.images.shape, generator=generator), held.labels)
    assert grain["frechet"] > 3 * real["frechet"]
    assert grain["outside"] > 0.1
    narrow = judge(held.images[:20].repeat(18, 1, 1, 1), held.labels[:20].repeat(18))
    assert narrow["recall"] < 0.5
    heavy = judge((2 * held.images).clamp(-1, 1), held.labels)  # the class stays, the weight changes
    assert heavy["accuracy"] > 0.9
    assert heavy["frechet"] > 1.4 * real["frechet"]


def test_the_judge_measures_a_generator_of_digits(bed):
    held = bed("xs").data("test")
    by_digit = {d: held.images[held.labels == d] for d in range(10)}

    def draw(labels, guidance):
        # a generator that is right at guidance 1, and draws the next digit at 2
        return torch.stack([by_digit[(int(y) + int(guidance) - 1) % 10][0] for y in labels])

    judge = scores.Judge.of("xs", 100, testbed="digits")
    found = scores.measure_generator(draw, judge, held.images[:100], held.labels[:100], (1.0, 2.0))
    assert found["accuracy@1"] == found["accuracy_best"] == 1
    assert found["accuracy@2"] == 0
    assert found["recall@1"] < found["recall_real"]
    assert not any("saturation" in metric for metric in found)


def test_judges_need_a_classifier():
    with pytest.raises(ValueError, match="testbed must have a classifier as its model.*'corpus'"):
        scores.Judge.of("xs", testbed="corpus")


def test_a_classifier_without_attributes():
    model = scores.Classifier(16, (8, 16), 12, colours=1, classes=5, attributes=0)
    logits, attribute, features = scores.predict(model, torch.zeros(7, 1, 16, 16), batch=4)
    assert (logits.shape, attribute.shape, features.shape) == ((7, 5), (7, 0), (7, 12))
    with pytest.raises(ValueError, match="pixels must be a multiple of 8 for 3 stages"):
        scores.Classifier(12)


@pytest.mark.parametrize("size", SIZES)
def test_strings_are_read(bed, size):
    it = bed(size)
    texts = [f"{i * 137 % 1000:03d}" for i in range(100)]
    images = digits.strings(texts, it.pixels, seed=2, split="test", augment=True)
    assert images.shape == (100, 1, it.pixels, 3 * it.pixels)
    assert np.mean([a == b for a, b in zip(it.read(images), texts, strict=True)]) > 0.9
    assert torch.equal(digits.strings(texts[:5], it.pixels, seed=2, split="test", augment=True), images[:5])
    assert not torch.equal(digits.strings(texts, it.pixels, seed=3, split="test", augment=True), images)


def test_strings_are_images_of_the_split_side_by_side():
    image = digits.strings(["70"], 8, seed=5, split="val")[0]
    data = digits.sample("val", 8)
    for place, digit in enumerate((7, 0)):
        cell = image[:, :, 8 * place : 8 * place + 8]
        matches = (data.images == cell).flatten(1).all(1)
        assert data.labels[matches].tolist() == [digit]


def test_training_at_a_reduced_size_comes_near_the_shipped(tmp_path, bed):
    found = testbeds.train("digits", "xs", steps=150, out=tmp_path)
    assert found.log[-1]["loss"] < 0.5 * found.log[0]["loss"]
    assert bed("xs").quality["accuracy"] - found.quality["accuracy"] < 0.06


def test_a_step_of_training_depends_on_step_and_seed_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(digits, "optimise", lambda model, loss_at, *_: seen.append(loss_at) or {})
    it = digits.Digits("xs")
    model = it.build()
    for seed in (0, 0, 1):
        it.fit(model, None, device="cpu", seed=seed)
    first = [seen[0](step).item() for step in (5, 6, 5)]
    assert first[0] == first[2] == seen[1](5).item()
    assert len({first[0], first[1], seen[2](5).item()}) == 3
    assert all(math.isfinite(value) for value in first)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: digits.Digits("l"), "size of testbed 'digits' must be one of xs, s, m; got 'l'"),
        (lambda: digits.Digits("xs").data("dev"), "split must be one of train, val, test; got 'dev'"),
        (
            lambda: digits.Digits("xs").data("val", 361),
            "n must be at most 360, .* unless augment=True; got 361",
        ),
        (lambda: digits.Digits("xs").data("val", 0), "n must be an integer of at least 1; got 0"),
        (lambda: digits.render(torch.zeros(1, 1, 8, 8), 4), "pixels must be an integer of at least 8; got 4"),
        (lambda: digits.strings([]), "texts must be strings of digits of one length"),
        (lambda: digits.strings(["12", "3"]), "of one length"),
        (lambda: digits.strings([""]), "at least one"),
        (lambda: digits.strings("12"), "texts must be strings"),
        (lambda: digits.strings(["1a"]), "digits 0 to 9; got '1a'"),
        (lambda: digits.strings(["1²"]), "digits 0 to 9"),
        (lambda: digits.strings(["1"], split="dev"), "split must be one of"),
        (
            lambda: digits.Digits("xs").read(torch.zeros(1, 1, 8, 12)),
            r"shape \(N, 1, 8, 8 k\); got \(1, 1, 8, 12\)",
        ),
        (lambda: digits.Digits("xs").read(torch.zeros(1, 3, 8, 8)), "images must have shape"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
