"""The attention tap: what it shows is what the network computes, and nothing of it stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel, SD3Transformer2DModel, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from torch import nn
from torch.nn import functional as F

from sillok.methods.diffusion.attention import AttentionCall, AttentionTap, attention_modules


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cogvideox() -> tuple[nn.Module, dict[str, Any]]:
    model = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=8,
        num_layers=2,
        sample_width=8,
        sample_height=8,
        sample_frames=5,
        patch_size=2,
        max_text_seq_length=6,
        use_rotary_positional_embeddings=True,
    )
    angles = rand(2 * 16, 16, seed=3)
    return model, {
        "hidden_states": rand(1, 2, 4, 8, 8),
        "encoder_hidden_states": rand(1, 6, 8, seed=1),
        "timestep": torch.tensor([500]),
        "image_rotary_emb": (angles.cos(), angles.sin()),
    }


def sd3() -> tuple[nn.Module, dict[str, Any]]:
    model = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        caption_projection_dim=32,
        joint_attention_dim=12,
        pooled_projection_dim=16,
        out_channels=4,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    )
    return model, {
        "hidden_states": rand(1, 4, 8, 8),
        "encoder_hidden_states": rand(1, 5, 12, seed=1),
        "pooled_projections": rand(1, 16, seed=2),
        "timestep": torch.tensor([500.0]),
    }


def flux() -> tuple[nn.Module, dict[str, Any]]:
    model = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=12,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
    )
    places = torch.zeros(16, 3)
    places[:, 1], places[:, 2] = torch.arange(16) // 4, torch.arange(16) % 4
    return model, {
        "hidden_states": rand(1, 16, 4),
        "encoder_hidden_states": rand(1, 5, 12, seed=1),
        "pooled_projections": rand(1, 16, seed=2),
        "timestep": torch.tensor([0.5]),
        "img_ids": places,
        "txt_ids": torch.zeros(5, 3),
    }


def unet() -> tuple[nn.Module, dict[str, Any]]:
    model = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=16,
    )
    return model, {
        "sample": rand(1, 4, 8, 8),
        "encoder_hidden_states": rand(1, 5, 16, seed=1),
        "timestep": torch.tensor(500),
    }


NETWORKS = {"cogvideox": cogvideox, "sd3": sd3, "flux": flux, "unet": unet}


def make(name: str) -> tuple[nn.Module, dict[str, Any]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, inputs = NETWORKS[name]()
        for parameter in model.parameters():  # zero-initialised parts would hide what attention does
            if not parameter.any():
                nn.init.normal_(parameter, std=0.1)
    return model.eval(), inputs


@pytest.mark.parametrize("name", NETWORKS)
def test_it_shows_every_attention_as_the_network_computes_it(name: str) -> None:
    model, inputs = make(name)
    names = attention_modules(model)
    assert len(names) == {"cogvideox": 2, "sd3": 2, "flux": 2, "unet": 8}[name]
    seen: list[str] = []

    def brute(call: AttentionCall) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen.append(call.name)
        found = call.probabilities()
        logits = torch.einsum("bhnd,bhmd->bhnm", call.query.double(), call.key.double())
        exact = (logits / call.query.shape[-1] ** 0.5).softmax(-1)
        torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(
            F.scaled_dot_product_attention(call.query, call.key, call.value),
            (exact @ call.value.double()).float(),
            atol=1e-5,
            rtol=1e-4,
        )
        # doubled values change what comes out only if the calls shown are those that the network uses
        return call.query, call.key, call.value * 2

    with torch.no_grad():
        plain = model(**inputs)[0]
        with AttentionTap(model, names, brute):
            doubled = model(**inputs)[0]
        after = model(**inputs)[0]
    assert sorted(seen) == sorted(names)
    assert not torch.allclose(plain, doubled)
    assert torch.equal(plain, after)


@pytest.mark.parametrize("name", NETWORKS)
def test_looking_changes_no_bit_and_leaves_no_hook(name: str) -> None:
    model, inputs = make(name)
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    with torch.no_grad():
        plain = model(**inputs)[0]
        with AttentionTap(model, attention_modules(model), lambda call: None):
            watched = model(**inputs)[0]
    assert torch.equal(plain, watched)
    assert [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()] == hooks


def test_gradients_flow_to_the_input_and_through_what_is_replaced() -> None:
    model, inputs = make("cogvideox")
    model.requires_grad_(False)
    kept: list[torch.Tensor] = []
    with AttentionTap(model, ["transformer_blocks.1.attn1"], lambda call: kept.append(call.logits())):
        x = inputs["hidden_states"].clone().requires_grad_()
        model(**inputs | {"hidden_states": x})
    kept[0].square().mean().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 0
    gain = torch.tensor(1.0, requires_grad=True)
    with AttentionTap(model, "transformer_blocks.0", lambda call: (call.query, call.key, gain * call.value)):
        model(**inputs)[0].square().sum().backward()
    assert gain.grad is not None
    assert float(gain.grad) != 0


def test_keys_and_values_may_be_longer() -> None:
    model, inputs = make("cogvideox")

    def twice(call: AttentionCall) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return call.query, torch.cat([call.key, call.key], 2), torch.cat([call.value, call.value], 2)

    with torch.no_grad():
        plain = model(**inputs)[0]
        with AttentionTap(model, attention_modules(model), twice):
            torch.testing.assert_close(model(**inputs)[0], plain, atol=1e-5, rtol=1e-4)


def test_an_exception_closes_what_was_open() -> None:
    model, inputs = make("sd3")

    def stop(call: AttentionCall) -> None:
        raise InterruptedError(call.name)

    with torch.no_grad():
        plain = model(**inputs)[0]
        with pytest.raises(InterruptedError, match=r"transformer_blocks\.0\.attn"):  # noqa: SIM117
            with AttentionTap(model, attention_modules(model), stop):
                model(**inputs)
        q = rand(1, 1, 3, 4)
        F.scaled_dot_product_attention(q, q, q)  # nothing intercepts it any more
        assert torch.equal(model(**inputs)[0], plain)


class Masked(nn.Module):
    """Attention as a user's own module may call it."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, **options: Any) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, k, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"attn_mask": torch.tensor([[True, True, False, True]])},
        {"attn_mask": rand(1, 4, 3, 4, seed=5)},
        {"is_causal": True},
        {"scale": 0.3},
    ],
)
def test_masks_scale_and_shared_heads_are_in_the_probabilities(options: dict[str, Any]) -> None:
    model = nn.Sequential(Masked())
    kept: list[AttentionCall] = []
    q, k = rand(1, 4, 3, 8), rand(1, 2, 4, 8, seed=1)
    with AttentionTap(model, ["0"], kept.append):
        out = model[0](q, k, enable_gqa=True, **options)
    value = k.repeat_interleave(2, 1)
    torch.testing.assert_close(kept[0].probabilities() @ value, out, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        kept[0].probabilities(slice(1, 3)) @ value, out[:, :, 1:], atol=1e-6, rtol=1e-5
    )


def test_bad_input_is_named() -> None:
    model, inputs = make("unet")
    with pytest.raises(ValueError, match="modules must name at least one module"):
        AttentionTap(model, [], lambda call: None)
    with pytest.raises(ValueError, match=r"no 'mid_block.attn'; its attention modules are down_blocks\.1"):
        AttentionTap(model, ["mid_block.attn"], lambda call: None)
    names = attention_modules(model)
    with (
        pytest.raises(ValueError, match=r"replaced query of 'down_blocks.*must keep its shape"),
        AttentionTap(model, names, lambda c: (c.query[:, :, 1:], c.key, c.value)),
    ):
        model(**inputs)
    with (
        pytest.raises(ValueError, match="replaced keys and values of .* number of tokens; got"),
        AttentionTap(model, names, lambda c: (c.query, c.key[:, :, 1:], c.value)),
    ):
        model(**inputs)
    tap = AttentionTap(model, names, lambda call: None)
    with tap, pytest.raises(RuntimeError, match="installed already"):
        tap.__enter__()
    model.set_attn_processor(AttnProcessor())
    with tap, pytest.raises(RuntimeError, match="ran without scaled_dot_product_attention"):
        model(**inputs)
    masked = nn.Sequential(Masked())
    longer = AttentionTap(
        masked, ["0"], lambda c: (c.query, c.key.repeat(1, 1, 2, 1), c.value.repeat(1, 1, 2, 1))
    )
    with longer, pytest.raises(ValueError, match="is masked: replaced keys must keep"):
        masked[0](rand(1, 1, 3, 4), rand(1, 1, 3, 4), attn_mask=torch.ones(3, 3, dtype=torch.bool))
