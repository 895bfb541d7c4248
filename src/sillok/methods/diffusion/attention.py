"""A tap on the attention of any Diffusers network: queries, keys and values as they meet, to read or to replace."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["AttentionCall", "AttentionTap", "attention_modules"]


@dataclass(frozen=True)
class AttentionCall:
    """One scaled dot-product attention, after projections, norms and rotary embedding.

    Attributes:
        name: the attention module, as `named_modules` of the tapped network calls it.
        query: (B, H, N, D).
        key, value: (B, H, M, D); fewer heads where they are shared by groups of queries.
        mask: boolean (True attends) or additive, broadcastable to (B, H, N, M); None for none.
        scale: what the logits are multiplied by.
    """

    name: str
    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scale: float

    def logits(self, queries: slice = slice(None), keys: slice = slice(None)) -> Tensor:
        """(B, H, n, m) scaled and masked logits of some queries and keys, with gradients, in the query's type."""
        key = self.key[:, :, keys]
        if key.shape[1] != self.query.shape[1]:
            key = key.repeat_interleave(self.query.shape[1] // key.shape[1], 1)
        found = (self.query[:, :, queries] * self.scale) @ key.transpose(-1, -2)
        if self.mask is None:
            return found
        shape = (*self.query.shape[:3], self.key.shape[2])
        mask = self.mask.expand(shape)[:, :, queries, keys]
        return found.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else found + mask

    def probabilities(self, queries: slice = slice(None)) -> Tensor:
        """(B, H, n, M) attention of some queries to all keys, with gradients, in float32 at least."""
        logits = self.logits(queries)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)


Replaced = tuple[Tensor, Tensor, Tensor]
OnAttention = Callable[[AttentionCall], Replaced | None]


def attention_modules(network: nn.Module) -> list[str]:
    """The names of the attention modules of a Diffusers network, in the order of `named_modules`."""
    kinds = (Attention, AttentionModuleMixin)
    return [name for name, module in network.named_modules() if isinstance(module, kinds)]


class AttentionTap:
    """Shows every attention of chosen modules to a function, which may replace its inputs.

    While a chosen module runs, the calls of `torch.nn.functional.scaled_dot_product_attention` are intercepted:
    there the attention processors of Diffusers end, whatever they do before, and the native back end of its
    dispatcher. Processors stay as they are, and so do the results where nothing is replaced. Gradients flow.

        with AttentionTap(pipe.transformer, ["transformer_blocks.3.attn1"], look):
            pipe("a boat", num_inference_steps=2)

    Args:
        network: a transformer or UNet of Diffusers.
        modules: names of attention modules, such as those of `attention_modules`, or of modules around them.
        on_attention: called with an `AttentionCall`; returns None, or the (query, key, value) to attend with.
            Keys and values may have another number of tokens; the query keeps its shape. An exception that it
            raises leaves the network, and the tap closes what it opened.

    Raises:
        ValueError: no modules, or a name that the network does not have; in a call, replacements that do not
            fit. RuntimeError: a chosen module ran without reaching `scaled_dot_product_attention` (another
            back end is set), or the tap is installed twice.
    """

    def __init__(self, network: nn.Module, modules: Iterable[str], on_attention: OnAttention) -> None:
        self.names = (modules,) if isinstance(modules, str) else tuple(modules)
        known = dict(network.named_modules())
        if not self.names:
            raise ValueError("modules must name at least one module; got none")
        for name in self.names:
            if name not in known:
                some = ", ".join(attention_modules(network)[:4])
                raise ValueError(
                    f"modules: the network has no {name!r}; its attention modules are {some} ..."
                )
        self._modules = {name: known[name] for name in self.names}
        self._on_attention = on_attention
        self._handles: list[Any] = []
        self._open: list[_Intercept] = []

    def __enter__(self) -> AttentionTap:
        if self._handles:
            raise RuntimeError("this AttentionTap is installed already")
        for name, module in self._modules.items():
            self._handles += [
                module.register_forward_pre_hook(self._opens(name)),
                module.register_forward_hook(self._closes(name), always_call=True),
            ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _opens(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            intercept = _Intercept(name, self._on_attention)
            intercept.__enter__()
            self._open.append(intercept)

        return hook

    def _closes(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            # called after an exception too, then without an output; where another hook raised before ours ran,
            # nothing of this module is open
            if not self._open or self._open[-1].name != name:
                return
            intercept = self._open.pop()
            intercept.__exit__(None, None, None)
            if output is not None and not intercept.seen:
                raise RuntimeError(
                    f"attention module {name!r} ran without scaled_dot_product_attention: "
                    "set its processor or back end to the native one"
                )

        return hook


class _Intercept(TorchFunctionMode):
    """Active while one module runs."""

    def __init__(self, name: str, on_attention: OnAttention) -> None:
        super().__init__()
        self.name = name
        self.seen = False
        self._on_attention = on_attention

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        self.seen = True
        given = dict(zip(_PARAMETERS, args, strict=False)) | kwargs
        query, key, value = (given[name] for name in _PARAMETERS[:3])
        mask, scale = given.get("attn_mask"), given.get("scale")
        if given.get("is_causal"):
            mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
        call = AttentionCall(
            self.name, query, key, value, mask, query.shape[-1] ** -0.5 if scale is None else scale
        )
        replaced = self._on_attention(call)
        if replaced is None:
            return func(*args, **kwargs)
        _check_replaced(call, replaced)
        return func(**(given | dict(zip(_PARAMETERS[:3], replaced, strict=True))))


_PARAMETERS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


def _check_replaced(call: AttentionCall, replaced: Replaced) -> None:
    query, key, value = replaced
    if query.shape != call.query.shape:
        raise ValueError(
            f"a replaced query of {call.name!r} must keep its shape {tuple(call.query.shape)}; "
            f"got {tuple(query.shape)}"
        )
    moved = (0, 1, 3)
    if key.shape[:3] != value.shape[:3] or any(key.shape[i] != call.key.shape[i] for i in moved):
        raise ValueError(
            f"replaced keys and values of {call.name!r} must have the shape {tuple(call.key.shape)}, but for "
            f"their number of tokens; got {tuple(key.shape)} and {tuple(value.shape)}"
        )
    if call.mask is not None and key.shape[2] != call.key.shape[2]:
        raise ValueError(
            f"attention of {call.name!r} is masked: replaced keys must keep their number of tokens "
            f"{call.key.shape[2]}; got {key.shape[2]}"
        )
