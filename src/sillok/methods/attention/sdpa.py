"""Watch or replace `scaled_dot_product_attention` inside any model, call by call.

`torch.overrides.TorchFunctionMode` sees the call itself, so no attribute of PyTorch is patched, and other threads
see nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Attention = Callable[..., Tensor]


@dataclass(frozen=True)
class SDPACall:
    """One call: the name of the innermost module around it (empty outside a model), and its arguments.

    q is (B, H, N, D), k and v (B, Hkv, M, D); ``options`` holds attn_mask, dropout_p, is_causal, scale and
    enable_gqa.
    """

    layer: str
    q: Tensor
    k: Tensor
    v: Tensor
    options: dict[str, Any]

    def run(self, attention: Attention, **more: Any) -> Tensor:
        """The output of an attention with SDPA's signature on this call's arguments."""
        return attention(self.q, self.k, self.v, **self.options, **more)


def _call(
    layer: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> SDPACall:
    options = {
        "attn_mask": attn_mask,
        "dropout_p": dropout_p,
        "is_causal": is_causal,
        "scale": scale,
        "enable_gqa": enable_gqa,
    }
    return SDPACall(layer, query, key, value, options)


class _Mode(TorchFunctionMode):
    def __init__(self, handle: Callable[[SDPACall, Callable[[], Tensor]], Tensor], stack: list[str]):
        super().__init__()
        self._handle, self._stack = handle, stack

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            layer = self._stack[-1] if self._stack else ""
            return self._handle(_call(layer, *args, **kwargs), lambda: func(*args, **kwargs))
        return func(*args, **kwargs)


@contextmanager
def _named(model: torch.nn.Module | None) -> Iterator[list[str]]:
    """The names of the modules that are running, outermost first."""
    stack: list[str] = []
    hooks = []
    for name, module in model.named_modules() if model is not None else ():
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: stack.append(name)))
        hooks.append(module.register_forward_hook(lambda *_: _pop(stack), always_call=True))
    try:
        yield stack
    finally:
        for hook in hooks:
            hook.remove()


def _pop(stack: list[str]) -> None:
    stack.pop()


@contextmanager
def replace_sdpa(
    handle: Callable[[SDPACall, Callable[[], Tensor]], Tensor], model: torch.nn.Module | None = None
) -> Iterator[None]:
    """Within the block, every call of SDPA in this thread goes to ``handle(call, original)``.

    Args:
        handle: gets the call and a function without arguments that gives PyTorch's own output.
        model: where given, the calls know the name of the module that made them.
    """
    with _named(model) as stack, _Mode(handle, stack):
        yield


@contextmanager
def capture_sdpa(model: torch.nn.Module, limit: int | None = None) -> Iterator[list[SDPACall]]:
    """Collect the arguments of the calls of SDPA that a model makes within the block, detached.

    Args:
        model: any model whose attention goes through `torch.nn.functional.scaled_dot_product_attention`.
        limit: how many calls to keep, the first ones; all by default. They hold their tensors in memory.
    """
    calls: list[SDPACall] = []

    def keep(call: SDPACall, original: Callable[[], Tensor]) -> Tensor:
        if limit is None or len(calls) < limit:
            q, k, v = call.q.detach(), call.k.detach(), call.v.detach()
            calls.append(SDPACall(call.layer, q, k, v, call.options))
        return original()

    with replace_sdpa(keep, model):
        yield calls
