"""A Stable Diffusion of random weights, a few hundred kB, saved as its users would find it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tiny_sdxl import _text_config, _tokenizer
from transformers import CLIPTextModel


def save_tiny_sd(folder: Path, seed: int = 0, scheduler: Any = DDIMScheduler, **options: Any) -> Path:
    """Write a tiny `StableDiffusionPipeline` to ``folder``: 8 x 8 latents of 16 x 16 pixels.

    ``options`` go to the scheduler, beside the betas and the timesteps of Stable Diffusion 1 and 2.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=8,
            cross_attention_dim=32,
        )
        vae = AutoencoderKL(
            block_out_channels=(32, 64),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            sample_size=16,
        )
        text_encoder = CLIPTextModel(_text_config())
    betas = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "timestep_spacing": "leading",
    }
    if scheduler is DDIMScheduler:
        betas |= {"clip_sample": False, "set_alpha_to_one": False}
    pipeline = StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=_tokenizer(folder.with_name(folder.name + "-vocabulary")),
        scheduler=scheduler(**betas, **options),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder
