"""SageAttention (arXiv 2410.02367): attention with an INT8 product of queries and smoothed keys."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from sillok.methods.attention.metrics import attention_error
from sillok.methods.attention.quantize import (
    GROUPS,
    LIMIT,
    Group,
    group_size,
    per_token,
    quantize_int8,
)
from sillok.methods.attention.register import register_diffusers, register_transformers
from sillok.methods.attention.sdpa import SDPACall, replace_sdpa

__all__ = [
    "attention_error",
    "calibrate_pv",
    "int8_attention",
    "quantize_int8",
    "register",
    "use_int8_attention",
]

PV = Literal["fp16", "int8"]
Backend = Literal["auto", "torch", "triton"]

Q_BLOCK, K_BLOCK = 128, 64  # tokens that share a scale, and the step of the loop over keys
LOG2E = math.log2(math.e)


def key_mean(k: Float[Tensor, "batch heads tokens width"]) -> Float32[Tensor, "batch heads 1 width"]:
    """Mean of the keys over tokens, per head: (B, H, N, D) -> float32 (B, H, 1, D)."""
    return k.float().mean(-2, keepdim=True)


def int8_attention(
    q: Float[Tensor, "batch heads queries width"],
    k: Float[Tensor, "batch shared keys width"],
    v: Float[Tensor, "batch shared keys channels"],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    smooth_k: bool = True,
    qk_group: Group = "block",
    pv: PV = "fp16",
    return_lse: bool = False,
    backend: Backend = "auto",
) -> (
    Float[Tensor, "batch heads queries channels"]
    | tuple[Float[Tensor, "batch heads queries channels"], Float32[Tensor, "batch heads queries"]]
):
    """`scaled_dot_product_attention` for inference, with INT8 queries and keys.

    Args:
        q: (B, H, N, D), floating.
        k, v: (B, H, M, D), or (B, Hkv, M, D) with ``enable_gqa``; v may have another D.
        attn_mask: broadcastable to (B, H, N, M); boolean (True takes part) or added to the scaled scores.
        dropout_p: only 0.
        is_causal: query i sees the keys 0..i, whatever N and M are.
        scale: of the scores; 1/sqrt(D) by default.
        enable_gqa: H may be a multiple of Hkv; neighbouring query heads share a key head.
        smooth_k: subtract each head's mean key first: scores of a query move together, softmax stays.
        qk_group: tokens that share a scale: "block" (128 queries, 64 keys), "token", or "tensor".
        pv: "fp16" keeps probabilities and values in float16; "int8" quantises both, probabilities with the
            fixed scale 1/127 and values per channel (vB, vT).
        return_lse: return the natural logarithm of the sum of exponentials too.
        backend: "triton" needs a GPU (or ``TRITON_INTERPRET=1``); "torch" is the same arithmetic anywhere, for
            accuracy and not for speed; "auto" takes triton for CUDA tensors where Triton is installed.

    Returns:
        (B, H, N, Dv) in q's dtype, and with ``return_lse`` float32 (B, H, N). A query that may see no key
        gives zeros and a log-sum-exp of minus infinity.

    Raises:
        ValueError: shapes, devices or options that do not fit, dropout, an input that wants a gradient.

    Reference:
        J. Zhang, J. Wei, P. Zhang, J. Zhu, J. Chen, "SageAttention: Accurate 8-Bit Attention for Plug-and-play
        Inference Acceleration", arXiv 2410.02367, sections 4.2 to 4.5.

    Differs from the paper:
        The Triton kernel accumulates probabilities times values in float32 where float16 accumulators bring
        nothing (Hopper); the torch backend rounds each block's product to float16, as they would.
        Codes are quantised by a pass of their own, not fused with the rotary embedding before it.
        Values beyond 65,504 (and block sums beyond it, with float16 accumulators) overflow.
    """
    _check(q, k, v, attn_mask, dropout_p, is_causal, enable_gqa)
    if qk_group not in GROUPS:
        raise ValueError(f"qk_group must be one of {', '.join(GROUPS)}, not {qk_group!r}")
    if pv not in ("fp16", "int8"):
        raise ValueError(f"pv must be 'fp16' or 'int8', not {pv!r}")
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    use_triton = _choose(backend, q, v) == "triton"
    with torch.no_grad():
        if attn_mask is not None:
            attn_mask = attn_mask.expand(*q.shape[:3], k.shape[2])
        if use_triton:
            from sillok.methods.attention import sage_triton as kernels

            mean = kernels.key_mean(k) if smooth_k else None
            out, lse = kernels.attend(q, k, v, mean, attn_mask, is_causal, scale, qk_group, pv)
        else:
            mean = key_mean(k) if smooth_k else None
            out, lse = _attend(q, k, v, mean, attn_mask, is_causal, scale, qk_group, pv)
        if return_lse and mean is not None:  # the mean took scale q.mean from all scores of a query
            grouped = q.float().unflatten(1, (k.shape[1], -1))
            lse = lse + scale * (grouped @ mean[:, :, None].mT).flatten(1, 2).squeeze(-1)
    return (out, lse) if return_lse else out


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    enable_gqa: bool,
) -> None:
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.ndim != 4 or not x.is_floating_point():
            raise ValueError(
                f"{name} must be floating with shape (B, H, N, D), not {x.dtype} {tuple(x.shape)}"
            )
        if x.device != q.device:
            raise ValueError(f"{name} is on {x.device}, and q on {q.device}")
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError(f"{name} wants a gradient, and there is none: call it under torch.no_grad()")
    if k.shape[:3] != v.shape[:3] or k.shape[0] != q.shape[0] or k.shape[3] != q.shape[3] or not k.shape[2]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (q, k, v))
        raise ValueError(f"q (B, H, N, D), k (B, H, M, D) and v (B, H, M, Dv) do not fit: {shapes}")
    heads, shared = q.shape[1], k.shape[1]
    if heads != shared and (not enable_gqa or shared == 0 or heads % shared):
        raise ValueError(
            f"q has {heads} heads and k {shared}: they must be equal, or a multiple with enable_gqa=True"
        )
    if dropout_p:
        raise ValueError(f"dropout_p must be 0, not {dropout_p!r}: this is attention for inference")
    if attn_mask is not None:
        if is_causal:
            raise ValueError("is_causal must be False where attn_mask is given")
        try:
            torch.broadcast_shapes(attn_mask.shape, (*q.shape[:3], k.shape[2]))
            fits = attn_mask.ndim <= 4
        except RuntimeError:
            fits = False
        if not fits or not (attn_mask.dtype == torch.bool or attn_mask.is_floating_point()):
            raise ValueError(
                f"attn_mask must be bool or floating and broadcast to {(*q.shape[:3], k.shape[2])}, "
                f"not {attn_mask.dtype} {tuple(attn_mask.shape)}"
            )


def _choose(backend: str, q: Tensor, v: Tensor) -> str:
    if backend not in ("auto", "torch", "triton"):
        raise ValueError(f"backend must be 'auto', 'torch' or 'triton', not {backend!r}")
    if backend == "torch":
        return "torch"
    fits = max(q.shape[-1], v.shape[-1]) <= 256
    installed = importlib.util.find_spec("triton") is not None
    if backend == "auto":
        ampere = q.is_cuda and torch.cuda.get_device_capability(q.device) >= (8, 0)
        return "triton" if ampere and installed and fits else "torch"
    if not installed:
        raise ValueError("backend 'triton' needs the package triton, which is not installed; use 'torch'")
    if not fits:
        raise ValueError(f"backend 'triton' takes head dimensions up to 256, not {q.shape[-1]}")
    from sillok.methods.attention import sage_triton

    if not q.is_cuda and not sage_triton.INTERPRETED:
        raise ValueError(
            f"backend 'triton' needs CUDA tensors, not {q.device} ones (or TRITON_INTERPRET=1 at start)"
        )
    return "triton"


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mean: Tensor | None,
    mask: Tensor | None,
    is_causal: bool,
    scale: float,
    group: Group,
    pv: PV,
) -> tuple[Tensor, Tensor]:
    """The loop of FlashAttention-2 over blocks of keys, all queries at once; output and natural log-sum-exp."""
    shared, rows, columns = k.shape[1], q.shape[2], k.shape[2]
    q_codes, q_scales = quantize_int8(q, group=group, block=Q_BLOCK, scale=scale * LOG2E)
    k_codes, k_scales = quantize_int8(k, group=group, block=K_BLOCK, mean=mean)
    # Integers up to 127 and sums of up to 1,040 of their products are exact in float32, TF32 or not.
    codes = q_codes.float().unflatten(1, (shared, -1))
    q_steps = per_token(q_scales, group_size(group, Q_BLOCK, rows), rows)
    q_steps = q_steps.unflatten(1, (shared, -1))[..., None]
    k_steps = per_token(k_scales, group_size(group, K_BLOCK, columns), columns)[:, :, None, None]
    values, v_steps = _values(v, pv)
    top = codes.new_full(codes.shape[:-1], -math.inf)
    total, acc = torch.zeros_like(top), codes.new_zeros((*codes.shape[:-1], v.shape[-1]))
    for start in range(0, columns, K_BLOCK):
        part = slice(start, min(columns, start + K_BLOCK))
        scores = codes @ k_codes[:, :, None, part].float().mT
        scores = scores * (q_steps * k_steps[..., part])
        if is_causal:
            seen = torch.arange(rows, device=q.device)[:, None] >= torch.arange(
                start, part.stop, device=q.device
            )
            scores = scores.masked_fill(~seen, -math.inf)
        if mask is not None:
            piece = mask[..., part].unflatten(1, (shared, -1))
            if mask.dtype == torch.bool:
                scores = scores.masked_fill(~piece, -math.inf)
            else:
                scores = scores + piece.float() * LOG2E
        highest = torch.maximum(top, scores.amax(-1))
        base = torch.where(highest == -math.inf, 0.0, highest)  # no key seen yet: exp2(-inf - 0) is 0
        p = torch.exp2(scores - base[..., None])
        decay = torch.exp2(top - base)
        total = total * decay + p.sum(-1)
        acc = acc * decay[..., None] + _product(p, values[:, :, None, part], pv)
        top = highest
    out = acc / total.clamp_min(torch.finfo(torch.float32).tiny)[..., None] * v_steps
    lse = (top + total.log2()) / LOG2E
    return out.flatten(1, 2).to(q.dtype), lse.flatten(1, 2)


def _values(v: Tensor, pv: PV) -> tuple[Tensor, Tensor | float]:
    """Values as they enter the product (float32 that holds float16 or codes), and what it is multiplied by."""
    if pv == "fp16":
        return v.half().float(), 1.0
    codes, scales = quantize_int8(v.mT, group="token")  # a token of the transpose is a channel
    return codes.mT.float(), scales[:, :, None, None] / LIMIT


def _product(p: Tensor, values: Tensor, pv: PV) -> Tensor:
    """Probabilities times values of one block, as the 16-bit or 8-bit units give it, in float32."""
    if pv == "fp16":
        return (p.half().float() @ values).half().float()
    return (p * LIMIT + 0.5).floor() @ values


def calibrate_pv(model: torch.nn.Module, batches: Iterable[Any], threshold: float = 0.998) -> dict[str, str]:
    """Choose, layer by layer, whether probabilities times values may be INT8 too (section 4.5).

    Args:
        model: any model whose attention goes through `scaled_dot_product_attention`.
        batches: inputs of the model: a mapping (keywords), a tuple or list (arguments), or one tensor.
        threshold: a layer takes "int8" if the cosine similarity to full precision exceeds it in every call,
            else "fp16".

    Returns:
        Name of the module that calls SDPA -> "int8" or "fp16", in order of the first call: what
        `use_int8_attention` takes as ``pv``.

    Raises:
        ValueError: a threshold outside [0, 1], no batch, or a model that never called SDPA.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], not {threshold!r}")
    worst: dict[str, float] = {}

    def compare(call: SDPACall, original: Callable[[], Tensor]) -> Tensor:
        exact = original()
        cosine = attention_error(call.run(int8_attention, pv="int8"), exact)["cosine"]
        worst[call.layer] = min(worst.get(call.layer, 1.0), cosine)
        return exact

    seen = 0
    with torch.no_grad(), replace_sdpa(compare, model):
        for batch in batches:
            seen += 1
            if isinstance(batch, Mapping):
                model(**batch)
            elif isinstance(batch, tuple | list):
                model(*batch)
            else:
                model(batch)
    if not seen:
        raise ValueError("batches must hold at least one batch, and it is empty")
    if not worst:
        raise ValueError(f"model {type(model).__name__} made no call of scaled_dot_product_attention")
    return {layer: "int8" if cosine > threshold else "fp16" for layer, cosine in worst.items()}


@contextmanager
def use_int8_attention(
    model: torch.nn.Module, pv: str | Mapping[str, str] = "fp16", **options: Any
) -> Iterator[None]:
    """Within the block, the model's calls of SDPA in this thread are INT8.

    Args:
        model: any model whose attention goes through `scaled_dot_product_attention`.
        pv: for all layers, or by layer as `calibrate_pv` gives it (a layer that it lacks takes "fp16").
        options: further keywords of `int8_attention`.
    """

    def handle(call: SDPACall, original: Callable[[], Tensor]) -> Tensor:
        chosen = pv if isinstance(pv, str) else pv.get(call.layer, "fp16")
        return call.run(int8_attention, pv=chosen, **options)

    with replace_sdpa(handle, model):
        yield


def register(name: str = "int8_sage", **options: Any) -> None:
    """Make `int8_attention` selectable by name in Transformers and Diffusers, whichever are installed.

    Then ``model.set_attn_implementation(name)`` (Transformers) or ``model.set_attention_backend(name)``
    (Diffusers) selects it.

    Args:
        name: small letters, digits and underscores; none of the host's own.
        options: keywords of `int8_attention` that it is called with.

    Raises:
        ValueError: a name that is taken or malformed, or ``return_lse`` among the options.
        ImportError: neither library is installed.
    """
    if options.get("return_lse"):
        raise ValueError("return_lse must be False: the hosts expect one tensor")

    def attention(*args: Any, **kwargs: Any) -> Tensor:
        out: Tensor = int8_attention(*args, **kwargs, **options)
        return out

    done = False
    for library, add in (("transformers", register_transformers), ("diffusers", register_diffusers)):
        if importlib.util.find_spec(library) is not None:
            add(name, attention)
            done = True
    if not done:
        raise ImportError("register needs Transformers or Diffusers: pip install 'sillok[attention]'")
