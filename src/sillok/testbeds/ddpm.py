"""Conditional diffusion models that predict noise: Diffusers' UNets, on shapes and on digits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DConditionModel, UNet2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel

from sillok.testbeds import digits, shapes
from sillok.testbeds.base import Recipe
from sillok.testbeds.captions import WIDTH, CaptionConditional, Captioned, new_encoder
from sillok.testbeds.generator import ClassConditional, DigitsGenerator, Generator, ShapesGenerator
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
    middle: float = 0.0  # share of timesteps drawn from a logit-normal distribution, the rest evenly
    autocast: bool = False  # in bfloat16; sampling is not, since its first steps magnify every error
    plain_attention: bool = False  # by matrix products: the fused kernel is slower in bfloat16 on a processor
    turn: float = shapes.FULL_TURN
    data: int = shapes.VERSION
    optimizer: str = "muon"
    ema: float = 0.999


class NoisePrediction(Generator):
    """What all of them share: the scheduler and the loss."""

    def scheduler(self, kind: Any = DDIMScheduler) -> Any:
        """A scheduler of this model: scaled-linear betas, noise prediction, no clipping, trailing steps.

        Args:
            kind: any Diffusers scheduler class that takes the same configuration.
        """
        recipe: Any = self.recipe
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

    @abstractmethod
    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The predicted noise of what `build` made, in training."""

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Squared error of the predicted noise at timesteps of `draw_times`, conditions dropped now and then.

        An error is weighted by 1 / alpha_bar, which makes it that of the velocity (Salimans and Ho 2022,
        section 4): in the plain mean the noisiest steps weigh nothing, and sampling multiplies their errors
        by up to 1 / sqrt(alpha_bar).
        """
        recipe: Any = self.recipe
        scheduler = self.scheduler(DDPMScheduler)

        def loss_at(step: int) -> torch.Tensor:
            images, condition, noise, generator = self.batch_for_step(seed, step, recipe.batch)
            times = draw_times(recipe, generator)
            noisy = scheduler.add_noise(images, noise, times)
            mixed = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast)
            attention = sdpa_kernel(SDPBackend.MATH) if recipe.plain_attention else nullcontext()
            with mixed, attention:
                predicted = self.forward(model, noisy.to(device), times.to(device), condition.to(device))
            error = (predicted.float() - noise.to(device)).square().mean((1, 2, 3))
            return (error / scheduler.alphas_cumprod[times].to(device)).mean()

        return optimise(model, loss_at, recipe, progress)


def draw_times(recipe: DDPMRecipe, generator: torch.Generator) -> torch.Tensor:
    """(batch,) timesteps: a share of them logit-normal (Esser et al. 2024, section 3.1), the others uniform."""
    if recipe.middle == 0:
        return torch.randint(0, recipe.timesteps, (recipe.batch,), generator=generator)
    even = torch.rand(recipe.batch, generator=generator)
    peaked = torch.randn(recipe.batch, generator=generator).sigmoid()
    chosen = torch.rand(recipe.batch, generator=generator) < recipe.middle
    times: torch.Tensor = (torch.where(chosen, peaked, even) * recipe.timesteps).long()
    return times.clamp_max(recipe.timesteps - 1)


def unet(recipe: DDPMRecipe, channels: int, classes: int) -> Any:
    """A `UNet2DModel` for images of so many channels, with a class embedding."""
    with_attention = [level in recipe.attention for level in range(len(recipe.channels))]
    return UNet2DModel(
        sample_size=recipe.pixels,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=recipe.layers,
        block_out_channels=recipe.channels,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in with_attention),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(with_attention)),
        norm_num_groups=recipe.groups,
        attention_head_dim=recipe.head,
        num_class_embeds=classes,
    )


class _ClassUNet(NoisePrediction, ClassConditional):
    """A UNet with a class embedding, whose last class is the null condition."""

    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The predicted noise."""
        noise: torch.Tensor = model(x, t, class_labels=condition).sample
        return noise

    predict = forward


class DDPM(_ClassUNet, ShapesGenerator):
    """Noise-predicting UNet on RGB shapes, conditioned on 16 classes, with a null class for guidance.

    Sizes: `xs` is 16 pixels, `s` is 32. `model(x, timestep, class_labels=labels).sample` predicts the noise;
    class `null` (16) is the unconditional branch. Nothing is clipped, in training or by the schedulers.
    """

    name = "ddpm"
    scales = (1.0, 2.0, 3.0, 4.0)  # it is best between 2 and 4
    recipes: ClassVar[Mapping[str, DDPMRecipe]] = {
        "xs": DDPMRecipe(
            pixels=16, channels=(32, 64, 80), attention=(1, 2), steps=4000, batch=48, lr=1e-2, middle=0.75
        ),
        "s": DDPMRecipe(
            pixels=32,
            channels=(16, 32, 64, 80),
            attention=(3,),
            turn=0.6,
            steps=7000,
            batch=48,
            lr=2e-3,
            middle=0.5,
            ema=0.998,
            optimizer="adamw",
            autocast=True,
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `UNet2DModel` with fresh weights."""
        return fresh(lambda: unet(self.recipes[self.size], 3, self.classes + 1), seed)


class DDPMDigits(_ClassUNet, DigitsGenerator):
    """Noise-predicting UNet on handwritten digits, conditioned on 10 classes, with a null class for guidance.

    Size `s`: 16 pixels, one channel. `model(x, timestep, class_labels=labels).sample` predicts the noise;
    class `null` (10) is the unconditional branch.
    """

    name = "ddpm-digits"
    recipes: ClassVar[Mapping[str, DDPMRecipe]] = {
        "s": DDPMRecipe(
            pixels=16,
            channels=(16, 24, 32),  # half a megabyte: all checkpoints together have 25
            attention=(1, 2),
            head=8,
            steps=1300,
            batch=64,
            lr=1e-2,
            data=digits.VERSION,
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `UNet2DModel` with fresh weights."""
        return fresh(lambda: unet(self.recipes[self.size], 1, self.classes + 1), seed)


class DDPMCaptions(CaptionConditional, NoisePrediction, ShapesGenerator):
    """Noise-predicting UNet on RGB shapes with captions, in the manner of Stable Diffusion.

    Size `s`: 32 pixels. `model` is a `UNet2DConditionModel` that looks at a caption by cross-attention,
    `text_encoder` a `CLIPTextModel`, `tokenizer` its tokenizer; the empty caption is the unconditional branch.
    """

    name = "ddpm-captions"
    floor = 0.7  # a quarter of an hour teaches it shapes less well than `ddpm`, whose classes modulate every layer
    recipes: ClassVar[Mapping[str, DDPMRecipe]] = {
        "s": DDPMRecipe(
            pixels=32,
            channels=(16, 32, 64, 64),
            attention=(3,),
            turn=0.6,
            steps=6000,
            batch=48,
            lr=2e-3,
            head=2,
            middle=0.5,
            ema=0.998,
            optimizer="adamw",
            autocast=True,
            plain_attention=True,
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `Captioned` model: `UNet2DConditionModel` and `CLIPTextModel`, with fresh weights."""
        recipe = self.recipes[self.size]
        across = [level in recipe.attention for level in range(len(recipe.channels))]

        def model() -> Any:
            denoiser = UNet2DConditionModel(
                sample_size=recipe.pixels,
                in_channels=3,
                out_channels=3,
                layers_per_block=recipe.layers,
                block_out_channels=recipe.channels,
                down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in across),
                up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(across)),
                norm_num_groups=recipe.groups,
                cross_attention_dim=WIDTH,
                attention_head_dim=recipe.head,  # the number of heads, by Diffusers' old name for it
            )
            return Captioned(denoiser, new_encoder())

        return fresh(model, seed)
