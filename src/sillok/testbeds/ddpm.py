"""A class-conditional diffusion model on shapes: Diffusers' `UNet2DModel`, predicting noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from sillok.testbeds import shapes
from sillok.testbeds.base import Recipe
from sillok.testbeds.generator import ShapesGenerator
from sillok.testbeds.training import Progress, fresh, optimise


@dataclass(frozen=True, kw_only=True)
class DDPMRecipe(Recipe):
    """How the noise predictor is made and trained; `attention` names the levels that have it (0: widest)."""

    pixels: int
    channels: tuple[int, ...]
    attention: tuple[int, ...]
    head: int = 16
    layers: int = 1
    groups: int = 8
    timesteps: int = 1000
    beta: tuple[float, float] = (8.5e-4, 0.012)
    label_dropout: float = 0.12
    autocast: bool = False  # the first steps of sampling cannot bear bfloat16's error
    turn: float = shapes.FULL_TURN
    data: int = shapes.VERSION


class DDPM(ShapesGenerator):
    """Noise-predicting UNet on RGB shapes, conditioned on 16 classes, with a null class for guidance.

    Sizes: `xs` is 16 pixels, `s` is 32. `model(x, timestep, class_labels=labels).sample` predicts the noise;
    class `null` (16) is the unconditional branch. Nothing is clipped, in training or by the schedulers.
    """

    name = "ddpm"
    floor = 0.9
    recipes: ClassVar[Mapping[str, DDPMRecipe]] = {
        "xs": DDPMRecipe(
            pixels=16, channels=(32, 64, 80), attention=(1, 2), steps=4000, batch=48, lr=2e-3, ema=0.998
        ),
        "s": DDPMRecipe(
            pixels=32,
            channels=(16, 32, 64, 80),
            attention=(2, 3),
            turn=0.6,
            steps=4200,
            batch=48,
            lr=2e-3,
            ema=0.998,
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `UNet2DModel` with fresh weights."""
        recipe = self.recipes[self.size]
        levels = range(len(recipe.channels))
        with_attention = [level in recipe.attention for level in levels]

        def model() -> Any:
            return UNet2DModel(
                sample_size=recipe.pixels,
                in_channels=3,
                out_channels=3,
                layers_per_block=recipe.layers,
                block_out_channels=recipe.channels,
                down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in with_attention),
                up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(with_attention)),
                norm_num_groups=recipe.groups,
                attention_head_dim=recipe.head,
                num_class_embeds=shapes.CLASSES + 1,
            )

        return fresh(model, seed)

    def scheduler(self, kind: Any = DDIMScheduler) -> Any:
        """A scheduler of this model: scaled-linear betas, noise prediction, no clipping, trailing steps.

        Args:
            kind: any Diffusers scheduler class that takes the same configuration.
        """
        recipe = self.recipes[self.size]
        base = DDPMScheduler(
            num_train_timesteps=recipe.timesteps,
            beta_start=recipe.beta[0],
            beta_end=recipe.beta[1],
            beta_schedule="scaled_linear",
            prediction_type="epsilon",
            clip_sample=False,
            timestep_spacing="trailing",
        )
        return kind.from_config(base.config)

    def predict(self, model: Any, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The noise that the network sees in x."""
        noise: torch.Tensor = model(x, t, class_labels=labels).sample
        return noise

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Squared error of the predicted noise at uniform timesteps, labels dropped now and then.

        An error is weighted by 1 / alpha_bar, which makes it that of the velocity (Salimans and Ho 2022,
        section 4): in the plain mean the noisiest steps weigh nothing, and sampling multiplies their errors
        by up to 1 / sqrt(alpha_bar).
        """
        recipe = self.recipes[self.size]
        generator = torch.Generator().manual_seed(seed)
        scheduler = self.scheduler(DDPMScheduler)

        def loss_at(step: int) -> torch.Tensor:
            images, labels, noise = self.batch_for_step(step, seed, recipe.batch, generator)
            times = torch.randint(0, recipe.timesteps, (recipe.batch,), generator=generator)
            noisy = scheduler.add_noise(images, noise, times)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast):
                predicted = model(noisy.to(device), times.to(device), class_labels=labels.to(device)).sample
            error = (predicted.float() - noise.to(device)).square().mean((1, 2, 3))
            return (error / scheduler.alphas_cumprod[times].to(device)).mean()

        return optimise(model, loss_at, recipe, progress)
