"""Object control by camera poses: poses everywhere, in layers, and with noise that the object carries along."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from sillok.methods.cameras import pixel_centres, plucker, project
from sillok.methods.diffusion.objctrl import (
    background_poses,
    layer_pose_features,
    lift_trajectory,
    objmc,
    shared_warp_latents,
    trajectory_to_poses,
    warp_masks,
)
from sillok.testbeds import load, shapes
from sillok.testbeds.camera import FRAMES, PIXELS, SKY, conditions, sample_views
from sillok.testbeds.pictures import grid, unit
from sillok.testbeds.tracks import ObjectTracks, colourful_tracks
from sillok.trials.diffusion.loop import denoise
from sillok.verify import Measure, Paired, Run, Truth, trial

Array = NDArray[np.float64]
WAY = 1.0  # what an object goes in eight frames, within what the model has seen cameras go
DIMENSIONS = ("25d", "2d")
_CANDIDATES = 24  # directions that are tried
_EDGE = 4  # pixels that the object's middle keeps from the image's edge


@dataclass(frozen=True)
class Tasks:
    """N first frames and how their object is to move, with what the renderer shows of that.

    Attributes:
        first: (N, 3, 24, 24) in [-1, 1]; truth: (N, 8, 3, 24, 24) the object moved, the camera at rest.
        tracks: of the object in ``truth``; around: (N, 24, 24) pixels that it never comes near.
        depth: (N, 24, 24) of the first frame; mask: (N, 24, 24) of the object in it.
        ground: (N, 24, 24) the depth that the object's middle has where it is seen at a pixel.
        intrinsics: (N, 3, 3).
    """

    first: torch.Tensor
    truth: torch.Tensor
    tracks: ObjectTracks
    around: NDArray[np.bool_]
    depth: Array
    mask: NDArray[np.bool_]
    ground: Array
    intrinsics: Array


def tasks_for(count: int, seed: int) -> Tasks:
    """Scenes of the test split whose object slides over the floor, in a direction that keeps it in view."""
    spaces = sample_views(count, seed, split="test")
    rest = np.repeat(spaces.world_to_camera[:, :1], FRAMES, 1)
    camera = shapes.intrinsics(spaces, PIXELS)
    rng = np.random.default_rng([seed, 29])
    centre = spaces.centre.copy()
    ground = np.empty((count, PIXELS, PIXELS))
    for i in range(count):
        start = centre[i, 0, 0]
        angles = 2 * np.pi * rng.random(_CANDIDATES)
        ends = start + WAY * np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1)
        uv, _ = project(ends, rest[i, 0], camera[i])
        good = ((uv > _EDGE) & (uv < PIXELS - _EDGE)).all(1)
        end = ends[int(good.argmax())]
        centre[i, :, 0] = start + np.linspace(0, 1, FRAMES)[:, None] * (end - start)
        ground[i] = level_depth(float(start[2]), rest[i, 0], camera[i])
    moved = dataclasses.replace(spaces, world_to_camera=rest, centre=centre)
    seen = shapes.render_spaces(moved, PIXELS, samples=2, shadows=1)
    videos = torch.from_numpy(2 * np.moveaxis(seen.image, -1, 2) - 1).contiguous()
    masks = seen.masks == 1
    near = np.stack([binary_dilation(m, iterations=3) for m in masks.any(1)])
    depth = np.where(np.isfinite(seen.depth[:, 0]), seen.depth[:, 0], SKY)
    tracks = colourful_tracks(videos)
    return Tasks(videos[:, 0], videos, tracks, ~near, depth, masks[:, 0], ground, camera)


def level_depth(height: float, pose: Array, K: Array) -> Array:
    """(24, 24) depth of the horizontal plane at ``height``, seen under a pose; 40 where it is not in view."""
    at = pixel_centres((PIXELS, PIXELS))
    away = (
        np.concatenate([(at - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((*at.shape[:2], 1))], -1) @ pose[:3, :3]
    )
    eye = -pose[:3, :3].T @ pose[:3, 3]
    with np.errstate(divide="ignore"):
        found = (height - eye[2]) / away[..., 2]
    return np.where((found > 0) & np.isfinite(found), np.minimum(found, SKY), SKY)


def poses_for(tasks: Tasks, i: int, dimension: str, fault: bool = False) -> Array:
    """The object's poses (8, 4, 4): with the depth of the ground along its track, or with its first depth."""
    track = np.clip(tasks.tracks.xy[i] + 0.5, 0, PIXELS)
    depth = tasks.ground[i]
    if dimension == "2d":
        column, row = np.minimum(track[0].astype(int), PIXELS - 1)
        depth = np.full_like(depth, depth[row, column])
    poses = trajectory_to_poses(lift_trajectory(track, depth, tasks.intrinsics[i]))
    if fault:
        poses[:, :3, 3] *= -1
    return poses


def inputs_for(
    tasks: Tasks, i: int, arm: str, dimension: str, noise: torch.Tensor, fault: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rays (8, 6, 24, 24) that the model is told, and the noise (8, 3, 24, 24) that it starts from."""
    poses, K = poses_for(tasks, i, dimension, fault), tasks.intrinsics[i]
    rays = plucker(poses, K, (PIXELS, PIXELS))
    if arm == "everywhere":
        return rays, noise
    masks = warp_masks(tasks.mask[i].astype(float), tasks.depth[i], poses, K)
    rest = background_poses(poses, "fixed")
    assert rest is not None
    layers = [x.transpose(0, 1)[None] for x in (rays, plucker(rest, K, (PIXELS, PIXELS)))]
    # the model takes rays themselves: they are its features at its one scale
    mixed = layer_pose_features(layers[:1], layers[1:], masks)[0][0].transpose(0, 1)
    if arm == "full":
        noise = shared_warp_latents(noise[None], tasks.depth[i], poses, masks, K)[0]
    return mixed, noise


def generate(
    bed: Any, arm: str, tasks: Tasks, dimension: str, noise: torch.Tensor, steps: int, fault: bool = False
) -> torch.Tensor:
    """The arm's clips (N, 8, 3, 24, 24)."""
    told = [inputs_for(tasks, i, arm, dimension, noise[i], fault) for i in range(len(noise))]
    rays, start = (torch.stack(parts) for parts in zip(*told, strict=True))
    condition = conditions(tasks.first, rays)

    def network(x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        predicted: torch.Tensor = bed.predict(bed.model, x, t, condition)
        return predicted

    parts = [
        denoise(network, bed.scheduler(), None, x, {"condition": c}, steps)
        for x, c in zip(start.split(16), condition.split(16), strict=True)
    ]
    return torch.cat(parts)


def scores(made: torch.Tensor, tasks: Tasks) -> dict[str, float]:
    """Distance of the object from its track, error of its size, and how much the background changes.

    An object that is not found counts as one in the middle of the image, of no size.
    """
    found, truth = colourful_tracks(made), tasks.tracks
    places = np.where(np.isnan(found.xy), (PIXELS - 1) / 2, found.xy)
    distances = [objmc(a[1:], b[1:]) for a, b in zip(places, truth.xy, strict=True)]
    area = np.where(found.found, found.area, 0.0)[:, 1:]
    change = (made.clamp(-1, 1) - tasks.first[:, None]).abs().mean(2)[:, 1:].double().numpy() / 2
    around = np.broadcast_to(tasks.around[:, None], change.shape)
    return {
        "objmc": float(np.mean(distances)),
        "size": float(np.abs(area / truth.area[:, 1:] - 1).mean()),
        "background": float(change[around].mean()),
        "found": float(found.found.mean()),
    }


PER_DIMENSION = {
    "objmc": Measure("px", "lower", text="mean distance of the object's middle from the track"),
    "size": Measure("", "lower", text="mean relative error of the object's area"),
    "background": Measure("", "lower", text="mean change of pixels that the object never comes near, of 1"),
    "found": Measure("", text="share of frames in which the object is found"),
}


@trial(
    paper="2412.07721",
    claim="control",
    arms=("everywhere", "full", "layers"),
    measures={f"{name}_{d}": measure for d in DIMENSIONS for name, measure in PER_DIMENSION.items()},
    minutes={"smoke": 0.5, "here": 6, "full": 30},
    needs=("diffusion",),
    fault="the camera moves as the object should, instead of against it",
)
def control(run: Run) -> dict[str, float]:
    """Where the object goes, how large it becomes and what the background does, from the same noise."""
    bed = load("flow-camera", "s")
    count = run.pick(smoke=2, here=24, full=192)
    steps = run.pick(smoke=3, here=25)
    tasks = tasks_for(count, run.subseed("scenes") % 2**31)
    noise = torch.randn((count, *bed.shape), generator=run.generator("noise"))
    found = {}
    for done, dimension in enumerate(DIMENSIONS):
        made = generate(bed, run.arm, tasks, dimension, noise, steps, run.fault)
        found |= {f"{name}_{dimension}": value for name, value in scores(made, tasks).items()}
        run.progress(done + 1, len(DIMENSIONS))
    return found


@control.upheld_if
def _(paired: Paired) -> Truth:
    sizes = [paired.values(f"size_{d}", "full") for d in DIMENSIONS]
    return (
        paired.ratio("background_25d", "layers").at_most(0.5)
        & paired.difference("objmc_25d", "full").below(0.0)
        & paired.difference("objmc_25d", "full", of="layers").below(0.0)
        & paired.over_seeds(sizes[0] - sizes[1], "size of full, 2.5-D - 2-D").below(0.0)
    )


@control.pictured(
    "clips",
    "Two scenes, four rows each: the object moved by the renderer; the object's poses told everywhere; told in "
    "layers; in layers, from noise that the object carries along.",
)
def _() -> NDArray[np.uint8]:
    bed = load("flow-camera", "s")
    tasks = tasks_for(2, 10_001)
    noise = bed.noise(2, seed=3)
    arms = [generate(bed, arm, tasks, "25d", noise, 25) for arm in ("everywhere", "layers", "full")]
    rows = torch.stack([tasks.truth, *arms], 1).flatten(0, 2)
    return grid(unit(rows), FRAMES, 3)
