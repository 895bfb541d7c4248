"""A Flux of random weights, a few hundred kB, saved as its users would find it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny_sd3
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextModel


def save_tiny_flux(folder: Path, seed: int = 0, **scheduler: Any) -> Path:
    """Write a tiny `FluxPipeline` to ``folder``; ``scheduler`` goes to `FlowMatchEulerDiscreteScheduler`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        transformer = FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=64,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
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
        clip, t5 = CLIPTextModel(tiny_sd3.text_config()), tiny_sd3.t5_encoder()
    pipeline = FluxPipeline(
        transformer=transformer,
        vae=vae,
        text_encoder=clip,
        text_encoder_2=t5,
        tokenizer=tiny_sd3.tokenizer_of_letters(folder.with_name(folder.name + "-vocabulary")),
        tokenizer_2=tiny_sd3.t5_tokenizer(),
        scheduler=FlowMatchEulerDiscreteScheduler(**{"use_dynamic_shifting": True, "shift": 3.0} | scheduler),
    )
    pipeline.save_pretrained(folder)
    return folder
