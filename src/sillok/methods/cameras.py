"""Pinhole cameras: projection, Plücker rays and warps by depth, for methods of any family.

Poses are world-to-camera matrices (4, 4) of OpenCV cameras: x right, y down, z forward. The pixel in row i and
column j has its centre at (u, v) = (j + 0.5, i + 0.5).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import griddata
from scipy.spatial import QhullError
from torch import Tensor

__all__ = ["centres", "check_camera", "check_poses", "plucker", "project", "unproject", "warp"]

Array = NDArray[np.float64]

_NEAR = 1e-6  # depth at which a point counts as before the camera
_SURFACE = 0.02  # relative depth by which a point may lie behind another in its pixel and still be seen


def check_poses(poses: ArrayLike, name: str = "poses") -> Array:
    """Poses (F, 4, 4) as float64.

    Raises:
        ValueError: another shape, no pose, values that are not finite, rotations that are none, another last row.
    """
    found = np.asarray(poses, np.float64)
    if found.ndim != 3 or found.shape[1:] != (4, 4) or not len(found):
        raise ValueError(f"{name} must have shape (F, 4, 4) with F >= 1; got {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite")
    turn = found[:, :3, :3]
    if np.abs(turn @ turn.swapaxes(1, 2) - np.eye(3)).max() > 1e-4 or np.linalg.det(turn).min() < 0:
        raise ValueError(f"{name} must be rotations with a shift: their upper left 3 x 3 part is no rotation")
    if np.abs(found[:, 3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ValueError(f"{name} must have (0, 0, 0, 1) as their last row")
    return found


def check_camera(K: ArrayLike) -> Array:
    """A pinhole matrix (3, 3) as float64.

    Raises:
        ValueError: another shape, a focal length that is not positive, or skew.
    """
    found = np.asarray(K, np.float64)
    if found.shape != (3, 3):
        raise ValueError(f"K must have shape (3, 3); got {found.shape}")
    rest = [found[0, 1], found[1, 0], found[2, 0], found[2, 1], found[2, 2] - 1]
    if not np.isfinite(found).all() or min(found[0, 0], found[1, 1]) <= 0 or np.abs(rest).max() > 1e-9:
        raise ValueError(
            f"K must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0; got {found.tolist()}"
        )
    return found


def centres(poses: ArrayLike) -> Array:
    """(F, 3) world positions of the cameras."""
    found = check_poses(poses)
    where: Array = -np.einsum("fji,fj->fi", found[:, :3, :3], found[:, :3, 3])
    return where


def unproject(uv: ArrayLike, depth: ArrayLike, K: ArrayLike) -> Array:
    """Points (..., 3) in camera coordinates of pixel coordinates (..., 2) at depths z (...)."""
    camera, where, z = check_camera(K), np.asarray(uv, np.float64), np.asarray(depth, np.float64)
    flat = (where - camera[:2, 2]) / camera[[0, 1], [0, 1]]
    return np.concatenate([flat * z[..., None], z[..., None]], -1)


def project(points: ArrayLike, pose: ArrayLike, K: ArrayLike) -> tuple[Array, Array]:
    """Pixel coordinates (..., 2) and depths z (...) of world points (..., 3) under one pose (4, 4).

    What lies behind the camera, or in its plane, has NaN as its pixel coordinates.
    """
    camera, matrix = check_camera(K), check_poses(np.asarray(pose)[None], "pose")[0]
    seen = np.asarray(points, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    z = seen[..., 2]
    ahead = np.where(z > _NEAR, z, np.nan)
    return seen[..., :2] / ahead[..., None] * camera[[0, 1], [0, 1]] + camera[:2, 2], z


def pixel_centres(size: tuple[int, int]) -> Array:
    """(H, W, 2) u and v of all pixels of an image of H rows and W columns."""
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"size must be two positive numbers (H, W); got {size!r}")
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1)


def plucker(poses: ArrayLike, K: ArrayLike, size: tuple[int, int]) -> Tensor:
    """Plücker coordinates of the rays through all pixels.

    Args:
        poses: (F, 4, 4) world-to-camera.
        K: (3, 3) in pixels of an image of ``size``.
        size: (H, W).

    Returns:
        (F, 6, H, W) float32: o x d and then d, with o the camera's centre and d the ray's unit direction in
        the world.

    Raises:
        ValueError: see `check_poses` and `check_camera`, or a size below 1.
    """
    matrices, origin = check_poses(poses), centres(poses)
    at = pixel_centres(size)
    away = unproject(at, np.ones(at.shape[:-1]), K)
    away = away / np.linalg.norm(away, axis=-1, keepdims=True)
    away = np.einsum("fji,hwj->fhwi", matrices[:, :3, :3], away)
    moment = np.cross(origin[:, None, None], away)
    return torch.from_numpy(np.concatenate([moment, away], -1).transpose(0, 3, 1, 2).astype(np.float32))


def warp(image: ArrayLike, depth: ArrayLike, poses: ArrayLike, K: ArrayLike) -> list[Array]:
    """An image as the other cameras see it, by the depth of its pixels.

    Each pixel of the first camera's image becomes a point in space. Seen from another camera, points that lie
    behind the nearest one of their pixel are hidden (a z-buffer), and between those that are left colours are
    interpolated linearly over triangles. Where nothing is seen the result is 0.

    Args:
        image: (H, W) or (H, W, C), seen by the first camera.
        depth: (H, W) positive z in the first camera.
        poses: (F, 4, 4) world-to-camera.
        K: (3, 3) in pixels of the image.

    Returns:
        F arrays of the image's shape, the first of them the image itself; frames whose pose is the first's
        are copies of it.

    Raises:
        ValueError: shapes that differ, depth that is not positive and finite; see `check_poses`.
    """
    pixels, z = np.asarray(image, np.float64), np.asarray(depth, np.float64)
    if pixels.ndim not in (2, 3) or z.shape != pixels.shape[:2] or 0 in pixels.shape:
        raise ValueError(
            f"image must have shape (H, W[, C]) and depth (H, W); got {pixels.shape} and {z.shape}"
        )
    if not (np.isfinite(z) & (z > 0)).all():
        raise ValueError("depth must be positive and finite")
    matrices = check_poses(poses)
    size = (z.shape[0], z.shape[1])
    at = pixel_centres(size)
    world = (unproject(at, z, K) - matrices[0, :3, 3]) @ matrices[0, :3, :3]
    out = []
    for pose in matrices:
        if np.allclose(pose, matrices[0], rtol=0, atol=1e-12):
            out.append(pixels.copy())
            continue
        uv, far = project(world, pose, K)
        seen = _visible(uv.reshape(-1, 2), far.reshape(-1), size)
        out.append(
            _interpolated(uv.reshape(-1, 2)[seen], pixels.reshape(len(seen), -1)[seen], at).reshape(
                pixels.shape
            )
        )
    return out


def _visible(uv: Array, z: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points fall into the image (or a pixel beside it) with nothing nearer in their pixel."""
    height, width = size
    with np.errstate(invalid="ignore"):
        inside = (uv >= -1).all(1) & (uv[:, 0] <= width + 1) & (uv[:, 1] <= height + 1)  # false for NaN
    cell = np.zeros(len(uv), np.int64)
    cell[inside] = np.floor(uv[inside] + 1).astype(np.int64) @ [1, width + 3]
    nearest = np.full((width + 3) * (height + 3), np.inf)
    np.minimum.at(nearest, cell[inside], z[inside])
    return inside & (z <= nearest[cell] * (1 + _SURFACE))


def _interpolated(uv: Array, colours: Array, at: Array) -> Array:
    if len(uv) < 4:
        return np.zeros((*at.shape[:2], colours.shape[1]))
    try:
        found: Any = griddata(uv, colours, at, method="linear", fill_value=0.0)
    except QhullError:  # all points on one line
        return np.zeros((*at.shape[:2], colours.shape[1]))
    return np.asarray(found, np.float64)
