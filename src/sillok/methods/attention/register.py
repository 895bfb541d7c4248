"""Make an attention with SDPA's signature selectable by name in Transformers and in Diffusers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sillok.methods.attention.sdpa import Attention, SDPACall, replace_sdpa


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"name must be made of a-z, 0-9 and '_', not {name!r}")
    return name


def register_transformers(name: str, attention: Attention) -> None:
    """Add ``attention`` to Transformers: ``model.set_attn_implementation(name)`` selects it.

    Transformers' own function for SDPA prepares masks, grouped heads and caches; its one call of SDPA goes to
    ``attention``. Registering a name again replaces what it stood for.

    Raises:
        ValueError: a name that is no identifier in small letters, or one of Transformers' own.
        ImportError: Transformers is not installed.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    known = AttentionInterface._global_mapping.get(_checked(name))
    if known is not None and not hasattr(known, "sillok_attention"):
        raise ValueError(f"name {name!r} is one of Transformers' own implementations")

    def handle(call: SDPACall, original: Callable[[], Tensor]) -> Tensor:
        return call.run(attention)

    def forward(*args: Any, **kwargs: Any) -> tuple[Tensor, None]:
        with replace_sdpa(handle):
            out: tuple[Tensor, None] = sdpa_attention_forward(*args, **kwargs)
        return out

    forward.sillok_attention = attention  # type: ignore[attr-defined]
    AttentionInterface.register(name, forward)
    AttentionMaskInterface.register(name, sdpa_mask)  # without one, padding would be attended to


def register_diffusers(name: str, attention: Attention) -> None:
    """Add ``attention`` to Diffusers' dispatcher: ``model.set_attention_backend(name)`` selects it.

    The dispatcher's names are a closed enumeration without a hook, so a member is added to it. Models whose
    attention calls SDPA directly (`DiTTransformer2DModel` is one) have no dispatcher: see `replace_sdpa`.
    Registering a name again replaces what it stood for.

    Raises:
        ValueError: a name that is no identifier in small letters, or one of Diffusers' own.
        ImportError: Diffusers is not installed, or older than its dispatcher (0.35).
    """
    from diffusers.models import attention_dispatch as dispatch

    names, registry = dispatch.AttentionBackendName, dispatch._AttentionBackendRegistry
    label = "SILLOK_" + _checked(name).upper()
    if name in names._value2member_map_ and label not in names.__members__:
        raise ValueError(f"name {name!r} is one of Diffusers' own backends")
    if label not in names.__members__:
        member = str.__new__(names, name)
        member._name_, member._value_ = label, name
        names._member_map_[label] = names._value2member_map_[name] = member

    def backend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
        _parallel_config: Any = None,
    ) -> Tensor:
        """Diffusers keeps tokens before heads: (B, N, H, D)."""
        if _parallel_config is not None:
            raise ValueError(f"attention backend {name!r} does not support context parallelism")
        if attn_mask is not None and attn_mask.shape == (query.shape[0], key.shape[1]):
            attn_mask = attn_mask[:, None, None]
        q, k, v = (x.transpose(1, 2) for x in (query, key, value))
        out = attention(
            q, k, v, attn_mask, dropout_p, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
        return torch.Tensor.transpose(out, 1, 2)

    constraints = [dispatch._check_device, dispatch._check_shape]
    registry.register(names(name), constraints=constraints)(backend)
