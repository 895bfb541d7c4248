"""Attention kernels, masks and token reduction: host `scaled_dot_product_attention`, Triton."""

from sillok.methods.attention.metrics import attention_error
from sillok.methods.attention.quantize import quantize_int8
from sillok.methods.attention.sage import calibrate_pv, int8_attention, register, use_int8_attention

__all__ = [
    "attention_error",
    "calibrate_pv",
    "int8_attention",
    "quantize_int8",
    "register",
    "use_int8_attention",
]
