"""A Stable Diffusion 3 of random weights, a few hundred kB, saved as its users would find it."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

PRINTABLE = string.ascii_lowercase + string.digits + string.punctuation


def tokenizer_of_letters(folder: Path, length: int = 24) -> CLIPTokenizer:
    """A CLIP tokenizer whose tokens are single letters, the last of a word marked as CLIP marks it."""
    letters = list(PRINTABLE)
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        model_max_length=length,
        pad_token="<|endoftext|>",
    )


def text_config(length: int = 24) -> CLIPTextConfig:
    """Two layers of width 32 for `tokenizer_of_letters`."""
    return CLIPTextConfig(
        vocab_size=2 * len(PRINTABLE) + 2,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=length,
        projection_dim=32,
        bos_token_id=2 * len(PRINTABLE),
        eos_token_id=2 * len(PRINTABLE) + 1,
    )


def t5_tokenizer(length: int = 24) -> T5TokenizerFast:
    """A T5 tokenizer whose pieces are single letters, and T5's mark of a word's beginning."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *PRINTABLE]
    vocab = [(piece, 0.0 if i < 3 else -2.0) for i, piece in enumerate(pieces)]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=length)


def t5_encoder() -> T5EncoderModel:
    """Two layers of width 64 for `t5_tokenizer`."""
    config = {"d_model": 64, "d_kv": 8, "d_ff": 37, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0}
    return T5EncoderModel(T5Config(vocab_size=4 + len(PRINTABLE), **config))


def save_tiny_sd3(folder: Path, seed: int = 0, **scheduler: Any) -> Path:
    """Write a tiny `StableDiffusion3Pipeline`; ``scheduler`` goes to `FlowMatchEulerDiscreteScheduler`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformer = SD3Transformer2DModel(
            sample_size=8,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=64,  # both CLIP encoders side by side; T5 is as wide
            caption_projection_dim=32,
            pooled_projection_dim=64,
            pos_embed_max_size=16,
        )
        vae = AutoencoderKL(
            block_out_channels=(32, 64),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            sample_size=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.06,
            scaling_factor=1.5,
        )
        encoders = [CLIPTextModelWithProjection(text_config()) for _ in range(2)]
        t5 = t5_encoder()
    tokenizer = tokenizer_of_letters(folder.with_name(folder.name + "-vocabulary"))
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        vae=vae,
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        text_encoder_3=t5,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        tokenizer_3=t5_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(**{"shift": 3.0} | scheduler),
    )
    pipeline.save_pretrained(folder)
    return folder
