"""Linear measurements: exact adjoints, parity with PyTorch's own functions, sizes that do not fit."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sillok.methods.diffusion.operators import BicubicDown, BoxMask, GaussianBlur

OPERATORS = [BoxMask(4), BoxMask((3, 5), (4, 6)), BicubicDown(2), BicubicDown(4), GaussianBlur(5, 1.3)]


def image(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda o: type(o).__name__)
@pytest.mark.parametrize("size", [(8, 12), (16, 16)])
def test_the_adjoint_is_the_adjoint(operator, size: tuple[int, int]) -> None:
    x = image(0, 2, 3, *size)
    y = image(1, *operator.forward(x).shape)
    left, right = (operator.forward(x) * y).sum(), (x * operator.adjoint(y)).sum()
    torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)
    # and the one that autograd finds
    (found,) = torch.autograd.grad((operator.forward(x.requires_grad_()) * y).sum(), x)
    torch.testing.assert_close(operator.adjoint(y), found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("factor", [2, 4])
def test_bicubic_is_pytorchs_with_antialiasing(factor: int) -> None:
    x = image(0, 2, 3, 16, 24)
    expected = F.interpolate(x, size=(16 // factor, 24 // factor), mode="bicubic", antialias=True)
    torch.testing.assert_close(BicubicDown(factor).forward(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.5), (11, 2.5), (11, 10.0)])
def test_blur_is_a_convolution(kernel: int, sigma: float) -> None:
    x = image(0, 1, 3, 9, 14)  # the widest kernel reaches beyond the image
    taps = torch.exp(-((torch.arange(kernel, dtype=torch.float64) - kernel // 2) ** 2) / (2 * sigma**2))
    window = torch.outer(taps, taps) / taps.sum() ** 2
    expected = F.conv2d(x, window.expand(3, 1, -1, -1), padding=kernel // 2, groups=3)
    torch.testing.assert_close(GaussianBlur(kernel, sigma).forward(x), expected)


def test_the_box_is_where_it_is_said_to_be() -> None:
    seen = BoxMask((2, 4), (3, 5)).forward(torch.ones(1, 1, 8, 9))[0, 0]
    gone = (seen == 0).nonzero()
    assert gone.amin(0).tolist() == [2, 3]
    assert gone.amax(0).tolist() == [3, 6]
    assert len(gone) == 8
    centred = BoxMask(4).forward(torch.ones(1, 1, 8, 8))[0, 0]
    assert torch.equal(centred, centred.flip(0, 1))
    assert int((centred == 0).sum()) == 16


def test_half_precision_stays_what_it_is() -> None:
    for operator in OPERATORS:
        assert operator.forward(image(0, 1, 1, 12, 12).to(torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BoxMask(0), "box must be at least 1 x 1; got 0"),
        (lambda: BicubicDown(1), "factor must be an integer of at least 2; got 1"),
        (lambda: GaussianBlur(4), "kernel must be an odd integer of at least 1; got 4"),
        (lambda: GaussianBlur(5, 0.0), "sigma must be positive; got 0.0"),
        (lambda: BoxMask(9).forward(torch.zeros(1, 1, 8, 8)), "must lie inside the image; got 8 x 8"),
        (lambda: BoxMask(4, (1, 4)).forward(torch.zeros(1, 1, 8, 8)), "must lie inside the image"),
        (lambda: BicubicDown(3).forward(torch.zeros(1, 1, 9, 8)), "multiples of factor 3; got 8"),
        (lambda: GaussianBlur(3).forward(torch.zeros(2, 16, 4)), r"shape \(B, C, H, W\); got \(2, 16, 4\)"),
        (lambda: BoxMask(2).forward(torch.zeros(1, 1, 8, 8, dtype=torch.int64)), "must be floating point"),
    ],
)
def test_bad_input_is_named(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
