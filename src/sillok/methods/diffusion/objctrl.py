"""ObjCtrl-2.5D (arXiv 2412.07721): an object moved in image-to-video by a camera-controlled model, untrained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from sillok.methods.cameras import check_camera, check_poses, plucker, project, unproject, warp

__all__ = [
    "background_poses",
    "layer_pose_features",
    "lift_trajectory",
    "low_pass",
    "objmc",
    "plucker",
    "scale_depth",
    "shared_warp_latents",
    "trajectory_to_poses",
    "warp",
    "warp_masks",
]

Array = NDArray[np.float64]
MODES = ("fixed", "reverse", "free")
# Kernels by which the mask is dilated at the encoder's scales, the finest first, for what the union of the
# warped masks covers at least.
KERNELS = ((0.30, (1, 1, 1, 3)), (0.15, (3, 1, 1, 5)), (0.0, (5, 3, 3, 7)))
_KEPT = 0.25  # share of its area that a mask must keep in a warp, or it is shifted instead


def scale_depth(depth: ArrayLike, centre: float = 5.2, margin: int = 10) -> Array:
    """A depth map scaled so that the mean around its middle is ``centre``: it decides how far things move.

    Args:
        depth: (H, W) positive.
        centre: the mean that is wanted, in the unit that the camera-controlled model was trained with.
        margin: half the width, in pixels, of the square around the middle (at most a quarter of the image).

    Raises:
        ValueError: another shape, or depth that is not positive and finite.
    """
    z = _depth(depth)
    height, width = z.shape
    down, right = (max(1, min(margin, side // 4)) for side in (height, width))
    middle = z[height // 2 - down : height // 2 + down, width // 2 - right : width // 2 + right]
    return z * (centre / middle.mean())


def lift_trajectory(track: ArrayLike, depth: ArrayLike, K: ArrayLike) -> Array:
    """Points in camera coordinates of a track in the image, with the depth that the image has there.

    Args:
        track: (F, 2) u and v in pixels; the first pixel's centre is 0.5.
        depth: (H, W) positive, of the image that is animated.
        K: (3, 3) in pixels of the image.

    Returns:
        (F, 3).

    Raises:
        ValueError: another shape, a point outside of the image, depth that is not positive and finite.
    """
    points, z = np.asarray(track, np.float64), _depth(depth)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"track must have shape (F, 2) with F >= 1; got {points.shape}")
    size = np.array([z.shape[1], z.shape[0]])
    if not ((points >= 0) & (points <= size)).all():  # false for NaN too
        raise ValueError(
            f"track must stay in the image of {size[0]} x {size[1]} pixels; got {points.tolist()}"
        )
    column, row = np.minimum(points.astype(np.int64), size - 1).T
    return unproject(points, z[row, column], K)


def trajectory_to_poses(points: ArrayLike) -> Array:
    """World-to-camera poses (F, 4, 4) under which a point at rest is seen to go along ``points`` (F, 3).

    The object moves to the right where the camera moves to the left: the world is shifted by X_i - X_0.

    Raises:
        ValueError: another shape, or values that are not finite.
    """
    found = np.asarray(points, np.float64)
    if found.ndim != 2 or found.shape[1] != 3 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"points must be finite and have shape (F, 3) with F >= 1; got {found.shape}")
    poses = np.tile(np.eye(4), (len(found), 1, 1))
    poses[:, :3, 3] = found - found[0]
    return poses


def background_poses(poses: ArrayLike, mode: str = "fixed") -> Array | None:
    """The poses (F, 4, 4) of the background's layer: at rest ("fixed"), the object's in reverse, or None ("free").

    Raises:
        ValueError: an unknown mode; see `check_poses`.
    """
    _check_mode(mode)
    found = check_poses(poses)
    if mode == "free":
        return None
    return found[::-1].copy() if mode == "reverse" else np.repeat(found[:1], len(found), 0)


def warp_masks(mask: ArrayLike, depth: ArrayLike, poses: ArrayLike, K: ArrayLike) -> Array:
    """Where the object's mask (H, W) is in every frame: (F, H, W) in [0, 1].

    A mask that is too small to be warped (three quarters of it would be lost) is shifted by whole pixels to
    where its middle goes, without change of size.

    Args:
        mask: (H, W) in [0, 1], of the object in the first frame.
        depth: (H, W) positive, of the first frame.
        poses: (F, 4, 4) of the object's layer.
        K: (3, 3) in pixels of the mask.

    Raises:
        ValueError: an empty mask, values outside of [0, 1]; see `warp`.
    """
    first, z = np.asarray(mask, np.float64), _depth(depth)
    if first.shape != z.shape or not ((first >= 0) & (first <= 1)).all() or not first.any():
        raise ValueError(
            f"mask must lie in [0, 1], be {z.shape} as depth is, and not be empty; got {first.shape}"
        )
    matrices = check_poses(poses)
    rows, columns = np.nonzero(first > 0.5 * first.max())
    middle = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 2
    at = (int(middle[1]), int(middle[0]))
    start = unproject(middle, z[at], K) - matrices[0, :3, 3]
    out = []
    for pose, warped in zip(matrices, warp(first, z, matrices, K), strict=True):
        uv, _ = project(start @ matrices[0, :3, :3], pose, K)
        if warped.sum() < _KEPT * first.sum() and np.isfinite(uv).all():
            warped = _shifted(first, np.round(uv - middle).astype(np.int64))
        out.append(np.clip(warped, 0, 1))
    return np.stack(out)


def layer_pose_features(
    obj: Sequence[Tensor],
    bg: Sequence[Tensor] | None,
    masks: ArrayLike | Tensor,
    *,
    mode: str = "fixed",
    scalewise: bool = True,
) -> list[Tensor]:
    """Pose features of two layers: the object's inside of the union of its masks, the background's outside.

    Args:
        obj: features of the object's poses at each scale, the finest first, (B, C, F, h, w); at most four.
        bg: those of `background_poses` in the same shapes; None for mode "free", whose background is 0.
        masks: (F, H, W) where the object is in each frame, in [0, 1].
        mode: fixed, reverse or free.
        scalewise: dilate the mask at each scale, the more the less it covers; else not at all.

    Returns:
        The mixed features, in the shapes and types of ``obj``.

    Raises:
        ValueError: no or too many scales, shapes that differ, a mode without its background, or masks outside
            of [0, 1].
    """
    _check_mode(mode)
    if not 1 <= len(obj) <= 4:
        raise ValueError(f"obj must have one to four scales; got {len(obj)}")
    if (bg is None) != (mode == "free"):
        raise ValueError(f"mode {mode!r} {'needs' if bg is None else 'has no'} background features (bg)")
    shapes = [tuple(x.shape) for x in obj]
    if bg is not None and [tuple(x.shape) for x in bg] != shapes:
        raise ValueError(f"bg must have the shapes of obj, {shapes}; got {[tuple(x.shape) for x in bg]}")
    area = torch.as_tensor(np.asarray(masks) if not isinstance(masks, Tensor) else masks)
    if area.ndim != 3 or 0 in area.shape or not bool(((area >= 0) & (area <= 1)).all()):
        raise ValueError(f"masks must lie in [0, 1] and have shape (F, H, W); got {tuple(area.shape)}")
    union = area.float().sum(0).clamp(max=1)
    covered = float(union.mean())
    kernels = next(sizes for least, sizes in KERNELS if covered > least or least == 0.0)
    out = []
    for i, x in enumerate(obj):
        at = F.interpolate(union[None, None].to(x.device), x.shape[-2:], mode="bilinear", align_corners=False)
        size = kernels[i] if scalewise else 1
        at = F.max_pool2d(at, size, 1, size // 2)[:, :, None].to(x.dtype)
        out.append(x * at if bg is None else x * at + bg[i] * (1 - at))
    return out


def low_pass(
    frames: int, height: int, width: int, *, d_s: float = 0.25, d_t: float = 0.1, order: int = 4
) -> Tensor:
    """Butterworth filter (F, H, W) of a spectrum whose zero frequency stands in the middle.

    Args:
        frames, height, width: of the spectrum.
        d_s, d_t: stop frequencies in space and time, shares of the highest; 0 lets nothing pass.
        order: of the filter.

    Raises:
        ValueError: a size or order below 1, a negative frequency.
    """
    if min(frames, height, width, order) < 1 or min(d_s, d_t) < 0:
        raise ValueError(
            f"sizes and order must be at least 1 and d_s, d_t not negative; got {(frames, height, width)}, "
            f"order {order!r}, d_s {d_s!r}, d_t {d_t!r}"
        )
    if d_s == 0 or d_t == 0:
        return torch.zeros(frames, height, width)
    t, y, x = (2 * torch.arange(n, dtype=torch.float64) / n - 1 for n in (frames, height, width))
    square = ((d_s / d_t * t) ** 2)[:, None, None] + (y**2)[:, None] + x**2
    return (1 / (1 + (square / d_s**2) ** order)).float()


def shared_warp_latents(
    noise: Tensor,
    depth: ArrayLike,
    poses: ArrayLike,
    masks: ArrayLike,
    K: ArrayLike,
    *,
    d_s: float = 0.25,
    d_t: float = 0.1,
    order: int = 4,
) -> Tensor:
    """Starting noise in which the object carries its own noise along.

    Frame 0's noise is warped as the object moves and pasted inside its masks. Of that the low frequencies are
    taken, and the high ones of the noise as it was: interpolation has smoothed the warped noise.

    Args:
        noise: (B, F, C, h, w) standard normal.
        depth: (h, w) positive, in the size of the latents, as are ``masks`` and ``K``.
        poses: (F, 4, 4) of the object's layer.
        masks: (F, h, w) in [0, 1], as `warp_masks` gives them.
        K: (3, 3).
        d_s, d_t, order: see `low_pass`; with d_s = 0 the noise itself comes back.

    Raises:
        ValueError: shapes that differ; see `warp` and `low_pass`.
    """
    z, matrices, inside = _depth(depth), check_poses(poses), np.asarray(masks, np.float64)
    check_camera(K)
    if noise.ndim != 5 or 0 in noise.shape or tuple(noise.shape[-2:]) != z.shape:
        raise ValueError(
            f"noise must have shape (B, F, C, {z.shape[0]}, {z.shape[1]}); got {tuple(noise.shape)}"
        )
    wanted = (noise.shape[1], *z.shape)
    if inside.shape != wanted or len(matrices) != wanted[0]:
        raise ValueError(
            f"masks must have shape {wanted} and poses {wanted[0]} rows; got {inside.shape} and {len(matrices)}"
        )
    filtered = low_pass(*wanted, d_s=d_s, d_t=d_t, order=order).to(noise.device)
    if not bool(filtered.any()):
        return noise.clone()
    first = noise[:, 0].float().cpu().numpy()  # (B, C, h, w): the batch's channels are warped together
    flat = first.reshape(-1, *z.shape).transpose(1, 2, 0)
    warped = np.stack(warp(flat, z, matrices, K)).transpose(0, 3, 1, 2)  # (F, B C, h, w)
    carried = (
        torch.from_numpy(warped).to(noise.device, torch.float32).unflatten(1, first.shape[:2]).transpose(0, 1)
    )
    at = torch.from_numpy(inside).to(noise.device, torch.float32)[None, :, None]
    base = noise.float()
    pasted = carried * at + base * (1 - at)
    # volumes of time and space, channel by channel
    low, high = (torch.fft.fftn(x.transpose(1, 2), dim=(-3, -2, -1)) for x in (pasted, base))
    passed = torch.fft.ifftshift(filtered, dim=(-3, -2, -1))
    mixed = torch.fft.ifftn(low * passed + high * (1 - passed), dim=(-3, -2, -1)).real
    return mixed.transpose(1, 2).to(noise.dtype)


def objmc(pred: ArrayLike, target: ArrayLike) -> float:
    """Mean distance in pixels (lower is better) between an object's track and the one that was asked for.

    Args:
        pred, target: (F, 2) in pixels.

    Raises:
        ValueError: shapes that differ, or values that are not finite.
    """
    a, b = np.asarray(pred, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or not len(a):
        raise ValueError(f"pred and target must have one shape (F, 2); got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("pred and target must be finite")
    return float(np.linalg.norm(a - b, axis=1).mean())


def _depth(depth: ArrayLike) -> Array:
    z = np.asarray(depth, np.float64)
    if z.ndim != 2 or 0 in z.shape or not (np.isfinite(z) & (z > 0)).all():
        raise ValueError(f"depth must be positive, finite and of shape (H, W); got shape {z.shape}")
    return z


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")


def _shifted(mask: Array, by: NDArray[np.int64]) -> Array:
    """The mask moved by whole pixels (x, y); what leaves the image is lost."""
    out = np.zeros_like(mask)
    rows, columns = np.nonzero(mask)
    to = rows + by[1], columns + by[0]
    inside = (to[0] >= 0) & (to[0] < mask.shape[0]) & (to[1] >= 0) & (to[1] < mask.shape[1])
    out[to[0][inside], to[1][inside]] = mask[rows[inside], columns[inside]]
    return out
