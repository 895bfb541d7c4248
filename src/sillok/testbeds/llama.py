"""What the testbeds' small Llama models share: their configuration, and their training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig

from sillok.testbeds.training import Progress, optimise


def llama_config(recipe: Any, *, vocabulary: int, context: int, bos: int, eos: int, pad: int) -> Any:
    """The `LlamaConfig` of a recipe with `hidden`, `inner`, `layers` and `heads`; input and output are tied.

    Args:
        recipe: of the testbed.
        vocabulary: number of tokens.
        context: longest sequence.
        bos, eos, pad: numbers of the special tokens.
    """
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
        use_cache=True,
    )


def fit_llama(
    model: Any,
    inputs_at: Callable[[int], dict[str, torch.Tensor]],
    recipe: Any,
    progress: Progress,
    device: str,
) -> dict[str, torch.Tensor]:
    """Minimise the model's own loss on `inputs_at(step)`, its keyword arguments; the weights to ship."""

    def loss_at(step: int) -> torch.Tensor:
        inputs = {key: value.to(device) for key, value in inputs_at(step).items()}
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast):
            loss: torch.Tensor = model(**inputs, use_cache=False).loss
        return loss

    state = optimise(model, loss_at, recipe, progress)
    state.pop("lm_head.weight")  # tied to the embedding, and stored once
    return state
