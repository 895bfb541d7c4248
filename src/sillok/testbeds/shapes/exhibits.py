"""What the page of the testbed shows: stills, film strips with their ground truth, questions, scenes in space."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sillok.testbeds.base import Exhibit
from sillok.testbeds.pictures import grid
from sillok.testbeds.shapes.clips import FAULTS, render_clips
from sillok.testbeds.shapes.motion import Laws
from sillok.testbeds.shapes.quiz import questions
from sillok.testbeds.shapes.raycast import render_spaces
from sillok.testbeds.shapes.sampling import sample_clips
from sillok.testbeds.shapes.scenes import CLASSES, hsv_to_rgb, render, sample_scenes
from sillok.testbeds.shapes.space import sample_spaces
from sillok.testbeds.shapes.space_truth import SpaceTracks, space_flow, space_tracks
from sillok.testbeds.shapes.truth import Tracks, depth_maps, optical_flow, sample_tracks
from sillok.testbeds.shapes.words import clip_captions

Picture = NDArray[np.uint8]
_PIXELS, _FRAMES, _SHOWN = 64, 15, 2  # every second frame is shown
_INKS = np.array(
    [[0.5, 0.5, 0.5], [0.9, 0.2, 0.2], [0.2, 0.5, 1], [1, 0.8, 0.1], [0.3, 0.8, 0.3]], np.float32
)


def exhibits(pixels: int) -> list[Exhibit]:
    """All of them; `pixels` is the size of the still images."""
    return [_stills(pixels), *_clips(), _hidden(), _faults(), _asked(), *_spaces()]


def _stills(pixels: int) -> Exhibit:
    scenes = sample_scenes(4 * CLASSES, 1, split="val", labels=np.tile(np.arange(CLASSES), 4))
    sheet = grid(render(scenes, pixels)[0], CLASSES, 48 // pixels + 1)
    return Exhibit("Still images", "One class a column: shape, then colour.", sheet)


def _clips() -> list[Exhibit]:
    clips = sample_clips(
        1, _FRAMES, 6, objects=(3, 3), camera="pan", texture=0.1, spin=0.7, speed=(0.04, 0.1)
    )
    images, masks = render_clips(clips, _PIXELS)
    tracks = sample_tracks(clips, 20, _PIXELS)
    flow = optical_flow(clips, masks)
    depth = depth_maps(clips, masks)
    last = _FRAMES - 1
    wheels = np.concatenate([colour_wheel(flow.flow[0], 4.0), _wheel_key(_PIXELS)[None]])
    return [
        Exhibit(
            "A clip with its tracks",
            "Points on objects and background; a ring is a point that is hidden. The camera pans. "
            f"“{clip_captions(clips)[0]}”",
            film(images[0], _one(tracks)),
        ),
        Exhibit("Instance masks", "The same frames.", grid(_INKS[masks[0, ::_SHOWN]], 8, 3)),
        Exhibit(
            "Depth", "Near is bright; the background lies at 1.", grid(1 - 0.9 * depth[0, ::_SHOWN], 8, 3)
        ),
        Exhibit(
            "Optical flow",
            "Hue is direction and saturation is speed, up to 4 pixels a frame; the last cell is the key.",
            grid(wheels[[*range(0, last, _SHOWN), last]], 8, 3),
        ),
    ]


def _hidden() -> Exhibit:
    clips = sample_clips(1, _FRAMES, 5, objects=(2, 3), hidden=1)
    images = render_clips(clips, _PIXELS)[0]
    return Exhibit(
        "Occlusion on request", "One object is wholly hidden in the middle.", grid(images[0, ::_SHOWN], 8, 3)
    )


def _faults() -> Exhibit:
    rows, said = [], []
    for fault in FAULTS:
        clips = sample_clips(1, _FRAMES, 2, objects=(2, 2), fault=fault, laws=Laws(collide=True))
        rows.append(render_clips(clips, _PIXELS)[0][0, ::_SHOWN])
        said.append(f"{fault} at frame {clips.fault_frame[0]}")
    caption = (
        f"Faults that go against the laws, with their frame: {', '.join(said)}. Every second frame is shown."
    )
    return Exhibit("Planted faults", caption, grid(np.concatenate(rows), 8, 3))


def _asked() -> Exhibit:
    clips = sample_clips(2, _FRAMES, 11, objects=(3, 3), laws=Laws(collide=True))
    lines = []
    for i in range(2):
        lines += [f"clip {i + 1}", *(clip_captions(clips[i], language)[0] for language in ("en", "ko"))]
        for language in ("en", "ko"):
            for asked in questions(clips, language=language):
                if asked.clip == i:
                    lines.append(f"  {asked.question}  {asked.answer}")
        lines.append("")
    frames = render_clips(clips, _PIXELS)[0][:, ::_SHOWN].reshape(-1, _PIXELS, _PIXELS, 3)
    caption = (
        "Captions and questions, in English and in Korean, with their answers. Objects bounce off each other."
    )
    return Exhibit("Captions and questions", caption, grid(frames, 8, 3), "\n".join(lines).rstrip())


def _spaces() -> list[Exhibit]:
    spaces = sample_spaces(1, 13, 8, objects=(4, 4), moving=True, light="point", softness=0.4)
    views = render_spaces(spaces, 96, samples=2, shadows=6)
    flow = space_flow(spaces, views)
    tracks = space_tracks(spaces, 24, 96)
    far = np.where(np.isfinite(views.depth), views.depth, np.inf)[0, 0]
    maps: list[Any] = [
        views.albedo[0, 0],
        views.shading[0, 0],
        _grey(views.shadow[0, 0]),
        _grey(3 / np.maximum(far, 3)),
        0.5 + 0.5 * views.normal[0, 0],
        _INKS[np.minimum(views.masks[0, 0], 4)],
        colour_wheel(flow.flow[0, :1], 4.0)[0],
    ]
    other = sample_spaces(5, 1, 3, walls=True)
    return [
        Exhibit(
            "A scene in space with its tracks",
            "The camera goes round, the objects slide and turn, the lamp is soft.",
            film(views.image[0], _one(tracks), every=3, scale=2),
        ),
        Exhibit(
            "Its ground truth",
            "Albedo, shading (the image is their product), shadow, depth (near is bright), normals, masks, flow.",
            grid(np.stack(maps).astype(np.float32), 7, 2),
        ),
        Exhibit("Rooms", "Other scenes, with walls.", grid(render_spaces(other, 96).image[:, 0], 5, 2)),
    ]


def _grey(values: Any) -> Any:
    return np.repeat(values[..., None], 3, -1)


def _one(tracks: Tracks | SpaceTracks) -> Tracks:
    return Tracks(tracks.xy[0], tracks.visible[0], tracks.instance[0])


def film(images: Any, tracks: Tracks, *, every: int = _SHOWN, scale: int = 3, tail: int = 6) -> Picture:
    """Every n-th frame of one clip side by side, with the tracks so far drawn on them.

    Args:
        images: (T, H, W, 3) in [0, 1].
        tracks: of one clip: xy (P, T, 2), visible (P, T), instance (P,).
        every: n.
        scale: enlargement.
        tail: how many earlier frames a track's line reaches back.
    """
    shown = []
    colours = hsv_to_rgb(np.stack([np.arange(len(tracks.xy)) * 0.382 % 1, *np.ones((2, len(tracks.xy)))], -1))
    for frame in range(0, len(images), every):
        sheet = np.repeat(np.repeat(np.clip(images[frame], 0, 1), scale, 0), scale, 1).copy()
        for point, colour in enumerate(colours):
            past = tracks.xy[point, max(0, frame - tail) : frame + 1] * scale
            for one, two in pairwise(past):
                _dots(sheet, np.linspace(one, two, 12), colour, 0)
            _dots(sheet, past[-1:], colour, scale, ring=not tracks.visible[point, frame])
        shown.append(sheet)
    return grid(np.stack(shown).astype(np.float32), 8, 1)


def _dots(sheet: Any, places: Any, colour: Any, radius: int, *, ring: bool = False) -> None:
    """Paint discs (or rings) at x, y positions, in place."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    size = np.hypot(x, y)
    brush = (size <= radius + 0.3) & ((size > radius - 1) | (not ring))
    for px, py in np.floor(places).astype(int):
        rows, columns = (py + y)[brush], (px + x)[brush]
        inside = (rows >= 0) & (rows < sheet.shape[0]) & (columns >= 0) & (columns < sheet.shape[1])
        sheet[rows[inside], columns[inside]] = colour


def colour_wheel(flow: Any, most: float) -> Any:
    """Flow (..., 2) in pixels as colours (..., 3): hue is direction, saturation is length up to `most`."""
    hue = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi)) % 1
    length = np.minimum(np.linalg.norm(flow, axis=-1) / most, 1)
    return hsv_to_rgb(np.stack([hue, length, np.ones_like(hue)], -1))


def _wheel_key(pixels: int) -> Any:
    line = (np.arange(pixels) + 0.5) * (2 / pixels) - 1
    place = np.stack(np.meshgrid(line, line), -1)
    inside = (place**2).sum(-1) < 0.9
    return np.where(inside[..., None], colour_wheel(place, 1.0), 1.0).astype(np.float32)
