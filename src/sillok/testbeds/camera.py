"""Short clips of a scene in space seen by a moving camera, and an image-to-video transformer that takes its rays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import CogVideoXTransformer3DModel
from numpy.typing import NDArray

from sillok.testbeds import shapes
from sillok.testbeds.base import Exhibit, check_count
from sillok.testbeds.flow import FlowRecipe, VelocityPrediction
from sillok.testbeds.generator import STEPS
from sillok.testbeds.tracks import colourful_tracks, track_error
from sillok.testbeds.training import fresh
from sillok.testbeds.video import FRAMES, PIXELS, strips

Array = NDArray[np.float64]
VERSION = 1  # of the distribution that `sample_views` draws from
RAYS = 6  # channels of a ray: moment and direction
SKY = 40.0  # depth that stands for infinity


@dataclass(frozen=True)
class CameraData:
    """N clips under a camera that moves without turning, everything else at rest.

    Attributes:
        videos: (N, 8, 3, 24, 24) float32 in [-1, 1].
        condition: (N, 8, 9, 24, 24) what the model is told: the first frame in every frame, and its rays.
        poses: (N, 8, 4, 4) world-to-camera, where the world is the first camera.
        intrinsics: (N, 3, 3) in pixels.
        depth: (N, 24, 24) z of the first frame; 40 for the sky. masks: (N, 8, 24, 24) where the object is.
    """

    videos: torch.Tensor
    condition: torch.Tensor
    poses: Array
    intrinsics: Array
    depth: Array
    masks: NDArray[np.bool_]


def sample_views(n: int, seed: int = 0, *, split: str = "train") -> shapes.Spaces:
    """Scenes of one large object on a floor, before a camera that goes straight ahead in any direction.

    Args:
        n: how many; a scene depends on seed, split and its own index alone.
        seed: of the random numbers.
        split: train, val or test.

    Raises:
        ValueError: a count below 1, or an unknown split.
    """
    spaces = shapes.sample_spaces(n, FRAMES, seed, split=split, objects=(1, 1), path="still")
    rng = np.random.default_rng([shapes.SPLITS.index(split), seed, VERSION, 23])
    u = rng.random((n, 4))
    angle = 2 * np.pi * u[:, 0]
    speed = 0.16 * np.sqrt(u[:, 1])  # half a pixel to one a frame where the object stands
    ahead = 0.14 * (2 * u[:, 2] - 1)
    step = np.stack([speed * np.cos(angle), speed * np.sin(angle), ahead], -1)
    poses = spaces.world_to_camera.copy()
    poses[..., :3, 3] += np.arange(FRAMES)[None, :, None] * step[:, None]
    half = spaces.half * (1.4 + 0.3 * u[:, 3])[:, None, None]
    centre = spaces.centre.copy()
    centre[..., :2] *= 0.4  # near the middle of the view
    centre[..., 2] = half[:, None, :, 2]
    return dataclasses.replace(spaces, world_to_camera=poses, half=half, centre=centre)


def pluecker_rays(poses: Array, focal: Array, pixels: int = PIXELS) -> torch.Tensor:
    """Moments o x d and unit directions d of all pixels' rays.

    Args:
        poses: (N, T, 4, 4) world-to-camera.
        focal: (N,) focal length in pixels; the principal point is the middle of the image.
        pixels: width and height.

    Returns:
        (N, T, 6, pixels, pixels) float32.
    """
    turn, shift = poses[..., :3, :3], poses[..., :3, 3]
    origin = -np.einsum("ntji,ntj->nti", turn, shift)
    at = shapes.space.pixel_grid(pixels) - pixels / 2
    flat = np.broadcast_to(at / focal[:, None, None], (len(poses), *at.shape))
    away = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], -1)
    away = away / np.linalg.norm(away, axis=-1, keepdims=True)
    away = np.einsum("ntji,npj->ntpi", turn, away)
    both = np.concatenate([np.cross(origin[:, :, None], away), away], -1).swapaxes(2, 3)
    return torch.from_numpy(both.reshape(*both.shape[:3], pixels, pixels).astype(np.float32))


def conditions(first: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
    """(N, 8, 9, H, W) for first frames (N, 3, H, W) in [-1, 1] and rays (N, 8, 6, H, W)."""
    return torch.cat([first[:, None].expand(-1, rays.shape[1], -1, -1, -1), rays], 2)


def views(split: str, n: int, seed: int = 0) -> CameraData:
    """`n` clips of a split, as tensors."""
    spaces = sample_views(n, seed, split=split)
    seen = shapes.render_spaces(spaces, PIXELS, samples=2, shadows=1)
    videos = torch.from_numpy(2 * np.moveaxis(seen.image, -1, 2) - 1).contiguous()
    poses = spaces.world_to_camera @ np.linalg.inv(spaces.world_to_camera[:, :1])
    camera = shapes.intrinsics(spaces, PIXELS)
    rays = pluecker_rays(poses, camera[:, 0, 0])
    depth = np.where(np.isfinite(seen.depth[:, 0]), seen.depth[:, 0], SKY)
    return CameraData(videos, conditions(videos[:, 0], rays), poses, camera, depth, seen.masks == 1)


@dataclass(frozen=True, kw_only=True)
class CameraRecipe(FlowRecipe):
    """How the image-to-video transformer is made: `modulation` is the width of what modulates its blocks."""

    modulation: int
    frames: int = FRAMES


class FlowCamera(VelocityPrediction):
    """Rectified-flow image-to-video transformer that is told the first frame and the camera's path as rays.

    Size `s`: eight frames of 24 pixels in patches of 4 (288 tokens, one of empty text). `model` is a
    `CogVideoXTransformer3DModel` of 12 channels: x, the first frame, and Plücker rays; with
    x = (1 - s) x0 + s noise it predicts noise - x0 at timestep 1000 s. The scene is at rest in all clips.
    """

    name = "flow-camera"
    recipes: ClassVar[Mapping[str, CameraRecipe]] = {
        "s": CameraRecipe(
            pixels=PIXELS,
            patch=4,
            heads=2,
            head=64,
            layers=4,
            modulation=64,
            shift=4.0,  # eight frames hide less than one, though the first of them is given
            steps=3000,
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
        """A `CogVideoXTransformer3DModel` with fresh weights."""
        recipe = self.recipes[self.size]
        return fresh(
            lambda: CogVideoXTransformer3DModel(
                num_attention_heads=recipe.heads,
                attention_head_dim=recipe.head,
                in_channels=3 + 3 + RAYS,
                out_channels=3,
                time_embed_dim=recipe.modulation,
                text_embed_dim=1,
                num_layers=recipe.layers,
                sample_width=recipe.pixels,
                sample_height=recipe.pixels,
                sample_frames=recipe.frames,
                patch_size=recipe.patch,
                temporal_compression_ratio=1,
                max_text_seq_length=1,
                spatial_interpolation_scale=1.0,
                temporal_interpolation_scale=1.0,
            ),
            seed,
        )

    def condition(self, labels: Any) -> torch.Tensor:
        """The conditions (N, 8, 9, 24, 24) themselves; see `conditions`.

        Raises:
            ValueError: another shape.
        """
        wanted = (FRAMES, 3 + RAYS, PIXELS, PIXELS)
        if not isinstance(labels, torch.Tensor) or tuple(labels.shape[1:]) != wanted or not len(labels):
            found = tuple(getattr(labels, "shape", ())) or type(labels).__name__
            raise ValueError(f"conditions must be a tensor of shape (N, *{wanted}); got {found}")
        return labels

    def unconditional(self, n: int) -> torch.Tensor:
        """(n, 8, 9, 24, 24) zeros."""
        return torch.zeros((n, FRAMES, 3 + RAYS, PIXELS, PIXELS))

    def data(self, split: str, *, n: int = 256, seed: int = 0) -> CameraData:
        """`n` clips of a split; see `sample_views`."""
        check_count("n", n)
        return views(split, n, seed)

    def batch(self, seed: int, step: int, size: int) -> tuple[torch.Tensor, Any]:
        """Clips never seen before, and what the model is told of them."""
        data = self.data("train", n=size, seed=seed * 1_000_003 + step)
        return data.videos, data.condition

    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The predicted velocity."""
        told = torch.cat([x, condition.to(x)], 2)
        empty = x.new_zeros((len(x), 1, 1))
        velocity: torch.Tensor = model(told, encoder_hidden_states=empty, timestep=t.expand(len(x))).sample
        return velocity

    predict = forward

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Frames that are closer to the true ones than the first frame is, and the object where it should be."""
        return {"gain": (2.0, float("inf")), "object_error": (0.0, 1.5)}

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """PSNR of frames 1 to 7 against the truth, gain over repeating the first, and distance of the object."""
        data = self.data("test", n=64 if n is None else n, seed=seed)
        made = self._draw(model, data.condition, 1.0, STEPS, seed, 32)
        still = data.videos[:, :1].expand_as(data.videos)
        drawn, repeated = (psnr(x[:, 1:], data.videos[:, 1:]) for x in (made, still))
        truth = colourful_tracks(data.videos).xy
        found = colourful_tracks(made).xy
        lost = np.isnan(found) & ~np.isnan(truth)
        found = np.where(lost, (PIXELS - 1) / 2, found)  # an object that is not drawn is wrong, not left out
        return {"psnr": drawn, "gain": drawn - repeated, "object_error": track_error(found, truth)}

    def exhibits(self) -> list[Exhibit]:
        """True clips, and beneath each what the model makes of its first frame and its camera."""
        data = self.data("test", n=3, seed=7)
        made = self.sample(data.condition, guidance=1.0, seed=3)
        both = torch.stack([data.videos, made], 1).flatten(0, 1)
        text = (
            "A scene under a moving camera, and beneath it what the model makes of its first frame and rays."
        )
        return [Exhibit("samples", text, strips(both))]


def psnr(made: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean peak signal-to-noise ratio in dB over clips (N, ...) in [-1, 1], clipped."""
    error = (made.clamp(-1, 1) - truth).flatten(1).square().mean(1) / 4
    return float((-10 * torch.log10(error.clamp(min=1e-10))).mean())
