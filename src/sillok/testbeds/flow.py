"""A class-conditional rectified-flow transformer on shapes: Diffusers' `DiTTransformer2DModel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler

from sillok.testbeds import shapes
from sillok.testbeds.base import Recipe
from sillok.testbeds.generator import ShapesGenerator
from sillok.testbeds.training import Progress, compiled, fresh, optimise


@dataclass(frozen=True, kw_only=True)
class FlowRecipe(Recipe):
    """How the velocity predictor is made and trained."""

    pixels: int
    patch: int
    heads: int
    head: int
    layers: int
    label_dropout: float = 0.12
    autocast: bool = True
    compiled: bool = True
    turn: float = shapes.FULL_TURN
    data: int = shapes.VERSION


class Flow(ShapesGenerator):
    """Rectified-flow transformer on RGB shapes, conditioned on 16 classes, with a null class for guidance.

    Size `s`: 32 pixels in patches of 4 (64 tokens), four blocks, heads of 64. With x = (1 - s) x0 + s noise,
    `model(x, timestep=1000 s, class_labels=labels).sample` predicts the velocity noise - x0; class `null`
    (16) is the unconditional branch.
    """

    name = "flow"
    recipes: ClassVar[Mapping[str, FlowRecipe]] = {
        "s": FlowRecipe(
            pixels=32,
            patch=4,
            heads=2,
            head=64,
            layers=4,
            turn=0.6,
            steps=7000,
            batch=64,
            lr=8e-3,
            ema=0.999,
            optimizer="muon",
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `DiTTransformer2DModel` with fresh weights."""
        recipe = self.recipes[self.size]

        def model() -> Any:
            made = DiTTransformer2DModel(
                num_attention_heads=recipe.heads,
                attention_head_dim=recipe.head,
                in_channels=3,
                out_channels=3,
                num_layers=recipe.layers,
                sample_size=recipe.pixels,
                patch_size=recipe.patch,
                num_embeds_ada_norm=shapes.CLASSES,
            )
            for module in made.modules():
                # each block would drop labels by itself, from the global generator: `fit` drops them instead
                if hasattr(module, "dropout_prob"):
                    module.dropout_prob = 0.0
            return made

        return fresh(model, seed)

    def scheduler(self) -> Any:
        """A `FlowMatchEulerDiscreteScheduler` without time shift."""
        return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)

    def predict(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The velocity noise - x0 that the network sees in x."""
        velocity: torch.Tensor = model(x, timestep=t.expand(len(x)), class_labels=condition).sample
        return velocity

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Mean squared error of the velocity at logit-normal times, labels dropped now and then."""
        recipe = self.recipes[self.size]
        network = compiled(model) if recipe.compiled else model

        def loss_at(step: int) -> torch.Tensor:
            images, labels, noise, generator = self.batch_for_step(seed, step, recipe.batch)
            time = torch.randn(recipe.batch, generator=generator).sigmoid()
            level = time[:, None, None, None]
            noisy = (1 - level) * images + level * noise
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast):
                predicted = network(
                    noisy.to(device), timestep=1000 * time.to(device), class_labels=labels.to(device)
                ).sample
            return (predicted.float() - (noise - images).to(device)).square().mean()

        return optimise(model, loss_at, recipe, progress)
