"""The attention inside Transformers and Diffusers models: selected by name, called, and close to SDPA."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from diffusers import DiTTransformer2DModel, FluxTransformer2DModel
from diffusers.models import attention_dispatch
from torch.nn.functional import scaled_dot_product_attention
from transformers import LlamaConfig, LlamaForCausalLM

from sillok.methods.attention import sage
from sillok.methods.attention.metrics import attention_error
from sillok.methods.attention.register import register_diffusers, register_transformers
from sillok.methods.attention.sdpa import SDPACall, capture_sdpa, replace_sdpa

NAME = "int8_test"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """The keywords of every call of `int8_attention` that a host makes."""
    calls: list[dict] = []
    real = sage.int8_attention

    def spy(q, k, v, *args, **kwargs):
        calls.append({"q": q, "k": k, "args": args} | kwargs)
        return real(q, k, v, *args, **kwargs)

    monkeypatch.setattr(sage, "int8_attention", spy)
    return calls


@pytest.fixture(autouse=True)
def _default_backend() -> Iterator[None]:
    before = attention_dispatch._AttentionBackendRegistry._active_backend
    yield
    attention_dispatch._AttentionBackendRegistry.set_active_backend(before)


def _llama() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval().requires_grad_(False)


def _tokens(*shape: int) -> torch.Tensor:
    return torch.randint(1, 64, shape, generator=torch.Generator().manual_seed(0))


def _flux() -> tuple[FluxTransformer2DModel, dict]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=32,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(8, 12, 12),
        )
    generator = torch.Generator().manual_seed(1)
    inputs = {
        "hidden_states": torch.randn((1, 64, 4), generator=generator),
        "encoder_hidden_states": torch.randn((1, 13, 32), generator=generator),
        "pooled_projections": torch.randn((1, 32), generator=generator),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.cartesian_prod(torch.zeros(1), torch.arange(8.0), torch.arange(8.0)),
        "txt_ids": torch.zeros(13, 3),
        "return_dict": False,
    }
    return model.eval().requires_grad_(False), inputs


def test_llama_runs_with_it(used: list[dict]) -> None:
    sage.register(NAME)
    model, tokens = _llama(), _tokens(2, 150)
    exact = model(tokens).logits
    model.set_attn_implementation(NAME)
    out = model(tokens).logits
    assert len(used) == 2
    assert all(call["is_causal"] and call["enable_gqa"] for call in used)
    assert used[0]["k"].shape[1] == 2  # the shared heads reach it unrepeated
    assert attention_error(out, exact)["cosine"] > 0.999
    assert not torch.equal(out, exact)


def test_llama_does_not_attend_to_padding(used: list[dict]) -> None:
    sage.register(NAME)
    model, tokens = _llama(), _tokens(2, 40)
    mask = torch.ones_like(tokens)
    mask[0, :15] = 0
    model.set_attn_implementation(NAME)
    out = model(tokens, attention_mask=mask).logits
    changed = tokens.clone()
    changed[0, :15] = 7
    # through the mean and the scales of the keys alone, padding still has a say in the rounding
    again = model(changed, attention_mask=mask).logits
    assert attention_error(out[0, 15:], again[0, 15:])["cosine"] > 0.999
    model.set_attn_implementation("sdpa")
    assert attention_error(out[0, 15:], model(tokens, attention_mask=mask).logits[0, 15:])["cosine"] > 0.999
    assert len(used) == 4


def test_llama_generates_with_a_cache(used: list[dict]) -> None:
    sage.register(NAME, qk_group="token")
    model, tokens = _llama(), _tokens(1, 20)
    model.set_attn_implementation(NAME)
    out = model.generate(tokens, max_new_tokens=5, min_new_tokens=5, do_sample=False)
    assert out.shape == (1, 25)
    assert {call["q"].shape[2] for call in used} == {20, 1}
    assert not any(call["is_causal"] for call in used if call["q"].shape[2] == 1)
    assert {call["qk_group"] for call in used} == {"token"}


def test_flux_runs_with_it(used: list[dict]) -> None:
    sage.register(NAME)
    model, inputs = _flux()
    exact = model(**inputs)[0]
    model.set_attention_backend(NAME)
    out = model(**inputs)[0]
    assert [tuple(call["q"].shape) for call in used] == [(1, 2, 77, 32)] * 2  # heads before tokens
    assert attention_error(out, exact)["cosine"] > 0.999
    assert not torch.equal(out, exact)
    model.set_attention_backend("native")
    assert torch.equal(model(**inputs)[0], exact)


def test_diffusers_context_and_masks(used: list[dict]) -> None:
    sage.register(NAME)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn((2, 40, 3, 32), generator=generator) for _ in range(3))
    mask = torch.arange(40).expand(2, 40) < 30
    with attention_dispatch.attention_backend(NAME):
        out = attention_dispatch.dispatch_attention_fn(q, k, v, attn_mask=mask, scale=0.1)
    exact = attention_dispatch.dispatch_attention_fn(q, k, v, attn_mask=mask, scale=0.1)
    assert len(used) == 1
    assert attention_error(out, exact)["cosine"] > 0.999
    with pytest.raises(ValueError, match="context parallelism"):
        attention_dispatch.dispatch_attention_fn(
            q, k, v, backend=attention_dispatch.AttentionBackendName(NAME), parallel_config=object()
        )


def test_a_model_that_calls_sdpa_itself(used: list[dict]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=32,
            in_channels=3,
            out_channels=3,
            num_layers=2,
            sample_size=16,
            patch_size=2,
            num_embeds_ada_norm=4,
        )
    model = model.eval().requires_grad_(False)
    x = torch.randn((1, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    inputs = {"timestep": torch.tensor([5]), "class_labels": torch.tensor([1])}
    exact = model(x, **inputs).sample
    with capture_sdpa(model) as calls:
        model(x, **inputs)
    names = ["transformer_blocks.0.attn1", "transformer_blocks.1.attn1"]
    assert [call.layer for call in calls] == names
    assert calls[0].q.shape == (1, 2, 64, 32)
    torch.testing.assert_close(
        calls[0].run(scaled_dot_product_attention), scaled_dot_product_attention(*_qkv(calls[0]))
    )
    assert sage.calibrate_pv(model, [{"hidden_states": x, **inputs}]).keys() == set(names)
    used.clear()
    with sage.use_int8_attention(model):
        out = model(x, **inputs).sample
    assert len(used) == 2
    assert attention_error(out, exact)["cosine"] > 0.999


def _qkv(call: SDPACall) -> tuple[torch.Tensor, ...]:
    return call.q, call.k, call.v


def test_a_name_may_be_registered_again(used: list[dict]) -> None:
    model, tokens = _llama(), _tokens(1, 30)
    sage.register(NAME)
    sage.register(NAME, pv="int8")
    model.set_attn_implementation(NAME)
    model(tokens)
    assert {call["pv"] for call in used} == {"int8"}
    flux, inputs = _flux()
    used.clear()
    flux.set_attention_backend(NAME)
    flux(**inputs)
    assert {call["pv"] for call in used} == {"int8"}


@pytest.mark.parametrize("name", ["Sage", "int8-sage", "", "8bit"])
def test_malformed_names(name: str) -> None:
    for add in (register_transformers, register_diffusers):
        with pytest.raises(ValueError, match="name must be made of"):
            add(name, scaled_dot_product_attention)


def test_names_of_the_hosts_are_not_taken() -> None:
    with pytest.raises(ValueError, match="'sdpa' is one of Transformers'"):
        register_transformers("sdpa", scaled_dot_product_attention)
    with pytest.raises(ValueError, match="'sage' is one of Diffusers'"):
        register_diffusers("sage", scaled_dot_product_attention)
    with pytest.raises(ValueError, match="return_lse must be False"):
        sage.register(NAME, return_lse=True)


def test_replacement_ends_with_its_block_and_stays_in_its_thread() -> None:
    x = torch.ones(1, 1, 4, 4)
    elsewhere: list[torch.Tensor] = []
    with replace_sdpa(lambda call, original: original() + 1):
        assert (scaled_dot_product_attention(x, x, value=x) == 2).all()
        other = threading.Thread(target=lambda: elsewhere.append(scaled_dot_product_attention(x, x, x)))
        other.start()
        other.join()
    assert (elsewhere[0] == 1).all()
    assert (scaled_dot_product_attention(x, x, x) == 1).all()


def test_capture_keeps_names_right_after_an_error_and_counts() -> None:
    class Inner(torch.nn.Module):
        def forward(self, x: torch.Tensor, fail: bool) -> torch.Tensor:
            if fail:
                raise KeyError("fail")
            return scaled_dot_product_attention(x, x, x)

    class Outer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                self.inner(x, True)
            except KeyError:
                scaled_dot_product_attention(x, x, x)
            return self.inner(x, False)

    model, x = Outer(), torch.ones(1, 1, 4, 4, requires_grad=True)
    with capture_sdpa(model) as calls:
        model(x)
    assert [call.layer for call in calls] == ["", "inner"]
    assert not calls[0].q.requires_grad
    with capture_sdpa(model, limit=1) as calls:
        model(x)
    assert len(calls) == 1
    assert not model._forward_hooks
    assert not model.inner._forward_pre_hooks
