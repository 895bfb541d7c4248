"""A class-conditional diffusion model on shapes: Diffusers' `UNet2DModel`, predicting noise, trained for guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from sillok.testbeds import scores, shapes
from sillok.testbeds.base import Recipe, Testbed
from sillok.testbeds.training import Progress, fresh, optimise


@dataclass(frozen=True, kw_only=True)
class DDPMRecipe(Recipe):
    """How the noise predictor is made and trained; `attention` names the levels that have it, 0 the widest."""

    pixels: int
    channels: tuple[int, ...]
    attention: tuple[int, ...]
    head: int = 16
    layers: int = 1
    groups: int = 8
    timesteps: int = 1000
    beta: tuple[float, float] = (1e-4, 0.02)
    label_dropout: float = 0.12
    autocast: bool = True
    data: int = shapes.VERSION


class DDPM(Testbed):
    """Noise-predicting UNet on RGB shapes, conditioned on 16 classes, with a null class for guidance.

    Sizes: `xs` is 16 pixels, `s` is 32. `model(sample, timestep, class_labels=labels).sample` predicts the noise;
    class `null` (16) is the unconditional branch. Training never clips, and neither do the schedulers.
    """

    name = "ddpm"
    null: ClassVar[int] = shapes.CLASSES
    recipes: ClassVar[Mapping[str, DDPMRecipe]] = {
        "xs": DDPMRecipe(
            pixels=16, channels=(32, 64, 80), attention=(1, 2), steps=3000, batch=64, lr=2e-3, ema=0.998
        ),
        "s": DDPMRecipe(
            pixels=32, channels=(16, 32, 64, 80), attention=(2, 3), steps=4200, batch=48, lr=2e-3, ema=0.998
        ),
    }

    @property
    def pixels(self) -> int:
        """Width and height of the images."""
        return self.recipes[self.size].pixels

    def bounds(self) -> dict[str, tuple[float, float]]:
        """More than 95 % of guided samples recognised, and colours no more than 0.1 off."""
        return {"accuracy_best": (0.95, 1.0), "saturation_gap@2": (-0.1, 0.1)}

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

    def data(self, split: str, *, n: int = 1024, seed: int = 0, labels: Any = None) -> shapes.ShapesData:
        """`n` images of a split, as `Shapes.data` gives them."""
        return shapes.tensors(shapes.sample_scenes(n, seed, split=split, labels=labels), self.pixels)

    def scheduler(self, kind: type = DDIMScheduler) -> Any:
        """A scheduler of this model: linear betas, noise prediction, no clipping, steps spaced from the last one.

        Args:
            kind: any Diffusers scheduler class that takes the same configuration.
        """
        recipe = self.recipes[self.size]
        base = DDPMScheduler(
            num_train_timesteps=recipe.timesteps,
            beta_start=recipe.beta[0],
            beta_end=recipe.beta[1],
            beta_schedule="linear",
            prediction_type="epsilon",
            clip_sample=False,
            timestep_spacing="trailing",
        )
        return kind.from_config(base.config)

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Mean squared error of the predicted noise at uniform timesteps, labels dropped now and then."""
        recipe = self.recipes[self.size]
        generator = torch.Generator().manual_seed(seed)
        scheduler = self.scheduler(DDPMScheduler)

        def loss_at(step: int) -> torch.Tensor:
            batch = self.data("train", n=recipe.batch, seed=seed * 1_000_003 + step)
            noise = torch.randn(batch.images.shape, generator=generator)
            times = torch.randint(0, recipe.timesteps, (recipe.batch,), generator=generator)
            dropped = torch.rand(recipe.batch, generator=generator) < recipe.label_dropout
            labels = batch.labels.masked_fill(dropped, self.null)
            noisy = scheduler.add_noise(batch.images, noise, times)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast):
                predicted = model(noisy.to(device), times.to(device), class_labels=labels.to(device)).sample
            return (predicted.float() - noise.to(device)).square().mean()

        return optimise(model, loss_at, recipe, progress)

    def noise(self, n: int, seed: int = 0) -> torch.Tensor:
        """(n, 3, H, W) starting noise, drawn from `seed`."""
        return torch.randn((n, 3, self.pixels, self.pixels), generator=torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def sample(
        self, labels: torch.Tensor, *, guidance: float = 2.0, steps: int = 25, seed: int = 0, batch: int = 128
    ) -> torch.Tensor:
        """Images (N, 3, H, W) of the classes `labels` (N,), by DDIM with classifier-free guidance, not clipped.

        Args:
            labels: classes in [0, 15].
            guidance: weight w of the conditional branch; 1 is no guidance (and one branch).
            steps: of the sampler.
            seed: of the starting noise.
            batch: images that go through the network together.
        """
        return _sample(self, self._model, labels, guidance=guidance, steps=steps, seed=seed, batch=batch)

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Scores of samples at guidance 1, 2 and 4, and of held-out real images beside them."""

        def draw(labels: torch.Tensor, guidance: float) -> torch.Tensor:
            return _sample(self, model, labels, guidance=guidance, steps=25, seed=seed, batch=128)

        return scores.measure_generator(draw, self.size, 512 if n is None else n, seed)


@torch.no_grad()
def _sample(
    bed: DDPM, model: Any, labels: torch.Tensor, *, guidance: float, steps: int, seed: int, batch: int
) -> torch.Tensor:
    noise = bed.noise(len(labels), seed)
    done = []
    for x, y in zip(noise.split(batch), labels.split(batch), strict=True):
        scheduler = bed.scheduler()
        scheduler.set_timesteps(steps)
        for t in scheduler.timesteps:
            if guidance == 1:
                predicted = model(x, t, class_labels=y).sample
            else:
                both = torch.cat([y, torch.full_like(y, bed.null)])
                conditional, unconditional = model(torch.cat([x, x]), t, class_labels=both).sample.chunk(2)
                predicted = unconditional + guidance * (conditional - unconditional)
            x = scheduler.step(predicted, t, x).prev_sample
        done.append(x)
    return torch.cat(done)
