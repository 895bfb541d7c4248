"""What the tests of the Triton kernels compute in other processes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sillok.methods.attention import sage
from sillok.methods.attention.metrics import exact_attention
from sillok.methods.attention.quantize import quantize_int8


@dataclass(frozen=True)
class Case:
    """Shapes and options of one comparison; ``mask`` is "", "bool" or "float"."""

    heads: int = 1
    shared: int = 1
    queries: int = 192
    keys: int = 192
    width: int = 64
    values: int = 0
    dtype: torch.dtype = torch.float16
    mask: str = ""
    strided: bool = False
    options: dict[str, Any] = field(default_factory=dict)


CASES = {
    "spec": Case(),
    "causal": Case(options={"is_causal": True}),
    "grouped": Case(heads=4, shared=2, options={"enable_gqa": True, "is_causal": True}),
    "ragged": Case(heads=2, shared=2, queries=77, keys=150),
    "ragged causal": Case(heads=2, shared=2, queries=130, keys=70, options={"is_causal": True}),
    "padded width": Case(heads=2, shared=2, width=96),
    "wide": Case(queries=70, keys=70, width=160),
    "narrow values": Case(width=64, values=24, keys=100),
    "plain": Case(options={"smooth_k": False}),
    "token": Case(options={"qk_group": "token"}, queries=100, keys=100),
    "tensor": Case(options={"qk_group": "tensor"}, queries=300, keys=300),
    "int8": Case(heads=2, shared=1, options={"pv": "int8", "enable_gqa": True}, keys=100, width=96),
    "bool mask": Case(heads=2, shared=2, mask="bool", keys=150),
    "float mask": Case(heads=2, shared=2, mask="float", keys=150),
    "bfloat16": Case(dtype=torch.bfloat16),
    "float32": Case(dtype=torch.float32, options={"scale": 0.3}),
    "strided": Case(heads=2, shared=2, strided=True),
}


def inputs(case: Case) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
    """q, k, v and the options of a case; keys have a mean that is not zero."""
    generator = torch.Generator().manual_seed(len(str(case)))

    def draw(heads: int, tokens: int, width: int) -> Tensor:
        if case.strided:  # as a model makes them: tokens before heads
            return torch.randn((1, tokens, heads, width), generator=generator).transpose(1, 2).to(case.dtype)
        return torch.randn((1, heads, tokens, width), generator=generator).to(case.dtype)

    q = draw(case.heads, case.queries, case.width)
    k = draw(case.shared, case.keys, case.width) + 2
    v = draw(case.shared, case.keys, case.values or case.width)
    options = dict(case.options)
    if case.mask == "bool":
        options["attn_mask"] = torch.rand((1, 1, case.queries, case.keys), generator=generator) > 0.4
        options["attn_mask"][..., 5, :] = False
    elif case.mask == "float":
        options["attn_mask"] = torch.randn((case.heads, case.queries, case.keys), generator=generator)
    return q, k, v, options


def attention() -> dict[str, Tensor]:
    """Both backends and the exact output, for every case."""
    out = {}
    for name, case in CASES.items():
        q, k, v, options = inputs(case)
        for backend in ("torch", "triton"):
            found = sage.int8_attention(q, k, v, **options, return_lse=True, backend=backend)
            out[f"{name}/{backend}"], out[f"{name}/{backend}/lse"] = found
        host = {key: x for key, x in options.items() if key not in ("smooth_k", "qk_group", "pv")}
        out[f"{name}/exact"] = exact_attention(q, k, v, **host)
    q, _, v, _ = inputs(Case())
    constant = torch.full_like(q, 3.7)
    out["constant keys"] = sage.int8_attention(q, constant, v, backend="triton")
    out["constant values"] = v
    return out


def quantisers() -> dict[str, Tensor]:
    """Codes, scales and mean keys of both backends, even and ragged; and the kernel's two accumulators."""
    from sillok.methods.attention import sage_triton

    out: dict[str, Tensor] = {}
    for tokens, width in ((192, 64), (150, 96), (1100, 32)):
        generator = torch.Generator().manual_seed(tokens)
        x = (torch.randn((1, 2, tokens, width), generator=generator) + 3).half()
        x[:, 1, 64:128] = 0  # with a mean this is no block of zeros, without it is
        mean = sage_triton.key_mean(x)
        out[f"{tokens}/mean/triton"], out[f"{tokens}/mean/torch"] = mean, sage.key_mean(x)
        for group in ("block", "token", "tensor"):
            for label, options in (
                ("keys", {"mean": mean, "block": 64}),
                ("queries", {"scale": 0.125 * math.log2(math.e), "block": 128}),
                ("zeros", {"block": 64}),
            ):
                for backend, quantize in (("torch", quantize_int8), ("triton", sage_triton.quantize)):
                    codes, scales = quantize(x, group=group, **options)
                    out[f"{tokens}/{group}/{label}/{backend}/codes"] = codes
                    out[f"{tokens}/{group}/{label}/{backend}/scales"] = scales
    return out | _accumulators()


def _accumulators() -> dict[str, Tensor]:
    """The kernel with float32 and with float16 accumulators."""
    from sillok.methods.attention import sage_triton

    q, k, v, _ = inputs(Case())
    mean = sage_triton.key_mean(k)
    return {
        f"float16 accumulators {acc16}": sage_triton.attend(
            q, k, v, mean, None, False, 0.125, "block", "fp16", acc16
        )[0]
        for acc16 in (False, True)
    }


POINTERS = {
    "*i8": ("Q", "K", "Codes"),
    "*fp16": ("V", "Out", "X"),
    "*fp32": ("QS", "KS", "VS", "Mask", "Lse", "Part", "Mean", "Scales"),
}
SIZES = ("vb", "vh", "vn", "mb", "ob", "oh", "om", "sb", "sh", "sn", "D", "DV", "M", "N")


def compiled() -> dict[str, Tensor]:
    """Compile the kernels for Hopper and Ada, without a GPU; the PTX as bytes."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from sillok.methods.attention import sage_triton as kernels

    def ptx(kernel: Any, constants: dict[str, Any], capability: int, warps: int, stages: int) -> Tensor:
        names = kernel.arg_names
        types = {name: kind for kind, group in POINTERS.items() for name in group}
        types |= {"K": "*fp16"} if kernel is kernels._mean_kernel else {}
        types |= {"V": "*i8"} if constants.get("PV8") else {}
        signature = {
            name: "constexpr" if name in constants else "fp32" if name == "factor" else types.get(name, "i32")
            for name in names
        }
        aligned = [n for n in names if n not in constants and (n in types or n in SIZES)]
        source = ASTSource(
            fn=kernel,
            signature=signature,
            constexprs={(names.index(name),): value for name, value in constants.items()},
            attrs={(names.index(name),): [["tt.divisibility", 16]] for name in aligned},
        )
        options = {"num_warps": warps, "num_stages": stages}
        made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
        text = re.sub(r"(?m)^\s*//.*$", "", made.asm["ptx"])
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def loop(width: int, capability: int, **more: Any) -> Tensor:
        m, n, warps, stages = kernels.TILES[width]
        constants = {"Q_GROUP": 128, "K_GROUP": 64, "BLOCK_M": m, "BLOCK_N": n, "BLOCK_D": width}
        constants |= {"BLOCK_DV": width, "CAUSAL": True, "MASK": 0, "PV8": False, "ACC16": False}
        constants |= {"vn" if more.get("PV8") else "vd": 1, "od": 1} | more  # codes of v: tokens last
        return ptx(kernels._attention_kernel, constants, capability, warps, stages)

    block = {"BLOCK": 128, "BLOCK_D": 64, "TOKEN": False, "SMOOTH": True, "sd": 1}
    return {
        "hopper 64": loop(64, 90),
        "hopper 128": loop(128, 90),
        "hopper int8": loop(64, 90, PV8=True),
        "hopper mask": loop(64, 90, MASK=2, CAUSAL=False),
        "ada float16": loop(64, 89, ACC16=True),
        "mean": ptx(kernels._mean_kernel, {"ROWS": 1024, "STEP": 64, "BLOCK_D": 64, "sd": 1}, 90, 4, 3),
        "quantize": ptx(kernels._quantize_kernel, block, 90, 4, 3),
    }
