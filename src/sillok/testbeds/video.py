"""A rectified-flow video transformer that draws short clips of one moving shape from captions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import CogVideoXTransformer3DModel

from sillok.testbeds import scores, shapes
from sillok.testbeds.base import Exhibit
from sillok.testbeds.captions import WIDTH, CaptionConditional, Captioned, new_encoder
from sillok.testbeds.flow import FlowRecipe, VelocityPrediction
from sillok.testbeds.generator import GUIDANCES, STEPS
from sillok.testbeds.movers import (
    CLASSES,
    FRAMES,
    HEADINGS,
    PIXELS,
    VERSION,
    ClipJudge,
    MoversData,
    captions_of,
    movers,
    strips,
)
from sillok.testbeds.training import Progress, fresh


@dataclass(frozen=True, kw_only=True)
class VideoRecipe(FlowRecipe):
    """How the video transformer is made and trained.

    `modulation` is the width of what modulates its blocks. The first `stills` steps see one frame of each of
    `still_batch` clips, embedded at its time, and whole clips follow: a still costs an eighth of a clip or less,
    its few tokens do not drown the caption's, and where a shape is at a time tells where it is going.
    """

    modulation: int
    stills: int
    still_batch: int
    silent: float = 0.15  # share of captions that leave the heading out
    frames: int = FRAMES


class FlowVideo(CaptionConditional, VelocityPrediction):
    """Rectified-flow video transformer on clips of one moving object, with captions, in the manner of CogVideoX.

    Size `s`: eight frames of 24 pixels in patches of 4; text and all frames attend to one another (288 + 24
    tokens). Times are shifted towards noise, where a clip does not yet show what its caption says. `model` is a
    `CogVideoXTransformer3DModel`, `text_encoder` a `CLIPTextModel`; with x = (1 - s) x0 + s noise of shape
    (N, 8, 3, 24, 24) it predicts noise - x0 at timestep 1000 s. Colour and heading are those of the caption; shapes
    it has not learned, and draws a blob (`still_accuracy` is chance).
    """

    name = "flow-video"
    length = 24  # the caption, and what its end says of it many times over: else 288 image tokens drown it
    _times: torch.Tensor | None = None  # of the stills of a training step
    recipes: ClassVar[Mapping[str, VideoRecipe]] = {
        "s": VideoRecipe(
            pixels=PIXELS,
            patch=4,
            heads=2,
            head=64,
            layers=4,
            modulation=64,
            shift=4.5,
            spread=1.7,  # headings are learned where s > 0.97, shapes and smooth grounds where s < 0.5
            stills=2300,
            still_batch=48,
            steps=5000,
            batch=8,
            lr=8e-3,
            data=VERSION,
        ),
    }

    @property
    def shape(self) -> tuple[int, ...]:
        """(8, 3, 24, 24)."""
        return (FRAMES, 3, PIXELS, PIXELS)

    def build(self, seed: int = 0) -> Any:
        """A `Captioned` model: `CogVideoXTransformer3DModel` and `CLIPTextModel`, with fresh weights."""
        recipe = self.recipes[self.size]

        def model() -> Any:
            denoiser = CogVideoXTransformer3DModel(
                num_attention_heads=recipe.heads,
                attention_head_dim=recipe.head,
                in_channels=3,
                out_channels=3,
                time_embed_dim=recipe.modulation,
                text_embed_dim=WIDTH,
                num_layers=recipe.layers,
                sample_width=recipe.pixels,
                sample_height=recipe.pixels,
                sample_frames=recipe.frames,
                patch_size=recipe.patch,
                temporal_compression_ratio=1,
                max_text_seq_length=self.length,
                spatial_interpolation_scale=1.0,
                temporal_interpolation_scale=1.0,
            )
            return Captioned(denoiser, new_encoder(self.length))

        return fresh(model, seed)

    def captions(self, labels: torch.Tensor) -> list[str]:
        """The captions of classes (N,) in [0, 63]."""
        return captions_of(labels)

    def data(self, split: str, *, n: int = 1024, seed: int = 0, labels: Any = None) -> MoversData:
        """`n` clips of a split, as `Movers.data` gives them."""
        return movers(split, n, seed, labels)

    def batch(self, seed: int, step: int, size: int) -> tuple[torch.Tensor, Any]:
        """Clips never seen before, and their captions, of which some do not tell where the shape is going."""
        data = self.data("train", n=size, seed=seed * 1_000_003 + step)
        silent = np.random.default_rng([seed, step]).random(size) < self.recipes[self.size].silent
        plain = shapes.captions(data.labels.numpy() // len(HEADINGS))
        whole = data.captions()
        return data.videos, [p if s else w for p, w, s in zip(plain, whole, silent, strict=True)]

    def shift_of(self, samples: torch.Tensor) -> float:
        """The recipe's shift for whole clips; fewer frames need less noise to hide what they show."""
        recipe = self.recipes[self.size]
        return recipe.shift * math.sqrt(samples.shape[1] / recipe.frames)  # Esser et al. 2024, eq. 23

    def batch_for_step(
        self, seed: int, step: int, size: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Generator]:
        """One training batch: of stills (still_batch, 1, 3, 24, 24) at first, then of clips."""
        recipe = self.recipes[self.size]
        if step >= recipe.stills:
            self._times = None
            return super().batch_for_step(seed, step, size)
        clips, condition, noise, generator = super().batch_for_step(seed, step, recipe.still_batch)
        # first frames alone for a third of the way, since where a shape starts tells where it goes, and then later
        # ones too: of all frames together the words "left" and "right" say nothing on the average
        latest = min(FRAMES - 1, max(0, int((step / recipe.stills - 0.3) * 2 * FRAMES)))
        self._times = torch.randint(latest + 1, (len(clips),), generator=generator)
        stills = clips[torch.arange(len(clips)), self._times]
        return stills[:, None], condition, noise[:, :1], generator

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """As `VelocityPrediction.fit`; a still gets the positional embedding of its time, not of the first frame."""
        handle = self._place_stills(model.denoiser.patch_embed)
        try:
            return super().fit(model, progress, device=device, seed=seed)
        finally:
            handle.remove()
            self._times = None

    def _place_stills(self, embed: Any) -> Any:
        """Hook a patch embedding so that it embeds stills as the frames at `_times`; the hook's handle."""
        table = embed._get_positional_embeddings(PIXELS, PIXELS, FRAMES)[0, self.length :]
        table = table.float().unflatten(0, (FRAMES, -1))

        def place(module: Any, args: Any, embedded: torch.Tensor) -> torch.Tensor | None:
            if self._times is None:
                return None
            text, image = embedded.split([self.length, table.shape[1]], 1)
            away = (table[self._times] - table[0]).to(image.device, image.dtype)
            return torch.cat([text, image + away], 1)

        return embed.register_forward_hook(place)

    def judge(self, n: int = 1024) -> ClipJudge:
        """A judge of this model's clips, whose reference is `n` clips of the validation split."""
        from sillok.testbeds import load

        return ClipJudge(load("clips", "s").model, self.data("val", n=n).videos)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """The shares of guided clips whose colour and whose heading are recognised are at least `floor`."""
        return {f"{what}_accuracy@4": (self.floor, 1.0) for what in ("colour", "heading")}

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Scores of clips at guidance 1, 2 and 4, and of held-out real clips beside them."""

        def draw(labels: torch.Tensor, guidance: float) -> torch.Tensor:
            return self._draw(model, self.condition(labels), guidance, STEPS, seed, 32)

        count = 2 * CLASSES if n is None else n
        real = self.data("test", n=count, seed=seed)
        return scores.measure_generator(
            draw, self.judge(max(count, 256)), real.videos, real.labels, GUIDANCES
        )

    def exhibits(self) -> list[Exhibit]:
        """Clips for six captions, drawn at guidance 4."""
        captions = captions_of([1, 18, 40, 63, 8, 31])
        clips = self.sample(captions, guidance=4.0, seed=3)
        return [
            Exhibit(
                "samples",
                "Clips drawn at guidance 4, a row each: " + "; ".join(captions) + ".",
                strips(clips),
            )
        ]
