"""Symmetric INT8 quantisation with one scale a block of tokens, a token, or a head."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Float32, Int8
from torch import Tensor

Group = Literal["block", "token", "tensor"]

GROUPS: tuple[Group, ...] = ("block", "token", "tensor")
LIMIT = 127  # symmetric: -128 is never used


def group_size(group: Group, block: int, tokens: int) -> int:
    """How many neighbouring tokens share a scale.

    Raises:
        ValueError: an unknown group, or a block below 1.
    """
    if group not in GROUPS:
        raise ValueError(f"group must be one of {', '.join(GROUPS)}, not {group!r}")
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise ValueError(f"block must be a whole number of at least 1, not {block!r}")
    return {"block": block, "token": 1, "tensor": max(1, tokens)}[group]


def quantize_int8(
    x: Float[Tensor, "*batch tokens width"],
    *,
    group: Group,
    block: int = 128,
    mean: Float[Tensor, ...] | None = None,
    scale: float = 1.0,
) -> tuple[Int8[Tensor, "*batch tokens width"], Float32[Tensor, "*batch groups"]]:
    """Codes and scales of ``(x - mean) * scale``: a scale is the group's largest magnitude over 127.

    Args:
        x: (..., N, D), any floating dtype; the arithmetic is float32.
        group: "block" (``block`` neighbouring tokens share a scale), "token", or "tensor" (all N tokens of a
            head do).
        block: tokens of a block; the last one may be shorter, and what is not there has no say in its scale.
        mean: subtracted first; broadcastable to x, usually (..., 1, D).
        scale: a number that multiplies what is quantised, such as the softmax scale.

    Returns:
        int8 codes (..., N, D) in [-127, 127], and float32 scales (..., G) with G the number of groups:
        ``code * scale of its group`` is within half a scale of the input. A group of zeros has scale 0.
        Halves are rounded away from zero.

    Raises:
        ValueError: x has fewer than two axes or no floating dtype, or a bad group or block.

    Reference:
        arXiv 2410.02367, section 4.3 (symmetric, a scale a block or a token).
    """
    if x.ndim < 2 or not x.is_floating_point():
        raise ValueError(f"x must be floating with shape (..., N, D), not {x.dtype} {tuple(x.shape)}")
    tokens = x.shape[-2]
    size = group_size(group, block, tokens)
    moved = x.float()
    if mean is not None:
        moved = moved - mean.float()
    if scale != 1.0:
        moved = moved * scale
    groups = -(-tokens // size)
    peak = torch.nn.functional.pad(moved.abs().amax(-1), (0, groups * size - tokens))
    scales = peak.unflatten(-1, (groups, size)).amax(-1) / LIMIT if tokens else peak
    steps = per_token(scales, size, tokens)[..., None]
    steps = torch.where(steps > 0, steps, torch.ones_like(steps))  # zeros stay zeros, without 0 / 0
    ratio = moved / steps
    codes = (ratio + torch.where(ratio >= 0, 0.5, -0.5)).to(torch.int8)  # the cast truncates
    return codes, scales


def per_token(
    scales: Float32[Tensor, "*batch groups"], size: int, tokens: int
) -> Float32[Tensor, "*batch {tokens}"]:
    """Scales (..., G) of groups of ``size`` tokens, repeated to (..., N)."""
    return scales.repeat_interleave(size, -1)[..., :tokens]


def dequantize_int8(
    codes: Int8[Tensor, "*batch tokens width"],
    scales: Float32[Tensor, "*batch groups"],
    *,
    group: Group,
    block: int = 128,
) -> Float32[Tensor, "*batch tokens width"]:
    """What the codes stand for, float32 (..., N, D): the inverse of `quantize_int8` up to half a scale."""
    tokens = codes.shape[-2]
    return codes.float() * per_token(scales, group_size(group, block, tokens), tokens)[..., None]
