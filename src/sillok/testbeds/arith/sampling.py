"""Batched sampling from a causal language model: keys and values in place, finished rows dropped.

What it does over `generate`: prompts are read once however many completions they get, prompts of like length go
together, keys and values are written into memory set aside beforehand, and rows that have ended leave the batch.
It only calls the model's own forward, so that any causal LM of Transformers with its tokenizer will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from sillok.testbeds.base import check_count


@dataclass(frozen=True)
class Completion:
    """One completion: `prompt` is the index of its prompt, `finished` whether it ended by itself.

    `tokens` hold what ended it (the end-of-sequence token or the stop); `text` is without special tokens;
    `logprobs` are the model's own for each token, at temperature 1 and before any filter.
    """

    prompt: int
    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool


@torch.no_grad()
def complete(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    n: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    max_new_tokens: int = 128,
    stop: str | None = None,
    seed: int = 0,
    batch: int = 256,
) -> list[Completion]:
    """`n` completions of each prompt, those of the first prompt first.

    Every completion has random numbers of its own, drawn from `seed` by its place in the list before anything is
    put into batches. So `batch` changes nothing but the rounding of sums in the model: a token differs only
    where a random number falls within that rounding (about 1e-6) of the border between two tokens. Completions
    of the first prompts do not depend on how many prompts follow.

    Args:
        model: a causal LM of Transformers; its mode and device are kept.
        tokenizer: its tokenizer, which adds what the model expects before a text.
        prompts: texts, none of them empty of tokens.
        n: completions of each.
        temperature: 0 takes the likeliest token, as `generate(do_sample=False)` does.
        top_k: draw among this many of the likeliest tokens.
        top_p: draw among the likeliest tokens that together have at least this probability, in (0, 1].
        max_new_tokens: longest completion.
        stop: a text of one token that ends a completion, "\\n" for one step.
        seed: of the random numbers.
        batch: rows that go through the model together.

    Raises:
        ValueError: a count below 1, a temperature below 0, `top_p` outside (0, 1], a stop of several tokens, or
            prompts that leave no room in the model's context.
    """
    check_count("n", n)
    check_count("batch", batch)
    _check_options(temperature, top_k, top_p, max_new_tokens)
    if isinstance(prompts, str):
        raise ValueError(f"prompts must be a list of texts; got one text, {prompts[:40]!r}")
    if not prompts:
        return []
    encoded: list[list[int]] = tokenizer(list(prompts))["input_ids"]
    _check_room(model, encoded, max_new_tokens)
    ends = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    ends += [] if stop is None else [_single(tokenizer, stop)]
    uniform = np.random.default_rng(seed).random((len(prompts) * n, max_new_tokens))
    drawer = _Drawer(
        temperature, top_k, top_p, torch.tensor(ends, dtype=torch.int64), torch.from_numpy(uniform)
    )
    order = sorted(range(len(prompts) * n), key=lambda row: (len(encoded[row // n]), row))
    training = model.training
    model.eval()
    try:
        for start in range(0, len(order), batch):
            _generate(model, encoded, order[start : start + batch], n, drawer)
    finally:
        model.train(training)
    return drawer.completions(tokenizer, n)


def _check_options(temperature: float, top_k: int | None, top_p: float | None, max_new_tokens: int) -> None:
    check_count("max_new_tokens", max_new_tokens)
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0; got {temperature!r}")
    if top_k is not None:
        check_count("top_k", top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must lie in (0, 1]; got {top_p!r}")


def _check_room(model: Any, encoded: list[list[int]], new: int) -> None:
    if not all(encoded):
        raise ValueError("prompts must have at least one token each")
    room = getattr(model.config, "max_position_embeddings", None)
    longest = max(map(len, encoded))
    if room is not None and longest + new > room:
        raise ValueError(
            f"max_new_tokens must be at most {room - longest}: the model has {room} positions and the "
            f"longest prompt takes {longest}; got {new}"
        )


def _single(tokenizer: Any, stop: str) -> int:
    tokens = tokenizer(stop, add_special_tokens=False)["input_ids"]
    if len(tokens) != 1 or tokens[0] == tokenizer.unk_token_id:
        raise ValueError(f"stop must be one token of the tokenizer; {stop!r} has {len(tokens)}")
    return int(tokens[0])


class _Drawer:
    """Draws tokens and keeps them; row r of its tables is completion r of the whole call."""

    def __init__(
        self,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        ends: torch.Tensor,
        uniform: torch.Tensor,
    ) -> None:
        self.temperature, self.top_k, self.top_p, self.ends, self.uniform = (
            temperature,
            top_k,
            top_p,
            ends,
            uniform,
        )
        self.tokens = torch.zeros(uniform.shape, dtype=torch.int64)
        self.logprobs = torch.zeros(uniform.shape)
        self.lengths = torch.full((len(uniform),), uniform.shape[1])
        self.finished = torch.zeros(len(uniform), dtype=torch.bool)

    def draw(self, logits: torch.Tensor, rows: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (B,) for logits (B, V) of those rows, and which rows go on (B,)."""
        logprobs = logits.log_softmax(-1)
        if self.temperature == 0:
            chosen = logits.argmax(-1)
        else:
            chosen = _pick(logits, self.temperature, self.top_k, self.top_p, self.uniform[rows, step])
        self.tokens[rows, step] = chosen
        self.logprobs[rows, step] = logprobs.gather(1, chosen[:, None])[:, 0]
        ended = torch.isin(chosen, self.ends)
        self.lengths[rows[ended]] = step + 1
        self.finished[rows[ended]] = True
        return chosen, ~ended

    def completions(self, tokenizer: Any, n: int) -> list[Completion]:
        """All of them, in the order of the call."""
        lengths = self.lengths.tolist()
        tokens = [row[:length] for row, length in zip(self.tokens.tolist(), lengths, strict=True)]
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        logprobs, finished = self.logprobs.tolist(), self.finished.tolist()
        return [
            Completion(
                row // n, text, tuple(tokens[row]), tuple(logprobs[row][: lengths[row]]), finished[row]
            )
            for row, text in enumerate(texts)
        ]


def _pick(
    logits: torch.Tensor, temperature: float, top_k: int | None, top_p: float | None, uniform: torch.Tensor
) -> torch.Tensor:
    """Tokens (B,) by inverting the cumulative distribution at `uniform` (B,), in double precision."""
    scaled = logits.double() / temperature
    if top_k is not None and top_k < scaled.shape[1]:
        scaled = scaled.masked_fill(scaled < scaled.topk(top_k).values[:, -1:], -torch.inf)
    probabilities = scaled.softmax(-1)
    if top_p is not None and top_p < 1:
        ordered, places = probabilities.sort(descending=True, stable=True)
        # a token stays while those before it have less than top_p
        beyond = ordered.cumsum(-1) - ordered >= top_p
        probabilities = probabilities.masked_fill(torch.zeros_like(beyond).scatter(1, places, beyond), 0.0)
    cumulative = probabilities.cumsum(-1)
    threshold = uniform[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
    # rounding may put the threshold at the very end: the last token that has any probability then
    last = (probabilities > 0).long().cumsum(-1).argmax(-1)
    return torch.minimum(chosen, last)


class _Slots(CacheLayerMixin):
    """Keys and values (B, H, length, D) of one layer in memory set aside beforehand."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length, self.used = length, 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Set the memory aside."""
        rows, heads, _, width = key_states.shape
        self.keys = key_states.new_empty(rows, heads, self.length, width)
        self.values = value_states.new_empty(rows, heads, self.length, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new ones behind the others and return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        begin, self.used = self.used, self.used + key_states.shape[2]
        keys, values = self.keys, self.values
        assert keys is not None and values is not None
        keys[:, :, begin : self.used] = key_states
        values[:, :, begin : self.used] = value_states
        return keys[:, :, : self.used], values[:, :, : self.used]

    def keep(self, rows: torch.Tensor) -> None:
        """Only these rows from now on, in this order; a row may come several times."""
        assert self.keys is not None and self.values is not None
        for name in ("keys", "values"):
            old: torch.Tensor = getattr(self, name)
            new = old.new_empty(len(rows), *old.shape[1:])
            new[:, :, : self.used] = old[:, :, : self.used].index_select(0, rows)
            setattr(self, name, new)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Keys that a query sees, and the offset of the first."""
        return self.used + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self.used

    def get_max_length(self) -> int:
        """Tokens that there is room for."""
        return self.length


def _generate(model: Any, encoded: list[list[int]], rows: list[int], n: int, drawer: _Drawer) -> None:
    """Complete these rows of the call together."""
    device = next(model.parameters()).device
    unique = sorted({row // n for row in rows}, key=lambda prompt: (len(encoded[prompt]), prompt))
    width, new = len(encoded[unique[-1]]), drawer.uniform.shape[1]
    lengths = torch.tensor([len(encoded[prompt]) for prompt in unique])
    tokens = torch.stack([torch.tensor([0] * (width - len(encoded[p])) + encoded[p]) for p in unique])
    # (U, width) whether a column is a token of the prompt; columns to come are for every row
    real = torch.arange(width) >= width - lengths[:, None]
    columns = torch.cat([real, torch.ones(len(unique), new, dtype=torch.bool)], dim=1).to(device)
    triangle = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    eye = torch.eye(
        width, dtype=torch.bool, device=device
    )  # padding sees itself: a row of nothing has no softmax
    mask = (triangle & columns[:, None, :width]) | eye
    layers = [_Slots(width + new) for _ in range(model.config.num_hidden_layers)]
    cache = Cache(layers=list(layers))
    positions = (torch.arange(width) - (width - lengths[:, None])).clamp(min=0)
    dtype = next(model.parameters()).dtype
    logits = _forward(model, tokens, positions, _additive(mask, dtype)[:, None], cache)
    index = {prompt: place for place, prompt in enumerate(unique)}
    expand = torch.tensor([index[row // n] for row in rows])
    alive = torch.tensor(rows)  # rows of the tables, one for each row of the batch
    logits, at = logits[expand.to(device)], lengths[expand]
    hidden = _additive(columns, dtype)[expand.to(device)]
    for layer in layers:
        layer.keep(expand.to(device))
    going = torch.ones(len(rows), dtype=torch.bool)
    for step in range(new):
        chosen = torch.zeros(len(alive), dtype=torch.int64)
        drawn, still = drawer.draw(logits[going.to(device)].float().cpu(), alive[going], step)
        chosen[going] = drawn
        going[going.clone()] = still
        if not going.any() or step + 1 == new:
            return
        if going.float().mean() < 0.75:  # copying what stays costs less than working on what has ended
            kept = going.nonzero()[:, 0]
            alive, at, chosen, going = alive[kept], at[kept], chosen[kept], going[kept]
            hidden = hidden[kept.to(device)]
            for layer in layers:
                layer.keep(kept.to(device))
        visible = hidden[:, None, None, : width + step + 1]
        logits = _forward(model, chosen[:, None], at[:, None] + step, visible, cache)


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where a mask allows, the lowest number where it does not."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(
        ~mask, torch.finfo(dtype).min
    )


def _forward(
    model: Any, tokens: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: Any
) -> torch.Tensor:
    """Logits (B, V) after the last column."""
    device = mask.device
    out = model(
        input_ids=tokens.to(device),
        position_ids=positions.to(device),
        attention_mask=mask,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: torch.Tensor = out.logits[:, -1]
    return logits
