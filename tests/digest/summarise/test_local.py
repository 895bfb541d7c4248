"""A local model through Transformers: random weights answer garbage, which ends like any other bad answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sillok.digest.marks import note
from sillok.digest.summarise import summarise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 20,000 parameters with a tokenizer of bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("model")
    words = {token: n for n, token in enumerate(["<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>").save_pretrained(path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=8192,
                eos_token_id=0,
                bos_token_id=None,
            )
        )
    model.save_pretrained(path)
    return path


def test_a_local_model_goes_the_same_way(folder: Path, paper: Any, tmp_path: Path) -> None:
    lines: list[str] = []
    (found,) = summarise(
        [paper()],
        model="hf/local",
        model_args={"model_path": str(folder), "device": "cpu"},
        settings={"max_tokens": 24, "seed": 0},
        checker=None,
        cache=tmp_path,
        report=lines.append,
    )
    assert found.spent.calls == 3
    assert 0 < found.spent.output <= 3 * 24 and found.spent.input > 1000  # it read the paper, byte by byte
    assert found.model is None
    assert any(note(code, "ko") in found.notes[0] for code in ("prose", "empty", "half"))
    assert "2.1 times faster" in dict(found.sections)["Performance Highlights"]
    assert len(lines) == 1
