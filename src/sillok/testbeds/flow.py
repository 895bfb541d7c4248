"""Conditional rectified-flow transformers: Diffusers' `DiTTransformer2DModel`, on shapes and on digits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler

from sillok.testbeds import digits, shapes
from sillok.testbeds.base import Recipe
from sillok.testbeds.generator import ClassConditional, DigitsGenerator, Generator, ShapesGenerator
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
    shift: float = 1.0  # of the times towards noise, as FlowMatchEulerDiscreteScheduler means it
    spread: float = 1.0  # standard deviation of the logit of the times before their shift
    autocast: bool = True
    compiled: bool = True
    turn: float = shapes.FULL_TURN
    data: int = shapes.VERSION
    optimizer: str = "muon"
    ema: float = 0.999


class VelocityPrediction(Generator):
    """What all of them share: with x = (1 - s) x0 + s noise, the network predicts noise - x0 at timestep 1000 s."""

    def scheduler(self) -> Any:
        """A `FlowMatchEulerDiscreteScheduler` with the recipe's time shift."""
        recipe: Any = self.recipe
        return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=recipe.shift)

    def shift_of(self, samples: torch.Tensor) -> float:
        """The time shift that a batch (N, ...) is trained with."""
        recipe: Any = self.recipe
        shift: float = recipe.shift
        return shift

    @abstractmethod
    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The predicted velocity of what `build` made, in training."""

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Mean squared error of the velocity, conditions dropped now and then.

        Times are logit-normal and shifted as the scheduler's are (Esser et al. 2024, sections 3.1 and 5.3.2):
        the more pixels show one thing, the more noise it takes to hide it, and where the sample itself shows
        what the condition says, the condition is not learned.
        """
        recipe: Any = self.recipe
        network = compiled(model) if recipe.compiled else model

        def loss_at(step: int) -> torch.Tensor:
            samples, condition, noise, generator = self.batch_for_step(seed, step, recipe.batch)
            time = (recipe.spread * torch.randn(len(samples), generator=generator)).sigmoid()
            shift = self.shift_of(samples)
            time = shift * time / (1 + (shift - 1) * time)
            level = time.view(-1, *[1] * (samples.ndim - 1))
            noisy = (1 - level) * samples + level * noise
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast):
                predicted = self.forward(
                    network, noisy.to(device), 1000 * time.to(device), condition.to(device)
                )
            return (predicted.float() - (noise - samples).to(device)).square().mean()

        return optimise(model, loss_at, recipe, progress)


def transformer(recipe: FlowRecipe, channels: int, classes: int) -> Any:
    """A `DiTTransformer2DModel` for images of so many channels; class `classes` is the null condition."""
    made = DiTTransformer2DModel(
        num_attention_heads=recipe.heads,
        attention_head_dim=recipe.head,
        in_channels=channels,
        out_channels=channels,
        num_layers=recipe.layers,
        sample_size=recipe.pixels,
        patch_size=recipe.patch,
        num_embeds_ada_norm=classes,
    )
    for module in made.modules():
        # each block would drop labels by itself, from the global generator: `fit` drops them instead
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    return made


class _ClassTransformer(VelocityPrediction, ClassConditional):
    """A transformer whose blocks are modulated by a class, the last of which is the null condition."""

    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The predicted velocity."""
        velocity: torch.Tensor = model(x, timestep=t.expand(len(x)), class_labels=condition).sample
        return velocity

    predict = forward


class Flow(_ClassTransformer, ShapesGenerator):
    """Rectified-flow transformer on RGB shapes, conditioned on 16 classes, with a null class for guidance.

    Size `s`: 32 pixels in patches of 4 (64 tokens), four blocks, heads of 64. With x = (1 - s) x0 + s noise,
    `model(x, timestep=1000 s, class_labels=labels).sample` predicts the velocity noise - x0; class `null`
    (16) is the unconditional branch.
    """

    name = "flow"
    recipes: ClassVar[Mapping[str, FlowRecipe]] = {
        "s": FlowRecipe(
            pixels=32, patch=4, heads=2, head=64, layers=4, turn=0.6, steps=7000, batch=64, lr=8e-3
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `DiTTransformer2DModel` with fresh weights."""
        return fresh(lambda: transformer(self.recipes[self.size], 3, self.classes), seed)


class FlowDigits(_ClassTransformer, DigitsGenerator):
    """Rectified-flow transformer on handwritten digits, conditioned on 10 classes, with a null class for guidance.

    Size `s`: 16 pixels in patches of 2 (64 tokens), four blocks of width 96. Its prediction is that of `flow`;
    class `null` (10) is the unconditional branch.
    """

    name = "flow-digits"
    recipes: ClassVar[Mapping[str, FlowRecipe]] = {
        "s": FlowRecipe(
            pixels=16,
            patch=2,
            heads=2,
            head=48,
            layers=4,
            steps=3000,
            batch=64,
            lr=8e-3,
            data=digits.VERSION,
        ),
    }

    def build(self, seed: int = 0) -> Any:
        """A `DiTTransformer2DModel` with fresh weights."""
        return fresh(lambda: transformer(self.recipes[self.size], 1, self.classes), seed)
