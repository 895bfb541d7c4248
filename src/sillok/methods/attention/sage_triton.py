"""Triton kernels of INT8 attention: key mean, quantisation, and the attention loop.

Import it only where Triton is installed. ``TRITON_INTERPRET=1``, set before Triton is imported, runs the kernels
on CPU tensors.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from sillok.methods.attention.quantize import LIMIT, Group, group_size, quantize_int8

Q_BLOCK, K_BLOCK = 128, 64  # tokens that share a scale
MEAN_ROWS, MEAN_STEP = 1024, 64  # tokens that one program sums, and at a time

# head dimension, rounded up -> BLOCK_M, BLOCK_N, warps, stages. A table and no autotuning: the interpreter has none.
TILES = {32: (128, 64, 4, 3), 64: (128, 64, 4, 3), 128: (128, 64, 8, 3), 256: (64, 32, 8, 2)}
# Compute capabilities whose units run float16 accumulators at twice the speed of float32 ones (GeForce, Ada).
FAST_FP16_ACCUMULATORS = {(8, 6), (8, 9), (12, 0)}


@triton.jit
def _mean_kernel(
    K, Part, sb, sh, sn, sd, H, N, D, ROWS: tl.constexpr, STEP: tl.constexpr, BLOCK_D: tl.constexpr
):
    """Sum ROWS keys of one head into Part (B * H, programs, D), float32."""
    part, head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    base = K + (head // H) * sb + (head % H) * sh
    acc = tl.zeros([STEP, BLOCK_D], dtype=tl.float32)
    for start in range(0, ROWS, STEP):
        n = part * ROWS + start + tl.arange(0, STEP)
        inside = (n[:, None] < N) & (d[None, :] < D)
        acc += tl.load(base + n[:, None] * sn + d[None, :] * sd, mask=inside, other=0.0).to(tl.float32)
    out = Part + (head * tl.num_programs(0) + part) * D + d
    tl.store(out, tl.sum(acc, 0), mask=d < D)


@triton.jit
def _quantize_kernel(
    X, Mean, Codes, Scales, sb, sh, sn, sd, H, N, D, factor,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, TOKEN: tl.constexpr, SMOOTH: tl.constexpr,
):  # fmt: skip
    """Codes (B * H, N, D) and scales of one block of one head; see `quantize_int8`."""
    block, head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n, d = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, BLOCK_D)
    inside = (n[:, None] < N) & (d[None, :] < D)
    base = X + (head // H) * sb + (head % H) * sh
    x = tl.load(base + n[:, None] * sn + d[None, :] * sd, mask=inside, other=0.0).to(tl.float32)
    if SMOOTH:
        x = x - tl.load(Mean + head * D + d, mask=d < D, other=0.0)[None, :]
    x = tl.where(inside, x * factor, 0.0)  # what is not there has no say in the scale
    if TOKEN:
        scale = tl.math.div_rn(tl.max(tl.abs(x), 1), 127.0)
        tl.store(Scales + head * N + n, scale, mask=n < N)
        step = tl.where(scale > 0, scale, 1.0)[:, None]
    else:
        scale = tl.math.div_rn(tl.max(tl.abs(x)), 127.0)
        tl.store(Scales + head * tl.num_programs(0) + block, scale)
        step = tl.where(scale > 0, scale, 1.0)
    ratio = tl.math.div_rn(x, tl.zeros_like(x) + step)
    codes = (ratio + tl.where(ratio >= 0, 0.5, -0.5)).to(tl.int8)
    tl.store(Codes + (head * N + n[:, None]) * D + d[None, :], codes, mask=inside)


@triton.jit
def _inner(
    acc, total, top, q, q_scale, K, KS, V, Mask, n, rows, d, dv, lo, hi, N, D, DV,
    vn, vd, mm, mn, K_GROUP: tl.constexpr, BLOCK_N: tl.constexpr, EDGE: tl.constexpr,
    CAUSAL: tl.constexpr, MASK: tl.constexpr, PV8: tl.constexpr, ACC16: tl.constexpr, M,
):  # fmt: skip
    """The keys from lo to hi; EDGE where some of them may be out of sight for some queries."""
    for start in range(lo, hi, BLOCK_N):
        cols = start + n
        k = tl.load(K + cols[None, :] * D + d[:, None], mask=(cols[None, :] < N) & (d[:, None] < D), other=0)
        if K_GROUP % BLOCK_N == 0:
            steps = q_scale * tl.load(KS + start // K_GROUP)
        else:
            steps = q_scale * tl.load(KS + cols // K_GROUP, mask=cols < N, other=0.0)[None, :]
        s = tl.dot(q, k, out_dtype=tl.int32).to(tl.float32) * steps
        if EDGE:
            seen = cols[None, :] < N
            if CAUSAL:
                seen = seen & (rows[:, None] >= cols[None, :])
            if MASK > 0:
                where = Mask + rows[:, None].to(tl.int64) * mm + cols[None, :] * mn
                there = (rows[:, None] < M) & (cols[None, :] < N)
                if MASK == 1:
                    seen = seen & (tl.load(where, mask=there, other=0) != 0)
                else:
                    s += tl.load(where, mask=there, other=0.0).to(tl.float32) * 1.4426950408889634
            s = tl.where(seen, s, float("-inf"))
        highest = tl.maximum(top, tl.max(s, 1))
        base = tl.where(highest == float("-inf"), 0.0, highest) if EDGE else highest
        p = tl.math.exp2(s - base[:, None])
        decay = tl.math.exp2(top - base)
        total = total * decay + tl.sum(p, 1)
        acc = acc * decay[:, None]
        inside = (cols[:, None] < N) & (dv[None, :] < DV)
        v = tl.load(V + cols[:, None].to(tl.int64) * vn + dv[None, :] * vd, mask=inside, other=0)
        if PV8:
            codes = (p * 127.0 + 0.5).to(tl.int8)
            acc += tl.dot(codes, v, out_dtype=tl.int32).to(tl.float32)
        elif ACC16:
            acc += tl.dot(p.to(tl.float16), v.to(tl.float16), out_dtype=tl.float16).to(tl.float32)
        else:
            acc = tl.dot(p.to(tl.float16), v.to(tl.float16), acc)
        top = highest
    return acc, total, top


@triton.jit
def _attention_kernel(
    Q, K, V, QS, KS, VS, Mask, Out, Lse, vb, vh, vn, vd, mb, mh, mm, mn, ob, oh, om, od,
    H, HKV, M, N, D, DV, GQ, GK, Q_GROUP: tl.constexpr, K_GROUP: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    CAUSAL: tl.constexpr, MASK: tl.constexpr, PV8: tl.constexpr, ACC16: tl.constexpr,
):  # fmt: skip
    """BLOCK_M queries of one head against its keys; GQ, GK are the numbers of scales a head."""
    block, head = tl.program_id(0), tl.program_id(1).to(tl.int64)
    batch, h = head // H, head % H
    kv = batch * HKV + h // (H // HKV)
    rows, n = block * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N)
    d, dv = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_DV)
    there = (rows[:, None] < M) & (d[None, :] < D)
    q = tl.load(Q + (head * M + rows[:, None]) * D + d[None, :], mask=there, other=0)
    if Q_GROUP % BLOCK_M == 0:
        q_scale = tl.load(QS + head * GQ + block * BLOCK_M // Q_GROUP)
    else:
        q_scale = tl.load(QS + head * GQ + rows // Q_GROUP, mask=rows < M, other=0.0)[:, None]
    keys, steps = K + kv * N * D, KS + kv * GK
    values = V + batch * vb + (h // (H // HKV)) * vh
    mask = Mask + batch * mb + h * mh
    acc = tl.zeros([BLOCK_M, BLOCK_DV], dtype=tl.float32)
    total = tl.zeros([BLOCK_M], dtype=tl.float32)
    top = tl.zeros([BLOCK_M], dtype=tl.float32) - float("inf")
    hi = N
    whole = N // BLOCK_N * BLOCK_N  # blocks that nothing hides need no comparison
    if CAUSAL:
        hi = tl.minimum(N, (block + 1) * BLOCK_M)
        whole = tl.minimum(whole, block * BLOCK_M // BLOCK_N * BLOCK_N)
    if MASK > 0:
        whole = 0
    if MASK == 0:
        acc, total, top = _inner(
            acc, total, top, q, q_scale, keys, steps, values, mask, n, rows, d, dv, 0, whole, N, D, DV,
            vn, vd, mm, mn, K_GROUP, BLOCK_N, False, CAUSAL, MASK, PV8, ACC16, M,
        )  # fmt: skip
    acc, total, top = _inner(
        acc, total, top, q, q_scale, keys, steps, values, mask, n, rows, d, dv, whole, hi, N, D, DV,
        vn, vd, mm, mn, K_GROUP, BLOCK_N, True, CAUSAL, MASK, PV8, ACC16, M,
    )  # fmt: skip
    acc = acc / tl.where(total > 0, total, 1.0)[:, None]
    if PV8:
        acc = acc * tl.load(VS + kv * DV + dv, mask=dv < DV, other=0.0)[None, :]
    out = Out + batch * ob + h * oh + rows[:, None].to(tl.int64) * om + dv[None, :] * od
    tl.store(out, acc.to(Out.dtype.element_ty), mask=(rows[:, None] < M) & (dv[None, :] < DV))
    lse = tl.where(total > 0, (top + tl.log2(tl.where(total > 0, total, 1.0))), float("-inf"))
    tl.store(Lse + head * M + rows, lse * 0.6931471805599453, mask=rows < M)


INTERPRETED = not isinstance(_attention_kernel, triton.runtime.JITFunction)


def _width(size: int) -> int:
    return max(32, triton.next_power_of_2(size))  # an 8-bit product takes 32 at a time


def _readable(x: Tensor) -> Tensor:
    """The interpreter is NumPy, which has no bfloat16."""
    return x.float() if INTERPRETED and x.dtype == torch.bfloat16 else x


def key_mean(k: Tensor) -> Tensor:
    """Mean of the keys over tokens, per head: (B, H, N, D) -> float32 (B, H, 1, D)."""
    k = _readable(k)
    b, h, n, d = k.shape
    programs = triton.cdiv(n, MEAN_ROWS)
    parts = torch.empty((b * h, programs, d), dtype=torch.float32, device=k.device)
    with torch.cuda.device_of(k):  # Triton launches on the current device
        _mean_kernel[(programs, b * h)](
            k, parts, *k.stride(), h, n, d, ROWS=MEAN_ROWS, STEP=MEAN_STEP, BLOCK_D=_width(d), num_warps=4
        )
    return (parts.sum(1) / n).view(b, h, 1, d)


def quantize(x: Tensor, *, group: Group, block: int, mean: Tensor | None = None, scale: float = 1.0) -> Any:
    """`quantize_int8` of (B, H, N, D) in one kernel; the same codes and scales."""
    x = _readable(x)
    b, h, n, d = x.shape
    if group == "tensor" or not n:
        codes, scales = quantize_int8(x, group=group, block=block, mean=mean, scale=scale)
        return codes.contiguous(), scales.contiguous()
    programs = triton.cdiv(n, block)
    codes = torch.empty((b, h, n, d), dtype=torch.int8, device=x.device)
    scales = torch.empty((b, h, n if group == "token" else programs), dtype=torch.float32, device=x.device)
    with torch.cuda.device_of(x):
        _quantize_kernel[(programs, b * h)](
            x, x if mean is None else mean, codes, scales, *x.stride(), h, n, d, float(scale),
            BLOCK=block, BLOCK_D=_width(d), TOKEN=group == "token", SMOOTH=mean is not None,
            num_warps=4 if block * _width(d) <= 8192 else 8,
        )  # fmt: skip
    return codes, scales


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mean: Tensor | None,
    mask: Tensor | None,
    is_causal: bool,
    scale: float,
    group: Group,
    pv: str,
    acc16: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Output and natural log-sum-exp of INT8 attention; arguments as `int8_attention` has prepared them.

    ``acc16``: float16 accumulators for probabilities times values; by default where the GPU is faster so.
    """
    (b, h, m, d), (hkv, n), dv = q.shape, k.shape[1:3], v.shape[3]
    q_codes, q_scales = quantize(q, group=group, block=Q_BLOCK, scale=scale * math.log2(math.e))
    k_codes, k_scales = quantize(k, group=group, block=K_BLOCK, mean=mean)
    v_scales = q_scales
    if pv == "int8":
        codes, v_scales = quantize_int8(v.mT, group="token")  # stored with tokens last, as 8-bit units want
        v, v_scales = codes.contiguous().mT, (v_scales / LIMIT).contiguous()
    else:
        v = _readable(v)
    if acc16 is None:
        acc16 = q.is_cuda and torch.cuda.get_device_capability(q.device) in FAST_FP16_ACCUMULATORS
    out = torch.empty((b, h, m, dv), dtype=_readable(q).dtype, device=q.device)
    lse = torch.empty((b, h, m), dtype=torch.float32, device=q.device)
    if mask is None:
        kind, seen, strides = 0, q_scales, (0, 0, 0, 0)
    elif mask.dtype == torch.bool:
        kind, seen, strides = 1, mask.view(torch.uint8), mask.stride()
    else:
        kind, seen, strides = 2, _readable(mask), _readable(mask).stride()
    block_m, block_n, warps, stages = TILES[_width(max(d, dv))]
    with torch.cuda.device_of(q):
        _attention_kernel[(triton.cdiv(m, block_m), b * h)](
            q_codes, k_codes, v, q_scales, k_scales, v_scales, seen, out, lse,
            *v.stride(), *strides, *out.stride(), h, hkv, m, n, d, dv, q_scales.shape[-1], k_scales.shape[-1],
            Q_GROUP=_shared(group, Q_BLOCK, m), K_GROUP=_shared(group, K_BLOCK, n),
            BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_D=_width(d), BLOCK_DV=_width(dv),
            CAUSAL=is_causal, MASK=kind, PV8=pv == "int8", ACC16=acc16, num_warps=warps, num_stages=stages,
        )  # fmt: skip
    return out.to(q.dtype), lse


def _shared(group: Group, block: int, tokens: int) -> int:
    """Tokens of a group, rounded up to a power of two so that a new length compiles nothing new."""
    size = group_size(group, block, tokens)
    return int(triton.next_power_of_2(max(256, size))) if group == "tensor" else size
