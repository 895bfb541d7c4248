"""Motion as attention and tracks show it: attention motion flow, its loss, spatial marginal means, fidelity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = ["amf_loss", "attention_motion_flow", "motion_fidelity", "smm_loss"]


def attention_motion_flow(
    q: Tensor,
    k: Tensor,
    *,
    frames: int,
    height: int,
    width: int,
    temperature: float = 2.0,
    hard: bool = False,
    text_tokens: int = 0,
) -> Tensor:
    """Where each patch of each frame looks in every other frame, as a displacement (AMF of arXiv 2412.07776).

    The scaled logits of the image tokens are averaged over heads, multiplied by ``temperature``, and turned
    into probabilities over the patches of one frame at a time.

    Args:
        q, k: (..., heads, N, D) queries and keys after norm and rotary embedding; N is ``text_tokens`` and then
            frames * height * width image tokens, frame by frame and row by row.
        frames, height, width: of the grid of patches.
        temperature: factor of the logits (an inverse temperature).
        hard: displacement to the likeliest patch, without gradient; else to the mean patch, with it.
        text_tokens: how many tokens stand before the image's; they are cut off.

    Returns:
        (..., F*F, H*W, 2) displacements (dx, dy) in patches, float32 at least; row i * F + j is frame i to j.

    Raises:
        ValueError: shapes that differ or do not hold the grid, or a temperature that is not positive.
    """
    grid = (frames, height, width)
    patches = height * width
    if q.shape != k.shape or q.ndim < 3:
        raise ValueError(
            f"q and k must have one shape (..., heads, N, D); got {tuple(q.shape)} and {tuple(k.shape)}"
        )
    if min(grid) < 1 or text_tokens < 0 or q.shape[-2] != text_tokens + frames * patches:
        raise ValueError(
            f"q must have {text_tokens} text tokens and {frames} x {height} x {width} image tokens; "
            f"got {q.shape[-2]} tokens"
        )
    if not temperature > 0:
        raise ValueError(f"temperature must be positive; got {temperature!r}")
    dtype = torch.promote_types(q.dtype, torch.float32)
    # One product over the concatenated heads is the sum over heads, and needs a matrix instead of one a head.
    rows, columns = (x[..., text_tokens:, :].to(dtype).transpose(-3, -2).flatten(-2) for x in (q, k))
    logits = rows @ columns.transpose(-1, -2) * (temperature * q.shape[-1] ** -0.5 / q.shape[-3])
    logits = logits.unflatten(-1, (frames, patches)).unflatten(-3, (frames, patches)).transpose(-3, -2)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()], -1).to(q.device, dtype)
    target = places[logits.argmax(-1)] if hard else logits.softmax(-1) @ places
    return (target - places).flatten(-4, -3)


def amf_loss(reference: Tensor, generated: Tensor, *, threshold: bool = True) -> Tensor:
    """Mean squared error between two attention motion flows where the reference moves.

    Args:
        reference, generated: (..., F*F, H*W, 2); no gradient goes into the reference.
        threshold: leave out the entries whose reference displacement is (0, 0).

    Returns:
        (...) the loss of each video; 0, with a gradient of 0, where nothing in the reference moves.

    Raises:
        ValueError: shapes that differ.
    """
    if reference.shape != generated.shape or reference.ndim < 3 or reference.shape[-1] != 2:
        raise ValueError(
            "reference and generated must have one shape (..., F*F, H*W, 2); "
            f"got {tuple(reference.shape)} and {tuple(generated.shape)}"
        )
    reference = reference.detach()
    error = (generated - reference).square().mean(-1)
    counted = (reference != 0).any(-1) if threshold else torch.ones_like(error, dtype=torch.bool)
    total = (error * counted).sum((-1, -2))
    return total / counted.sum((-1, -2)).clamp(min=1)


def smm_loss(reference: Tensor, generated: Tensor) -> Tensor:
    """Distance between how two videos' mean features change from frame to frame (spatial marginal mean).

    For every anchor frame the differences of all frames to it are compared, channel by channel, by the cosine
    along time; the anchor is each video's own.

    Args:
        reference, generated: (..., F, C) features of each frame, averaged over its patches.

    Returns:
        (...) one minus the mean cosine, in [0, 2].

    Raises:
        ValueError: shapes that differ, or fewer than two frames.

    Reference:
        D. Yatim et al., "Space-Time Diffusion Features for Zero-Shot Text-Driven Motion Transfer", arXiv
        2311.17009, in the form of a cosine that arXiv 2412.07776 compares with. Its published code subtracts
        the reference's anchor from the generated features too; here that is corrected.
    """
    if reference.shape != generated.shape or reference.ndim < 2 or reference.shape[-2] < 2:
        raise ValueError(
            "reference and generated must have one shape (..., F, C) with F >= 2; "
            f"got {tuple(reference.shape)} and {tuple(generated.shape)}"
        )
    a, b = (x.unsqueeze(-2) - x.unsqueeze(-3) for x in (reference.detach(), generated))  # (..., F, anchor, C)
    return 1 - F.cosine_similarity(a, b, dim=-3).mean((-1, -2))


def motion_fidelity(tracks_a: Any, tracks_b: Any, *, released: bool = False) -> float:
    """How well the tracks of two videos move alike, in [-1, 1].

    The likeness of two tracks is the mean cosine between their steps. Each track of one video is compared with
    the one most like it in the other, and both directions are averaged.

    Args:
        tracks_a, tracks_b: (N, T, 2) and (M, T, 2) points over time, in any unit of length.
        released: compute what the paper's published code does: the tracks of ``tracks_a`` (the generated
            video) alone look for their like, one is subtracted from the likeness of tracks of equal index (as
            if a video were compared with itself), and a point that stands still gives NaN.

    Returns:
        The fidelity. Two points that both stand still are alike (1), one that moves and one that does not are
        not (0).

    Raises:
        ValueError: no tracks, fewer than two times, other shapes, values that are not finite; with
            ``released`` also another number of tracks.

    Reference:
        D. Yatim et al., arXiv 2311.17009, section 4.2; arXiv 2412.07776 reports it.
    """
    a, b = (_steps(name, x) for name, x in (("tracks_a", tracks_a), ("tracks_b", tracks_b)))
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"tracks_a and tracks_b must have as many times; got {a.shape[1] + 1} and {b.shape[1] + 1}"
        )
    if released and len(a) != len(b):
        raise ValueError(f"released: the published code needs as many tracks; got {len(a)} and {len(b)}")
    lengths = [np.linalg.norm(x, axis=-1) for x in (a, b)]
    product = np.einsum("ntc,mtc->nmt", a, b)
    norm = lengths[0][:, None] * lengths[1][None]
    if released:
        with np.errstate(invalid="ignore", divide="ignore"):
            likeness = (product / norm).mean(-1) - np.eye(len(a))
        return float(likeness.max(1).mean())
    both_still = (lengths[0][:, None] == 0) & (lengths[1][None] == 0)
    cosine = np.where(both_still, 1.0, product / np.where(norm == 0, 1.0, norm))
    likeness = cosine.mean(-1)
    return float((likeness.max(1).mean() + likeness.max(0).mean()) / 2)


def _steps(name: str, tracks: Any) -> NDArray[np.float64]:
    points = np.asarray(tracks, np.float64)
    if points.ndim != 3 or points.shape[0] < 1 or points.shape[1] < 2 or points.shape[2] != 2:
        raise ValueError(f"{name} must have shape (N, T, 2) with N >= 1 and T >= 2; got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{name} must be finite; it has {int((~np.isfinite(points)).sum())} other values")
    return np.diff(points, axis=1)
