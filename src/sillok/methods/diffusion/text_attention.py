"""How much attention each patch of an image pays to chosen words (for AMO, arXiv 2411.19415), by joint attention."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal

import torch
from torch import Tensor

from sillok.methods.diffusion.attention import AttentionCall, AttentionTap, attention_modules

# Text and image tokens share one sequence; which of them come first is the transformer's own custom.
_TEXT_FIRST = {"SD3Transformer2DModel": False, "FluxTransformer2DModel": True}
_CHUNK = 1024  # queries whose probabilities are held at once

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+)'(?!\w)|(?<!\w)‘([^’]+)’(?!\w)")


class TextAttentionRecorder:
    """Records the attention mass that image tokens give to chosen text tokens.

    The mass is averaged over heads and over all joint-attention layers of one network call, and scaled so that
    each image's smallest is 0 and its largest 1. Processors stay as they are (see `AttentionTap`).

        with TextAttentionRecorder(pipe.transformer, ids) as recorder:
            pipe.scheduler.set_attention_map(recorder.map)
            pipe(prompt)

    Args:
        transformer: `SD3Transformer2DModel` or `FluxTransformer2DModel`.
        token_ids: places of the words in the sequence of text tokens that the transformer is given, as
            `quoted_token_ids` finds them; one list for all items, or one list a prompt. Stable Diffusion 3 puts
            T5's tokens after CLIP's 77: add 77 to those.
        guidance: "none"; "batched": the conditional rows are the second half of the batch (Stable Diffusion 3
            with guidance_scale above 1); "separate": each second network call is unconditional (Flux with
            true_cfg_scale).

    Raises:
        ValueError: another transformer, no tokens or one below 0, an unknown guidance. In a network call, before
            it runs: a token beyond the text, or a batch that the prompts do not divide.
    """

    def __init__(
        self,
        transformer: torch.nn.Module,
        token_ids: Sequence[int] | Sequence[Sequence[int]],
        *,
        guidance: Literal["none", "batched", "separate"] = "none",
    ) -> None:
        names = [base.__name__ for base in type(transformer).__mro__ if base.__name__ in _TEXT_FIRST]
        if not names:
            raise ValueError(
                f"transformer must be one of {', '.join(_TEXT_FIRST)}, whose attention joins text and image; got "
                f"{type(transformer).__name__}"
            )
        if guidance not in ("none", "batched", "separate"):
            raise ValueError(f"guidance must be none, batched or separate; got {guidance!r}")
        ids: Any = list(token_ids)
        lists = [ids] if ids and isinstance(ids[0], int) else [list(row) for row in ids]
        if not lists or not all(lists) or min(min(row) for row in lists) < 0:
            raise ValueError(f"token_ids must be places of at least one token a prompt; got {ids!r}"[:200])
        self.transformer, self.token_ids, self.guidance = transformer, lists, guidance
        self._text_first = _TEXT_FIRST[names[0]]
        joint = [name for name in attention_modules(transformer) if name.endswith(".attn")]
        self._tap = AttentionTap(transformer, joint, self._record)
        self._handle: Any = None
        self._calls = self._layers = self._text = 0
        self._recording = False
        self._rows = slice(None)
        self._sum: Tensor | None = None

    def __enter__(self) -> TextAttentionRecorder:
        self._tap.__enter__()
        self._handle = self.transformer.register_forward_pre_hook(self._begin, with_kwargs=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.remove()
        self._tap.__exit__(kind, error, trace)

    def mass(self) -> Tensor:
        """(B, N) the share of attention that each image token of the last call gave to the words, in [0, 1].

        Raises:
            RuntimeError: no network call was recorded.
        """
        if self._sum is None or not self._layers:
            raise RuntimeError("no network call was recorded: run the transformer inside the with block")
        return self._sum / self._layers

    def map(self) -> Tensor:
        """(B, N) that mass from each image's least (0) to its most (1); 0 everywhere where all are equal.

        Raises:
            RuntimeError: no network call was recorded.
        """
        mass = self.mass()
        low, high = mass.amin(1, keepdim=True), mass.amax(1, keepdim=True)
        return torch.where(high > low, (mass - low) / (high - low).clamp_min(1e-12), 0.0).clamp(0, 1)

    def _begin(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        text = kwargs["encoder_hidden_states"] if "encoder_hidden_states" in kwargs else args[1]
        self._recording = self.guidance != "separate" or self._calls % 2 == 0
        self._calls += 1
        if not self._recording:
            return
        batch, self._text = text.shape[0], text.shape[1]
        rows = batch // 2 if self.guidance == "batched" else batch
        if (self.guidance == "batched" and batch % 2) or rows == 0 or rows % len(self.token_ids):
            raise ValueError(
                f"token_ids are of {len(self.token_ids)} prompts, and the network is called with {batch} rows "
                f"(guidance {self.guidance!r})"
            )
        beyond = max(max(row) for row in self.token_ids)
        if beyond >= self._text:
            raise ValueError(f"token_ids must lie in [0, {self._text - 1}], the text's; got {beyond}")
        self._rows = slice(batch - rows, batch)
        self._sum, self._layers = None, 0

    @torch.no_grad()
    def _record(self, call: AttentionCall) -> None:
        if not self._recording:
            return
        total = call.key.shape[2]
        image = range(self._text, total) if self._text_first else range(total - self._text)
        first = 0 if self._text_first else total - self._text
        mask = call.mask
        if mask is not None and mask.ndim == 4 and mask.shape[0] > 1:
            mask = mask[self._rows]
        call = dataclasses.replace(
            call,
            query=call.query[self._rows],
            key=call.key[self._rows],
            value=call.value[self._rows],
            mask=mask,
        )
        chosen = torch.zeros(len(self.token_ids), total, device=call.query.device)
        for row, ids in enumerate(self.token_ids):
            chosen[row, [first + i for i in ids]] = 1
        chosen = chosen.repeat_interleave(len(call.query) // len(chosen), 0)
        parts = []
        for start in range(image.start, image.stop, _CHUNK):
            probabilities = call.probabilities(slice(start, min(start + _CHUNK, image.stop)))
            parts.append(torch.einsum("bhnm,bm->bn", probabilities.float(), chosen) / call.query.shape[1])
        mass = torch.cat(parts, 1)
        self._sum = mass if self._sum is None else self._sum + mass
        self._layers += 1


def quoted_token_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Where the tokens of quoted text stand among those of a prompt.

    Args:
        tokenizer: one of Transformers.
        prompt: with text in double or single quotation marks, straight or curly.

    Returns:
        Places, in ascending order, in ``tokenizer(prompt).input_ids``, special tokens counted, the quotation
        marks themselves left out where they are tokens of their own.

    Raises:
        ValueError: nothing quoted, or quoted text beyond the tokenizer's ``model_max_length``.
    """
    spans = [match.span(match.lastindex) for match in _QUOTED.finditer(prompt) if match.lastindex]
    if not spans:
        raise ValueError(f"prompt must have text in quotation marks; got {prompt!r}"[:200])
    if getattr(tokenizer, "is_fast", False):
        offsets = tokenizer(prompt, return_offsets_mapping=True, truncation=False)["offset_mapping"]
        found = [
            place
            for place, (begin, end) in enumerate(offsets)
            if any(begin < high and end > low for low, high in spans)
        ]
    else:
        found = _by_prefix(tokenizer, prompt, spans)
    limit = tokenizer.model_max_length
    if not found or found[-1] >= limit:
        raise ValueError(
            f"prompt must have its quoted text within the tokenizer's {limit} tokens; got it at {found[-1:]}"
        )
    return found


def _by_prefix(tokenizer: Any, prompt: str, spans: list[tuple[int, int]]) -> list[int]:
    """For tokenizers that do not tell offsets: the tokens before a span are counted by themselves."""

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False, truncation=False).input_ids)

    whole = tokenizer(prompt, truncation=False).input_ids
    bare = tokenizer(prompt, add_special_tokens=False, truncation=False).input_ids
    # special tokens before the text, such as CLIP's beginning
    ahead = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return [
        ahead + place for low, high in spans for place in range(count(prompt[:low]), count(prompt[:high]))
    ]
