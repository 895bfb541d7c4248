"""Where the object of a clip is in each frame, and how large: read from the pixels, and from the renderer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sillok.testbeds import shapes
from sillok.testbeds.movers import PIXELS

Array = NDArray[np.float64]

_ROUNDS = 12  # of the background's robust fit
_EDGE = 0.4  # a pixel counts between 0.3 and 0.7 of the object's colour: less is noise, more is all of it
_DISTINCT = 0.25  # colour distance, in [-1, 1] units, that an object keeps from the background at least
_SMALLEST, _LARGEST = 0.01, 0.5  # shares of the image


class ObjectTracks(NamedTuple):
    """The one object of each clip.

    Attributes:
        xy: (N, T, 2) its centroid in pixel coordinates (the first pixel's centre is 0); NaN where not found.
        area: (N, T) in pixels, edges counted by their share.
        found: (N, T) whether something stands out from the background, neither a speck nor half of the image.
    """

    xy: Array
    area: Array
    found: NDArray[np.bool_]


def object_tracks(videos: Any) -> ObjectTracks:
    """Find the object of each clip by its colour, against a background that is one linear gradient.

    The gradient is fitted to all frames of a clip, with weights that let the object's pixels go. What a pixel
    has of the object is how far it goes from the background's colour to the object's own.

    Args:
        videos: (N, T, 3, H, W) in [-1, 1] or a little beyond; tensor or array.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    pixels = _checked(videos)
    found = [_track(clip) for clip in pixels]
    xy, area, good = (np.stack(column) for column in zip(*found, strict=True))
    return ObjectTracks(xy, area, good)


def _track(clip: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    frames, _, height, width = clip.shape
    y, x = np.mgrid[:height, :width]
    plane = np.stack([np.ones(x.size), x.ravel() / width, y.ravel() / height], -1)
    colours = clip.reshape(frames, 3, -1).transpose(0, 2, 1)  # (T, P, 3)
    ground = np.broadcast_to(np.median(colours, (0, 1)), colours.shape[1:])
    for _ in range(_ROUNDS):
        distance = np.linalg.norm(colours - ground, axis=-1)
        weight = 1 / (distance**2 + 0.05**2)
        total = weight.sum(0)
        mean = (weight[..., None] * colours).sum(0) / total[:, None]
        scaled = plane * np.sqrt(total)[:, None]
        ground = plane @ np.linalg.lstsq(scaled, mean * np.sqrt(total)[:, None], rcond=None)[0]
    residual = colours - ground
    distance = np.linalg.norm(residual, axis=-1)
    own = np.quantile(distance, 0.96, axis=1)  # the smallest object covers a good twentieth of the image
    # The share is read along the object's own colour, in which noise of the other colours has no part.
    sure = (distance > 0.75 * own[:, None])[..., None]
    colour = (residual * sure).sum((0, 1)) / max(sure.sum(), 1)
    share = residual @ colour / max(float(colour @ colour), 1e-9)
    share = np.clip((share - 0.5) / _EDGE + 0.5, 0, 1)
    area = share.sum(1)
    found = (own > _DISTINCT) & (area > _SMALLEST * x.size) & (area < _LARGEST * x.size)
    places = np.stack([x.ravel(), y.ravel()], -1)
    xy = share @ places / np.maximum(area, 1e-9)[:, None]
    return np.where(found[:, None], xy, np.nan), area, found


def colourful_tracks(videos: Any) -> ObjectTracks:
    """Find the one colourful object of each clip among pale things: by saturation, which shade leaves as it is.

    Args:
        videos: (N, T, 3, H, W) in [-1, 1] or a little beyond; tensor or array.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    pixels = (np.clip(_checked(videos), -1, 1) + 1) / 2
    high, low = pixels.max(2), pixels.min(2)
    saturation = (high - low) / np.maximum(high, 0.05)
    share = np.clip((saturation - 0.36) / 0.12 + 0.5, 0, 1)  # pale things reach 0.25, objects begin at 0.5
    area = share.sum((2, 3))
    height, width = share.shape[2:]
    found = (area > _SMALLEST * height * width) & (area < _LARGEST * height * width)
    y, x = np.mgrid[:height, :width]
    xy = np.stack([(share * axis).sum((2, 3)) for axis in (x, y)], -1) / np.maximum(area, 1e-9)[..., None]
    return ObjectTracks(np.where(found[..., None], xy, np.nan), area, found)


def _checked(videos: Any) -> Array:
    pixels = np.asarray(videos.cpu() if isinstance(videos, torch.Tensor) else videos, np.float64)
    if pixels.ndim != 5 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"videos must have shape (N, T, 3, H, W); got {pixels.shape}")
    if not np.isfinite(pixels).all():
        raise ValueError("videos must be finite")
    return pixels


def true_tracks(clips: shapes.Clips, pixels: int = PIXELS) -> Array:
    """(N, T, 2) the centre of each clip's first object, in pixel coordinates, from the renderer's own numbers."""
    seen = (clips.position[:, :, 0] - clips.camera[..., :2]) * clips.camera[..., 2:]
    return np.asarray((seen + 1) * (pixels / 2) - 0.5, np.float64)


def track_error(found: Any, truth: Any) -> float:
    """Mean distance in pixels between two tracks (..., T, 2); times at which either is NaN are left out.

    Raises:
        ValueError: shapes that differ, or no time at which both are there.
    """
    a, b = np.asarray(found, np.float64), np.asarray(truth, np.float64)
    if a.shape != b.shape or a.shape[-1:] != (2,):
        raise ValueError(f"found and truth must have one shape (..., T, 2); got {a.shape} and {b.shape}")
    distance = np.linalg.norm(a - b, axis=-1)
    if np.isnan(distance).all():
        raise ValueError("found and truth have no time at which both are there")
    return float(np.nanmean(distance))


def patch_displacements(
    clips: shapes.Clips, pixels: int = PIXELS, patch: int = 4
) -> tuple[Array, NDArray[np.bool_]]:
    """How the renderer moves each patch from every frame to every other.

    Args:
        clips: N clips of one object that moves without turning or changing size, under a camera at rest.
        pixels: width and height of the video.
        patch: width and height of a patch.

    Returns:
        (N, T*T, P, 2) displacement (dx, dy) in patches of what a patch shows; row i * T + j is frame i to j; and
        (N, T, P) whether the object covers at least half of the patch. Patches that show the background do not
        move.

    Raises:
        ValueError: a patch that does not divide the image.
    """
    if patch < 1 or pixels % patch:
        raise ValueError(f"patch must divide {pixels}; got {patch!r}")
    track = true_tracks(clips, pixels) / patch
    n, frames = track.shape[:2]
    side = pixels // patch
    masks = shapes.render_clips(clips, pixels)[1] == 1
    share = masks.reshape(n, frames, side, patch, side, patch).mean((3, 5))
    covered = (share >= 0.5).reshape(n, frames, -1)
    moved = track[:, None, :] - track[:, :, None]  # (N, from, to, 2)
    flow = covered[:, :, None, :, None] * moved[:, :, :, None]
    return flow.reshape(n, frames * frames, side * side, 2), covered
