"""One run of motion guidance: what the network's blocks are given besides their own, while a video is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Rotary = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class MotionSignal:
    """What a reference video says of its motion, for the transformer and block that it was extracted with.

    Attributes:
        flow: (B, F*F, H*W, 2) hard attention motion flow in patches.
        means: (B, F, C) features after the block, averaged over each frame's patches.
        latents: (B, F, c, h, w) the clean video as the transformer sees it.
        block: of the transformer.
    """

    flow: Tensor
    means: Tensor
    latents: Tensor
    block: int


@dataclass
class Following:
    """The state of one run over B videos.

    Attributes:
        config: of the transformer.
        motion: None while a reference is extracted.
        noise: (B, F, c, h, w) what sampling starts from.
        text, rotary: what the transformer takes beside the latents.
        embeddings: offsets of an earlier run, to be set instead of optimising.
        reference: block -> keys and values of the noised reference's image tokens, in this step.
        offset: of the positional embedding, in this step; last: where the next step's optimisation starts.
        stop: whether the network may be left once what was wanted of it has been seen.
    """

    config: Any
    motion: MotionSignal | None
    noise: Tensor
    text: Tensor
    rotary: Rotary | None
    embeddings: Mapping[float, Tensor] | None = None
    reference: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    offset: Tensor | None = None
    last: Tensor | None = None
    stop: bool = False

    @property
    def grid(self) -> tuple[int, int, int]:
        """Frames, rows and columns of patches."""
        frames, _, height, width = self.noise.shape[1:]
        return frames, height // self.config.patch_size, width // self.config.patch_size

    @property
    def tokens(self) -> int:
        """Image tokens of a video."""
        frames, height, width = self.grid
        return frames * height * width

    @property
    def turning(self) -> bool:
        """Whether queries and keys are turned by tables of their own."""
        return self.offset is not None and self.rotary is not None

    def no_offset(self) -> Tensor:
        """Zeros in the shape of an offset: (B, N, C), or (B, 2, 2, N, D) for rotary tables of queries and keys."""
        if self.rotary is None:
            width = self.config.num_attention_heads * self.config.attention_head_dim
            return torch.zeros((len(self.noise), self.tokens, width), device=self.noise.device)
        return torch.zeros((len(self.noise), 2, 2, *self.rotary[0].shape), device=self.noise.device)

    def check_embeddings(self) -> None:
        """Raise ValueError where an offset that was given has another shape."""
        wanted = tuple(self.no_offset().shape)
        for timestep, one in (self.embeddings or {}).items():
            if tuple(one.shape[1:]) != wanted[1:] or len(one) not in (1, wanted[0]):
                raise ValueError(f"embeddings[{timestep:g}] must have shape {wanted}; got {tuple(one.shape)}")

    def given(self, timestep: Tensor) -> Tensor:
        """The offset that was given for a timestep; ValueError where there is none."""
        assert self.embeddings is not None
        if float(timestep) not in self.embeddings:
            known = ", ".join(f"{one:g}" for one in self.embeddings)
            raise ValueError(f"embeddings have no timestep {float(timestep):g}; they have {known}")
        return self.embeddings[float(timestep)].to(self.noise.device)

    def turned(self, x: Tensor, which: int) -> Tensor:
        """Queries (``which`` 0) or keys (1) (n, H, N, D) with the image tokens turned by tables of their own.

        Pairs of neighbouring channels are turned, as CogVideoX does, and the tables need not stay on the circle.
        """
        assert self.rotary is not None
        assert self.offset is not None
        tables = torch.stack(self.rotary).to(x.device) + for_batch(self.offset[:, which], len(x))
        cos, sin = tables[:, 0, None], tables[:, 1, None]
        text = x.shape[2] - self.tokens
        image = x[:, :, text:].float()
        pairs = image.unflatten(-1, (-1, 2))
        across = torch.stack([-pairs[..., 1], pairs[..., 0]], -1).flatten(-2)
        return torch.cat([x[:, :, :text], (image * cos + across * sin).to(x.dtype)], 2)

    def moved(self, embedded: Tensor) -> Tensor:
        """Embedded tokens (n, L + N, C) with the offset added to the image tokens."""
        assert self.offset is not None
        text = embedded.shape[1] - self.tokens
        image = embedded[:, text:] + for_batch(self.offset, len(embedded)).to(embedded.dtype)
        return torch.cat([embedded[:, :text], image], 1)

    def injected(self, block: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (n, H, L + N, D) with the reference's in place of the image tokens'."""
        text = key.shape[2] - self.tokens
        kept_key, kept_value = (for_batch(x, len(key)).to(key.dtype) for x in self.reference[block])
        return torch.cat([key[:, :, :text], kept_key], 2), torch.cat([value[:, :, :text], kept_value], 2)


def for_batch(rows: Tensor, batch: int) -> Tensor:
    """Rows of B videos for a call that holds them several times over, as guidance does."""
    return rows.repeat(batch // len(rows), *[1] * (rows.ndim - 1))
