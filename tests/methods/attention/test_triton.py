"""The Triton kernels, in the interpreter against the torch backend, and compiled for GPUs that are not here."""

from __future__ import annotations

import math

import pytest
import torch
import triton_cases
from interpreter import in_process
from triton_cases import CASES

from sillok.methods.attention.metrics import attention_error

Found = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return in_process("triton_cases:attention", tmp_path_factory.mktemp("attention"), interpret=True)


@pytest.fixture(scope="module")
def quantisers(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return in_process("triton_cases:quantisers", tmp_path_factory.mktemp("quantisers"), interpret=True)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    found = in_process("triton_cases:compiled", tmp_path_factory.mktemp("compiled"), interpret=False)
    return {name: bytes(text.tolist()).decode() for name, text in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_kernel_is_the_torch_backend(attention: Found, name: str) -> None:
    ours, theirs = attention[f"{name}/triton"], attention[f"{name}/torch"]
    assert ours.dtype == theirs.dtype == CASES[name].dtype
    # both round to the output's own precision: one unit in the last place of a value near 4
    slack = 2e-3 if ours.dtype != torch.bfloat16 else 4 * 2**-8
    torch.testing.assert_close(ours.float(), theirs.float(), atol=slack, rtol=0)
    torch.testing.assert_close(attention[f"{name}/triton/lse"], attention[f"{name}/torch/lse"])


@pytest.mark.parametrize("name", CASES)
def test_kernel_is_close_to_exact_attention(attention: Found, name: str) -> None:
    assert attention_error(attention[f"{name}/triton"], attention[f"{name}/exact"])["cosine"] > 0.998


def test_a_query_that_may_see_nothing_gives_zeros(attention: Found) -> None:
    assert attention["bool mask/triton"][..., 5, :].abs().max() == 0
    assert (attention["bool mask/triton/lse"][..., 5] == -math.inf).all()
    assert attention["bool mask/triton"][..., 6, :].abs().max() > 0


def test_constant_keys_give_the_mean_of_the_values(attention: Found) -> None:
    mean = attention["constant values"].float().mean(-2, keepdim=True)
    torch.testing.assert_close(
        attention["constant keys"].float(), mean.expand(1, 1, 192, 64), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("tokens", [192, 150, 1100])
def test_codes_and_scales_are_those_of_the_torch_backend(quantisers: Found, tokens: int) -> None:
    names = [name for name in quantisers if name.startswith(f"{tokens}/") and "/torch/" in name]
    assert len(names) == 18
    for name in names:
        assert torch.equal(quantisers[name], quantisers[name.replace("/torch/", "/triton/")]), name
    torch.testing.assert_close(quantisers[f"{tokens}/mean/triton"], quantisers[f"{tokens}/mean/torch"])
    assert (quantisers[f"{tokens}/block/zeros/triton/scales"][:, 1, 1] == 0).all()


def test_float16_accumulators_change_the_last_bits_only(quantisers: Found) -> None:
    half, single = (quantisers[f"float16 accumulators {acc16}"].float() for acc16 in (True, False))
    difference = (half - single).abs().max()
    assert 0 < difference < 4e-3


@pytest.mark.parametrize("name", ["hopper 64", "hopper 128", "hopper int8", "hopper mask"])
def test_hopper_multiplies_eight_bit_integers_in_warp_groups(compiled: dict[str, str], name: str) -> None:
    text = compiled[name]
    assert "wgmma.mma_async" in text
    assert ".s32.s8.s8" in text
    assert (".f32.f16.f16" in text) is (name != "hopper int8")
    assert ".local" not in text  # nothing spills


def test_ada_accumulates_in_float16(compiled: dict[str, str]) -> None:
    assert "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16" in compiled["ada float16"]


def test_the_small_kernels_compile_too(compiled: dict[str, str]) -> None:
    assert "div.rn.f32" in compiled["quantize"]  # the codes are those of IEEE division
    assert ".visible .entry _mean_kernel" in compiled["mean"]


def test_the_cases_have_keys_with_a_mean() -> None:
    _, k, _, _ = triton_cases.inputs(CASES["spec"])
    assert k.float().mean() > 1.5
