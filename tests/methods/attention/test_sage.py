"""INT8 attention on the torch backend: what smoothing does, SDPA's semantics, calibration."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from sillok.methods.attention import sage
from sillok.methods.attention.metrics import attention_error, exact_attention
from sillok.methods.attention.sage import calibrate_pv, int8_attention, use_int8_attention


def _qkv(*shape: int, bias: float = 0.0, seed: int = 0, dtype: torch.dtype = torch.float32):
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(shape, generator=generator) for _ in range(3))
    k[..., :4] += bias
    return q.to(dtype), k.to(dtype), v.to(dtype)


def _l1(out: torch.Tensor, ref: torch.Tensor) -> float:
    return attention_error(out, ref)["relative_l1"]


@pytest.mark.parametrize("width", [64, 96, 128])
@pytest.mark.parametrize("tokens", [64, 130, 384])
@pytest.mark.parametrize("causal", [False, True])
def test_close_to_exact_attention(width: int, tokens: int, causal: bool) -> None:
    q, k, v = _qkv(1, 3, tokens, width)
    out = int8_attention(q, k, v, is_causal=causal)
    assert attention_error(out, exact_attention(q, k, v, is_causal=causal))["cosine"] > 0.9995
    assert 0 < (out - scaled_dot_product_attention(q, k, v, is_causal=causal)).abs().max() < 0.1


def test_smoothing_makes_a_bias_of_the_keys_harmless() -> None:
    q, k, v = _qkv(1, 4, 512, 64, bias=20.0)
    exact = exact_attention(q, k, v)
    smooth, plain = int8_attention(q, k, v), int8_attention(q, k, v, smooth_k=False)
    assert 3 * _l1(smooth, exact) < _l1(plain, exact)
    _, centred, _ = _qkv(1, 4, 512, 64)
    unbiased = _l1(int8_attention(q, centred, v), exact_attention(q, centred, v))
    assert _l1(smooth, exact) == pytest.approx(unbiased, rel=0.05)


def test_finer_groups_are_closer() -> None:
    q, k, v = _qkv(1, 2, 512, 64)
    k[:, :, ::50] *= 6  # some tokens would coarsen their neighbours
    exact = exact_attention(q, k, v)
    token, block, tensor = (
        _l1(int8_attention(q, k, v, qk_group=group), exact) for group in ("token", "block", "tensor")
    )
    assert token < block < tensor


def test_int8_values_cost_accuracy_and_stay_close() -> None:
    q, k, v = _qkv(1, 2, 256, 64)
    exact = exact_attention(q, k, v)
    half, eight = int8_attention(q, k, v), int8_attention(q, k, v, pv="int8")
    assert _l1(half, exact) < _l1(eight, exact) < 0.05
    channels = v * torch.logspace(-3, 3, 64)  # a scale a channel: none drowns the others
    out, ref = int8_attention(q, k, channels, pv="int8"), exact_attention(q, k, channels)
    assert max(_l1(out[..., c], ref[..., c]) for c in range(64)) < 0.08


def test_constant_keys_give_the_mean_of_the_values() -> None:
    q, _, v = _qkv(1, 2, 100, 64)
    for k in (torch.full_like(q, 3.7), torch.zeros_like(q), torch.full_like(q, 3.7).half().float()):
        out, lse = int8_attention(q, k, v, return_lse=True)
        torch.testing.assert_close(out, v.mean(-2, keepdim=True).expand_as(out), atol=1e-3, rtol=0)
        assert torch.isfinite(lse).all()
    zero = torch.zeros_like(q)
    torch.testing.assert_close(int8_attention(zero, zero, zero, pv="int8"), zero)


@pytest.mark.parametrize("smooth", [False, True])
def test_log_sum_exp_is_that_of_the_scores(smooth: bool) -> None:
    q, k, v = _qkv(2, 4, 150, 64, bias=3.0)
    k, v = k[:, :2], v[:, :2]
    _, lse = int8_attention(
        q, k, v, is_causal=True, enable_gqa=True, smooth_k=smooth, return_lse=True, qk_group="token"
    )
    scores = q.double() @ k.double().repeat_interleave(2, 1).mT / 8
    exact = scores.masked_fill(torch.ones(150, 150).triu(1).bool(), -math.inf).logsumexp(-1)
    assert lse.dtype == torch.float32
    assert (lse - exact).abs().max() < 0.3
    assert (lse - exact).abs().mean() < 0.03


def test_log_sum_exp_adds_what_the_mean_took() -> None:
    q, k, v = _qkv(1, 2, 90, 32, bias=5.0)
    mean = k.mean(-2, keepdim=True)
    _, kernel = int8_attention(q, k - mean, v, smooth_k=False, return_lse=True, scale=0.2)
    _, lse = int8_attention(q, k, v, return_lse=True, scale=0.2)
    torch.testing.assert_close(lse, kernel + 0.2 * (q @ mean.mT).squeeze(-1), atol=1e-3, rtol=1e-4)


def test_grouped_heads_are_repeated_heads() -> None:
    q, k, v = _qkv(2, 6, 70, 32)
    out = int8_attention(q, k[:, :2], v[:, :2], enable_gqa=True)
    repeated = int8_attention(q, k[:, :2].repeat_interleave(3, 1), v[:, :2].repeat_interleave(3, 1))
    torch.testing.assert_close(out, repeated)


def test_a_ragged_length_equals_the_whole_blocks_with_the_rest_masked() -> None:
    """Zeros put behind 150 keys to fill a block, and masked, change scores only through the scale."""
    q, k, v = _qkv(1, 2, 150, 64)
    pad = torch.nn.functional.pad
    mask = torch.arange(192) < 150
    out = int8_attention(q, k, v, smooth_k=False)
    torch.testing.assert_close(
        out, int8_attention(q, pad(k, (0, 0, 0, 42)), pad(v, (0, 0, 0, 42)), mask, smooth_k=False)
    )


def test_padded_head_dimension_is_the_unpadded_one() -> None:
    q, k, v = _qkv(1, 2, 150, 96)
    padded = [torch.nn.functional.pad(x, (0, 32)) for x in (q, k, v)]
    out = int8_attention(*padded, scale=96**-0.5)
    torch.testing.assert_close(out[..., :96], int8_attention(q, k, v))
    assert out[..., 96:].abs().max() == 0


def test_masks_and_scale_are_those_of_sdpa() -> None:
    q, k, v = _qkv(2, 3, 80, 64)
    generator = torch.Generator().manual_seed(9)
    seen = torch.rand((2, 1, 80, 80), generator=generator) > 0.5
    seen[:, :, 7] = False
    bias = torch.randn((80, 80), generator=generator)
    for mask in (seen, bias, bias.half(), seen[0, 0]):
        out = int8_attention(q, k, v, mask, scale=0.2)
        reference = exact_attention(q, k, v, mask, scale=0.2)
        assert attention_error(out, reference)["cosine"] > 0.9995
    assert int8_attention(q, k, v, seen)[:, :, 7].abs().max() == 0


def test_causal_is_aligned_at_the_top_left() -> None:
    for rows, columns in ((30, 100), (100, 30)):
        q, _, _ = _qkv(1, 1, rows, 64)
        _, k, v = _qkv(1, 1, columns, 64, seed=1)
        out = int8_attention(q, k, v, is_causal=True)
        torch.testing.assert_close(out[:, :, 0], v[:, :, 0], atol=1e-3, rtol=1e-3)
        assert attention_error(out, exact_attention(q, k, v, is_causal=True))["cosine"] > 0.9995


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_output_has_the_dtype_of_the_input_which_is_left_alone(dtype: torch.dtype) -> None:
    q, k, v = _qkv(1, 2, 64, 32, bias=4.0, dtype=dtype)
    before = k.clone()
    assert int8_attention(q, k, v).dtype == dtype
    assert torch.equal(k, before)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"q": torch.ones(2, 8, 4)}, r"q must be floating with shape \(B, H, N, D\)"),
        ({"k": torch.ones(1, 2, 8, 4, dtype=torch.int8)}, "k must be floating"),
        ({"k": torch.ones(1, 2, 8, 5)}, "do not fit"),
        ({"v": torch.ones(1, 2, 9, 4)}, "do not fit"),
        ({"k": torch.ones(1, 2, 0, 4), "v": torch.ones(1, 2, 0, 4)}, "do not fit"),
        ({"k": torch.ones(1, 1, 8, 4), "v": torch.ones(1, 1, 8, 4)}, "q has 2 heads and k 1"),
        ({"dropout_p": 0.1}, "dropout_p must be 0, not 0.1"),
        ({"attn_mask": torch.ones(8, 8).bool(), "is_causal": True}, "is_causal must be False"),
        ({"attn_mask": torch.ones(7, 8).bool()}, r"attn_mask must .*\(1, 2, 8, 8\)"),
        ({"attn_mask": torch.ones((8, 8), dtype=torch.int32)}, "attn_mask must be bool or floating"),
        ({"qk_group": "channel"}, "qk_group must be one of block, token, tensor"),
        ({"pv": "fp8"}, "pv must be 'fp16' or 'int8', not 'fp8'"),
        ({"backend": "cuda"}, "backend must be 'auto', 'torch' or 'triton', not 'cuda'"),
        ({"backend": "triton"}, "needs CUDA tensors, not cpu ones"),
    ],
)
def test_bad_arguments(change: dict, text: str) -> None:
    q = torch.ones(1, 2, 8, 4)
    with pytest.raises(ValueError, match=text):
        int8_attention(**({"q": q, "k": q, "v": q} | change))


def test_a_gradient_is_refused_and_not_forgotten() -> None:
    q = torch.ones(1, 1, 8, 4, requires_grad=True)
    with pytest.raises(ValueError, match="q wants a gradient"):
        int8_attention(q, q, q)
    with torch.no_grad():
        assert int8_attention(q, q, q).shape == q.shape
    with torch.inference_mode():
        assert int8_attention(q, q, q).shape == q.shape


def test_triton_is_not_needed_and_its_absence_is_one_clear_line(tmp_path) -> None:
    code = """
import sys
sys.modules["triton"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "triton" else find(name, *rest)
import torch
from sillok.methods.attention.sage import int8_attention
q = torch.randn(1, 1, 64, 32)
assert int8_attention(q, q, q).shape == q.shape
try:
    int8_attention(q, q, q, backend="triton")
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        done.stdout.strip()
        == "backend 'triton' needs the package triton, which is not installed; use 'torch'"
    )


class _Layer(torch.nn.Module):
    """Attention that hands its values on as they are, with one huge value that no query looks at, if asked."""

    def __init__(self, outlier: float):
        super().__init__()
        self.outlier = outlier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k, v = x.clone(), x.clone()
        if self.outlier:
            k[..., 0, :] = -4 * x.mean(-2)  # its score is far below the others
            v[..., 0, :] = self.outlier
        return scaled_dot_product_attention(x, k, v)


class _Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.easy, self.hard = _Layer(0.0), _Layer(3000.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.easy(x)
        return self.hard(x)


def _batches(n: int = 2) -> list[torch.Tensor]:
    return [torch.randn((1, 2, 128, 32), generator=torch.Generator().manual_seed(s)) + 2 for s in range(n)]


def test_calibration_finds_the_layer_that_int8_values_would_break() -> None:
    model = _Model()
    assert calibrate_pv(model, _batches()) == {"easy": "int8", "hard": "fp16"}
    assert calibrate_pv(model, [{"x": x} for x in _batches()]) == {"easy": "int8", "hard": "fp16"}
    assert calibrate_pv(model, [(x,) for x in _batches()]) == {"easy": "int8", "hard": "fp16"}
    assert set(calibrate_pv(model, _batches(), threshold=1.0).values()) == {"fp16"}


def test_calibration_counts_the_worst_batch() -> None:
    model = _Model()
    model.easy.register_forward_pre_hook(
        lambda module, args: setattr(module, "outlier", 3000.0 if args[0][0, 0, 0, 0] > 2 else 0.0)
    )
    mixed = sorted(_batches(6), key=lambda x: x[0, 0, 0, 0].item())
    assert mixed[0][0, 0, 0, 0] < 2 < mixed[-1][0, 0, 0, 0]
    assert calibrate_pv(model, mixed[:1])["easy"] == "int8"
    assert calibrate_pv(model, [mixed[-1], mixed[0]])["easy"] == "fp16"


def test_calibration_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="threshold must lie in"):
        calibrate_pv(_Model(), _batches(), threshold=99.8)
    with pytest.raises(ValueError, match="at least one batch"):
        calibrate_pv(_Model(), [])
    with pytest.raises(ValueError, match="Linear made no call"):
        calibrate_pv(torch.nn.Linear(4, 4), [torch.ones(2, 4)])


def test_calibrated_layers_take_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, _) = _Model(), _batches()
    used = []
    real = int8_attention
    monkeypatch.setattr(sage, "int8_attention", lambda *a, **k: (used.append(k), real(*a, **k))[1])
    exact = model(x)
    with use_int8_attention(model, pv={"easy": "int8", "hard": "fp16"}, qk_group="token"):
        out = model(x)
    assert [(k["pv"], k["qk_group"]) for k in used] == [("int8", "token"), ("fp16", "token")]
    assert 0 < (out - exact).abs().max() < 0.1
    assert torch.equal(model(x), exact)  # afterwards the model is as it was
