"""Frames a second of the shapes renderers and of their ground truth, on one core: prints medians.

    python benchmarks/shapes.py [--clips 128] [--frames 16] [--repeats 5]

The figure that the project holds itself to: over 2,000 frames a second at 32 pixels with masks, drawing the
clips and their motion included. Run it with OMP_NUM_THREADS=1 (NumPy's own loops use one core anyway).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from sillok.testbeds import shapes


def rate(frames: int, what: Callable[[], Any], repeats: int) -> float:
    """Frames a second, after a warm-up."""
    what()
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        what()
        took.append(time.perf_counter() - began)
    return frames / median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    n, frames = asked.clips, asked.frames

    def show(name: str, count: int, what: Callable[[], Any], note: str = "") -> None:
        print(f"{name:44s} {rate(count, what, asked.repeats):9,.0f} frames/s{note}")

    for pixels in (16, 32, 64, 128):
        few = max(1, n * 32 * 32 // (pixels * pixels))

        def paint(few: int = few, pixels: int = pixels) -> Any:
            return shapes.render_clips(shapes.sample_clips(few, frames), pixels)

        note = "   (target 2,000)" if pixels == 32 else ""
        show(f"clips of 1-3 objects, drawn and painted, {pixels:3d}", few * frames, paint, note)
    clips = shapes.sample_clips(n, frames)
    masks = shapes.render_clips(clips, 32)[1]
    collide, textured = shapes.Laws(collide=True), {"texture": 0.1, "camera": "both"}
    options: dict[str, dict[str, Any]] = {
        "motion alone": {},
        "motion alone, colliding": {"laws": collide},
        "motion alone, one hidden in the middle": {"hidden": 1, "objects": (2, 3)},
        "motion alone, passing through a wall": {"fault": "through"},
    }
    for name, chosen in options.items():
        show(name, n * frames, lambda chosen=chosen: shapes.sample_clips(n, frames, **chosen))
    pattern = shapes.sample_clips(n, frames, **textured)
    show("painted with texture and camera, 32", n * frames, lambda: shapes.render_clips(pattern, 32))
    show("32 tracks a clip", n * frames, lambda: shapes.sample_tracks(clips, 32, 32))
    show("optical flow, 32", n * frames, lambda: shapes.optical_flow(clips, masks))
    show("depth, 32", n * frames, lambda: shapes.depth_maps(clips, masks))
    show("captions (Korean)", n * frames, lambda: shapes.clip_captions(clips, "ko"))
    show("questions, one of each kind a clip", n * frames, lambda: shapes.questions(clips))
    spaces = shapes.sample_spaces(max(1, n // 8), 4)
    count, rays = len(spaces) * 4, shapes.render_spaces
    show("in space, one ray a pixel, 32", count, lambda: rays(spaces, 32, samples=1))
    show("in space, four rays a pixel, 32", count, lambda: rays(spaces, 32))
    soft = shapes.sample_spaces(len(spaces), 4, softness=0.3)
    show("in space, one ray a pixel, soft shadows, 32", count, lambda: rays(soft, 32, samples=1))
    views = rays(spaces, 32, samples=1)
    show("in space, flow, 32", count, lambda: shapes.space_flow(spaces, views))
    show("in space, 32 tracks a scene", count, lambda: shapes.space_tracks(spaces, 32, 32))


if __name__ == "__main__":
    main()
