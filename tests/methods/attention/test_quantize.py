"""The quantiser and the error metrics: exact properties, and what must not enter a scale."""

from __future__ import annotations

import math

import hypothesis
import hypothesis.extra.numpy
import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from sillok.methods.attention.metrics import attention_error, exact_attention
from sillok.methods.attention.quantize import dequantize_int8, quantize_int8


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("group", "groups"), [("block", 3), ("token", 150), ("tensor", 1)])
def test_codes_stand_for_the_input_within_half_a_scale(group: str, groups: int) -> None:
    x = _random(2, 3, 150, 40)
    codes, scales = quantize_int8(x, group=group, block=64)
    assert codes.dtype == torch.int8
    assert codes.shape == x.shape
    assert scales.dtype == torch.float32
    assert scales.shape == (2, 3, groups)
    assert codes.abs().max() == 127
    back = dequantize_int8(codes, scales, group=group, block=64)
    assert ((back - x).abs() <= scales.amax() * 0.50001).all()
    assert (back - x).abs().max() > 0


def test_by_hand() -> None:
    x = torch.tensor([[127.0, -0.5], [0.5, 1.49], [2.0, -254.0], [1.0, 0.0]])
    codes, scales = quantize_int8(x, group="block", block=2)
    assert scales.tolist() == [1.0, 2.0]
    assert codes.tolist() == [[127, -1], [1, 1], [1, -127], [1, 0]]  # halves away from zero


def test_a_finer_group_never_has_a_larger_scale() -> None:
    x = _random(1, 1, 128, 32)
    token, block, tensor = (quantize_int8(x, group=g, block=32)[1] for g in ("token", "block", "tensor"))
    assert (token.unflatten(-1, (4, 32)).amax(-1) == block).all()
    assert block.amax() == tensor.item()


def test_mean_is_subtracted_and_scale_multiplied() -> None:
    x, mean = _random(1, 2, 64, 16), _random(1, 2, 1, 16, seed=1)
    both = quantize_int8(x, group="block", block=64, mean=mean, scale=0.25)
    alone = quantize_int8((x - mean) * 0.25, group="block", block=64)
    assert torch.equal(both[0], alone[0])
    assert torch.equal(both[1], alone[1])


def test_padding_of_the_last_block_stays_out_of_its_scale() -> None:
    """Two tokens in a block of 64: zeros in the place of the others would become -mean."""
    x = torch.full((1, 1, 66, 8), 100.0)
    x[..., 65, 0] = 101.0
    codes, scales = quantize_int8(x, group="block", block=64, mean=torch.full((8,), 100.0))
    assert scales[0, 0, 1].item() == pytest.approx(1 / 127)
    assert scales[0, 0, 0] == 0
    assert codes[0, 0, 65, 0] == 127


def test_zeros_have_scale_zero_and_no_nan() -> None:
    codes, scales = quantize_int8(torch.zeros(1, 1, 10, 4), group="block", block=4)
    assert (codes == 0).all()
    assert (scales == 0).all()
    tiny = torch.full((1, 1, 4, 4), 1e-44)  # its scale underflows to zero
    assert (quantize_int8(tiny, group="block", block=4)[0] == 0).all()


def test_half_precision_is_quantised_in_float32() -> None:
    x = (_random(1, 1, 64, 16) * 300).half()
    codes, scales = quantize_int8(x, group="block", block=64, scale=1000.0)  # overflows float16
    again = quantize_int8(x.double().float() * 1000.0, group="block", block=64)
    assert torch.isfinite(scales).all()
    assert torch.equal(codes, again[0])


@hypothesis.given(
    hypothesis.extra.numpy.arrays(
        np.float32, (7, 3), elements=hypothesis.strategies.floats(-(2.0**60), 2.0**60, width=32)
    )
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_any_numbers(values: np.ndarray) -> None:
    x = torch.from_numpy(values)
    codes, scales = quantize_int8(x, group="block", block=4)
    steps = scales.repeat_interleave(4)[:7, None]
    assert (codes >= -127).all()
    assert ((codes.float() * steps - x).abs() <= steps * 0.5001 + 1e-38).all()
    assert torch.equal(quantize_int8(-x, group="block", block=4)[0], -codes)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    ("bad", "text"),
    [
        ({"group": "channel"}, "group must be one of block, token, tensor, not 'channel'"),
        ({"group": "block", "block": 0}, "block must be .* not 0"),
        ({"group": "block", "block": 1.5}, "block must be .* not 1.5"),
    ],
)
def test_bad_options(bad: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        quantize_int8(torch.ones(4, 4), **bad)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("x", [torch.ones(4), torch.ones((4, 4), dtype=torch.int32)])
def test_bad_input(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"x must be floating with shape"):
        quantize_int8(x, group="token")


def test_errors_by_hand() -> None:
    error = attention_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, -4.0]))
    assert error == {
        "cosine": pytest.approx(-7 / 25),
        "relative_l1": pytest.approx(8 / 7),
        "rmse": pytest.approx(math.sqrt(32)),
    }
    same = attention_error(torch.ones(5).half(), torch.ones(5))
    assert same == {"cosine": pytest.approx(1.0), "relative_l1": 0.0, "rmse": 0.0}
    assert attention_error(torch.zeros(2), torch.ones(2))["cosine"] == 0.0


def test_errors_refuse_what_has_no_error() -> None:
    with pytest.raises(ValueError, match="share a shape"):
        attention_error(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match="zero everywhere"):
        attention_error(torch.ones(2), torch.zeros(2))


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.7}])
def test_exact_attention_is_sdpa_in_float64(options: dict) -> None:
    q, k, v = (_random(2, 4, 33, 16, seed=s).double() for s in range(3))
    torch.testing.assert_close(
        exact_attention(q, k, v, **options), scaled_dot_product_attention(q, k, v, **options)
    )
    shared = {"enable_gqa": True, **options}
    torch.testing.assert_close(
        exact_attention(q, k[:, :2], v[:, :2], **shared),
        scaled_dot_product_attention(q, k[:, :2], v[:, :2], **shared),
    )


def test_exact_attention_takes_both_kinds_of_mask() -> None:
    q, k, v = (_random(2, 4, 33, 16, seed=s).double() for s in range(3))
    seen = _random(2, 1, 33, 33, seed=3) > 0
    seen[:, :, 0] = False
    bias = _random(33, 33, seed=4).double()
    for mask in (seen, bias):
        torch.testing.assert_close(
            exact_attention(q, k, v, mask), scaled_dot_product_attention(q, k, v, mask)
        )
    assert exact_attention(q, k, v, seen)[:, :, 0].abs().max() == 0


def test_smoothing_changes_nothing_in_float64() -> None:
    q, k, v = (_random(1, 2, 50, 16, seed=s).double() for s in range(3))
    k = k + 30 * _random(1, 2, 1, 16, seed=5)
    moved = k - k.mean(-2, keepdim=True)
    assert (moved - k).abs().max() > 10
    for options in ({}, {"is_causal": True}, {"attn_mask": _random(50, 50, seed=6) > 0}):
        torch.testing.assert_close(
            exact_attention(q, k, v, **options), exact_attention(q, moved, v, **options)
        )
