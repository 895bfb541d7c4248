"""A CogVideoX of random weights, a few hundred kB, saved as its users would find it."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from torch import nn
from transformers import T5Config, T5EncoderModel, T5Tokenizer

LENGTH = 16  # tokens of a prompt


def _tokenizer() -> T5Tokenizer:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(letter, -3.0) for letter in string.ascii_lowercase]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=LENGTH)


def save_tiny_cogvideox(folder: Path, *, rotary: bool, seed: int = 0) -> Path:
    """Write a tiny `CogVideoXPipeline` to ``folder``: as the 5B (rotary, DPM) or as the 2B (additive, DDIM)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformer = CogVideoXTransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            in_channels=4,
            out_channels=4,
            time_embed_dim=8,
            text_embed_dim=32,
            num_layers=3,
            sample_width=8,
            sample_height=8,
            sample_frames=9,
            patch_size=2,
            temporal_compression_ratio=4,
            max_text_seq_length=LENGTH,
            use_rotary_positional_embeddings=rotary,
        )
        for parameter in transformer.parameters():  # zero-initialised parts would hide what attention does
            if not parameter.any():
                nn.init.normal_(parameter, std=0.2)
        vae = AutoencoderKLCogVideoX(
            in_channels=3,
            out_channels=3,
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            latent_channels=4,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=4,
        )
        encoder = T5EncoderModel(
            T5Config(
                vocab_size=30,
                d_model=32,
                d_kv=8,
                d_ff=37,
                num_layers=2,
                num_heads=4,
                decoder_start_token_id=0,
            )
        )
    scheduler = CogVideoXDPMScheduler if rotary else CogVideoXDDIMScheduler
    CogVideoXPipeline(
        tokenizer=_tokenizer(),
        text_encoder=encoder,
        vae=vae,
        transformer=transformer,
        scheduler=scheduler(timestep_spacing="trailing"),
    ).save_pretrained(folder)
    return folder
