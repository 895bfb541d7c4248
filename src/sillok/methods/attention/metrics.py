"""How far an attention's output lies from the exact one, and the exact one."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def attention_error(out: Float[Tensor, ...], ref: Float[Tensor, ...]) -> dict[str, float]:
    """Cosine similarity, relative L1 distance and root mean square error, over all elements, in float64.

    Args:
        out, ref: the same shape; ref is what out should be.

    Returns:
        ``cosine`` in [-1, 1]; ``relative_l1`` = sum |out - ref| / sum |ref|; ``rmse`` in the unit of ref.

    Raises:
        ValueError: the shapes differ or are empty, or ref is zero everywhere.
    """
    if out.shape != ref.shape or not ref.numel():
        raise ValueError(f"out and ref must share a shape, not {tuple(out.shape)} and {tuple(ref.shape)}")
    x, y = out.detach().double().flatten(), ref.detach().double().flatten()
    size, norms = y.abs().sum(), x.norm() * y.norm()
    if size == 0:
        raise ValueError("ref is zero everywhere: there is no relative error")
    return {
        "cosine": float(x @ y / norms) if norms else 0.0,
        "relative_l1": float((x - y).abs().sum() / size),
        "rmse": float((x - y).square().mean().sqrt()),
    }


def exact_attention(
    q: Float[Tensor, "*batch heads queries width"],
    k: Float[Tensor, "*batch shared keys width"],
    v: Float[Tensor, "*batch shared keys channels"],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Float64[Tensor, "*batch heads queries channels"]:
    """Attention in float64, written out: the reference that low precision is held to.

    Args:
        q, k, v, attn_mask, is_causal, scale, enable_gqa: as in
            `torch.nn.functional.scaled_dot_product_attention`; a query that may see nothing gives zeros.
        dropout_p: only 0.

    Returns:
        (B, H, N, D) float64.
    """
    if dropout_p:
        raise ValueError(f"dropout_p must be 0, not {dropout_p!r}")
    q, k, v = q.double(), k.double(), v.double()
    if enable_gqa:
        k, v = (x.repeat_interleave(q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    scores = q @ k.mT * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        else:
            scores = scores + attn_mask.double()
    return scores.softmax(-1).nan_to_num(0.0) @ v
