"""The scores: closed forms, limits and agreement with other libraries."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import scipy.linalg
import torch

from sillok.testbeds import scores


def rng(seed=0):
    return np.random.default_rng(seed)


def test_frechet_of_identical_sets_is_zero():
    x = rng().normal(size=(200, 64))
    assert scores.frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert scores.frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-8)


def test_frechet_of_a_shift_is_its_squared_length():
    x = rng().normal(size=(100, 8))
    shift = np.arange(8.0)
    assert scores.frechet_distance(x, x + shift) == pytest.approx(shift @ shift)


def test_frechet_of_a_scaling():
    # covariances S and c^2 S, equal means: (1 - c)^2 tr S
    x = rng().normal(size=(300, 6))
    x -= x.mean(0)
    assert scores.frechet_distance(x, 3 * x) == pytest.approx(4 * np.trace(np.cov(x.T)))


def test_frechet_of_commuting_gaussians():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 16.0])
    expected = ((np.sqrt(a) - np.sqrt(b)) ** 2).sum() + 3 * 0.25
    q, _ = np.linalg.qr(rng().normal(size=(3, 3)))
    found = scores.frechet_from_moments(
        np.zeros(3), q @ np.diag(a) @ q.T, np.full(3, 0.5), q @ np.diag(b) @ q.T
    )
    assert found == pytest.approx(expected)


def test_frechet_agrees_with_the_matrix_square_root_of_scipy():
    a, b = (m @ m.T for m in rng().normal(size=(2, 10, 10)))
    root = scipy.linalg.sqrtm(a @ b).real
    expected = np.trace(a) + np.trace(b) - 2 * np.trace(root)
    assert scores.frechet_from_moments(np.zeros(10), a, np.zeros(10), b) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_singular_covariances():
    # fewer rows than columns; both covariances have rank 1, at right angles
    a, b = np.zeros((2, 5)), np.zeros((2, 5))
    a[:, 0], b[:, 1] = [-1, 1], [-2, 2]
    assert scores.frechet_distance(a, b) == pytest.approx(2 + 8)


def test_frechet_of_samples_converges_to_the_closed_form():
    mean, scale = np.array([1.0, -2.0, 0.0]), np.array([1.0, 2.0, 0.5])
    x, y = rng(1).normal(size=(200_000, 3)), rng(2).normal(size=(200_000, 3)) * scale + mean
    assert scores.frechet_distance(x, y) == pytest.approx(mean @ mean + ((1 - scale) ** 2).sum(), rel=0.02)


def test_precision_and_recall_of_identical_sets():
    x = rng().normal(size=(100, 4))
    assert scores.precision_recall(x, x) == (1.0, 1.0)


def test_precision_and_recall_of_distant_sets():
    x = rng().normal(size=(100, 4))
    assert scores.precision_recall(x, x + 100) == (0.0, 0.0)


def test_collapse_keeps_precision_and_loses_recall():
    x = rng().normal(size=(400, 4))
    fake = x[:1] + 1e-3 * rng(1).normal(size=(400, 4))
    precision, recall = scores.precision_recall(x, fake)
    assert precision == 1.0
    assert recall < 0.02


def test_one_of_two_modes():
    real = np.concatenate([rng(0).normal(size=(200, 3)), rng(1).normal(size=(200, 3)) + 50])
    fake = rng(2).normal(size=(400, 3))
    precision, recall = scores.precision_recall(real, fake)
    assert precision > 0.85
    assert 0.4 < recall <= 0.5
    assert scores.precision_recall(fake, real) == (recall, precision)


def test_precision_by_hand():
    # on a line with k = 1 each radius is the gap to the nearest neighbour: [0, 1, 3] has radii 1, 1, 2
    real, fake = np.array([[0.0], [1.0], [3.0]]), np.array([[-1.5], [2.5], [5.5], [9.0]])
    precision, recall = scores.precision_recall(real, fake, k=1)
    assert precision == 1 / 4  # 2.5 alone: -1.5 and 5.5 lie just outside
    assert recall == 3 / 3  # fake radii 4, 3, 3, 3.5 reach every real point


def test_more_neighbours_widen_the_manifold():
    x, y = rng(0).normal(size=(200, 8)), rng(1).normal(size=(200, 8))
    assert scores.precision_recall(x, y, k=1)[0] < scores.precision_recall(x, y, k=10)[0]


def test_saturation_agrees_with_the_standard_library():
    image = torch.from_numpy(rng().random((1, 3, 4, 4)) * 2 - 1)
    pixels = ((image + 1) / 2)[0].permute(1, 2, 0).reshape(-1, 3).tolist()
    expected = np.mean([colorsys.rgb_to_hsv(*pixel)[1] for pixel in pixels])
    assert float(scores.saturation(image)[0]) == pytest.approx(expected, abs=1e-5)


def test_saturation_of_grey_red_black_and_clipped():
    grey, black = torch.zeros(1, 3, 2, 2), -torch.ones(1, 3, 2, 2)
    red = black.clone()
    red[:, 0] = 1
    assert [float(scores.saturation(x)) for x in (grey, black, red, 5 * red)] == pytest.approx([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: scores.frechet_distance(np.zeros((1, 3)), np.zeros((5, 3))),
            r"a must have shape \(N, D\) with N >= 2",
        ),
        (
            lambda: scores.frechet_distance(np.zeros((4, 3)), np.zeros((4, 2))),
            "equally many columns; got 3 and 2",
        ),
        (lambda: scores.frechet_distance(np.full((4, 3), np.nan), np.zeros((4, 3))), "a must be finite"),
        (lambda: scores.precision_recall(np.zeros((3, 2)), np.zeros((9, 2))), "real must have shape"),
        (
            lambda: scores.precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), k=0),
            "k must be at least 1; got 0",
        ),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.fixture(scope="module")
def judge():
    return scores.Judge.of("xs", n=512)


def test_judge_of_real_images(judge):
    from sillok.testbeds.shapes import Shapes

    real = Shapes("xs").data("test", n=512)
    found = judge(real.images, real.labels)
    assert found["accuracy"] > 0.97
    assert abs(found["saturation_gap"]) < 0.02
    assert found["outside"] == 0
    assert found["recall"] > 0.8
    noise = judge(torch.rand(512, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 4 - 2, real.labels)
    assert noise["frechet"] > 20 * found["frechet"]
    assert noise["precision"] < 0.1
    assert 0.4 < noise["outside"] < 0.6


def test_judge_sees_what_high_guidance_does(judge):
    from sillok.testbeds.shapes import Shapes

    real = Shapes("xs").data("test", n=512)
    mean = real.images.mean((1, 2, 3), keepdim=True)
    vivid = judge(mean + 2 * (real.images - mean), real.labels)
    plain = judge(real.images, real.labels)
    assert vivid["saturation_gap"] > 0.1
    assert vivid["frechet"] > 3 * plain["frechet"]
    assert vivid["outside"] > 0


def test_judge_sees_missing_variety(judge):
    from sillok.testbeds.shapes import Shapes

    real = Shapes("xs").data("test", n=512)
    narrow = judge(real.images[:16].repeat(32, 1, 1, 1), real.labels[:16].repeat(32))
    assert narrow["recall"] < 0.3
