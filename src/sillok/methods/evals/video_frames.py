"""Videos of LongVideoBench as what a model reads: frames with the subtitles between them.

What is shown follows the public loader of LongVideoBench as VideoAutoArena uses it: at most 128 frames, one a second
at the most, from the start on at equal distances; a subtitle stands after the last frame that is not later than its
middle, if any frame falls within its time.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from inspect_ai.model import Content, ContentImage, ContentText
from numpy.typing import NDArray

ANNOTATIONS = "lvb_test_wo_gt.json"
MAX_FRAMES, PIXELS = 128, 512


def frame_numbers(duration: float, fps: float, limit: int = MAX_FRAMES) -> list[int]:
    """Which frames are shown of a video of `duration` seconds: at most `limit`, and at most one a second.

    Raises:
        ValueError: a video shorter than a second, no frames a second, or a limit below 1.
    """
    if limit < 1 or not fps > 0 or duration < 1:
        raise ValueError(
            f"duration must be at least 1 s, fps above 0, limit at least 1; got {duration!r}, {fps!r}, {limit!r}"
        )
    shown = min(limit, int(duration))
    return [int(int(duration * fps) / shown) * i for i in range(shown)]


def read_frames(
    path: str | Path, duration: float, limit: int = MAX_FRAMES
) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Frames (H, W, 3) of a video file in 8 bits, and their times in seconds.

    Args:
        path: of a file that FFmpeg reads.
        duration: in seconds, as the annotations have it.
        limit: frames at the most.

    Raises:
        ValueError: a file that cannot be read as a video.
        ImportError: PyAV is not installed; the message says how to install it.
    """
    try:
        import av
    except ImportError:
        raise ImportError("reading videos needs PyAV: pip install 'sillok[evals]'") from None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 0)
            wanted = frame_numbers(duration, fps, limit)
            found: dict[int, NDArray[np.uint8]] = {}
            for number, frame in enumerate(container.decode(stream)):
                if number in wanted[len(found) :][:1]:
                    found[number] = frame.to_ndarray(format="rgb24")
                if len(found) == len(wanted):
                    break
    except (OSError, IndexError, av.error.FFmpegError) as error:
        raise ValueError(f"{path} cannot be read as a video ({error})") from None
    return list(found.values()), [number / fps for number in found]


def interleave(
    frames: Sequence[Any],
    times: Sequence[float],
    subtitles: Sequence[Mapping[str, Any]],
    *,
    start: float,
    duration: float,
) -> list[Any]:
    """Frames in order, with the subtitles that belong between them.

    Args:
        frames, times: of one length; times in seconds from the video's start.
        subtitles: with ``timestamp`` [from, to] and ``text``, or ``start``, ``end`` ("h:m:s") and ``line``.
        start: what subtitles' times count from, in seconds.
        duration: of the video, where a subtitle has no end.

    Returns:
        Frames and texts.
    """
    shown: list[Any] = []
    at = 0
    for subtitle in subtitles:
        begin, end, text = _timed(subtitle, start, duration)
        middle = (begin + end) / 2
        while at < len(frames) and times[at] <= middle:
            shown.append(frames[at])
            at += 1
        if end - begin < 1:
            begin, end = middle - 0.5, middle + 0.5
        if any(begin < time < end for time in times):
            shown.append(text)
    return [*shown, *frames[at:]]


def _timed(subtitle: Mapping[str, Any], start: float, duration: float) -> tuple[float, float, str]:
    if "timestamp" in subtitle:
        begin, end = subtitle["timestamp"]
        return begin - start, (end if isinstance(end, float) else duration) - start, subtitle["text"]
    return _seconds(subtitle["start"]) - start, _seconds(subtitle["end"]) - start, subtitle["line"]


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


@functools.lru_cache(maxsize=4)
def _annotations(folder: str) -> dict[str, dict[str, Any]]:
    path = Path(folder) / ANNOTATIONS
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["video_id"]: row for row in rows}
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no annotations of LongVideoBench ({error})") from None


def watch(folder: str, video_id: str, limit: int = MAX_FRAMES) -> list[Content]:
    """A video of LongVideoBench as an Inspect message's content: frames of 512 pixels (JPEG), subtitles between them.

    Args:
        folder: with ``lvb_test_wo_gt.json``, ``videos/`` and ``subtitles/``.
        video_id: as in the annotations.
        limit: frames at the most.

    Raises:
        ValueError: no such video, or files that cannot be read.
    """
    known = _annotations(folder)
    if video_id not in known:
        raise ValueError(f"video_id must be in {ANNOTATIONS} of {folder}; {video_id!r} is not")
    facts = known[video_id]
    frames, times = read_frames(Path(folder) / "videos" / facts["video_path"], facts["duration"], limit)
    path = Path(folder) / "subtitles" / facts["subtitle_path"]
    try:
        subtitles = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} holds no subtitles ({error})") from None
    parts = interleave(
        frames, times, subtitles, start=facts["starting_timestamp_for_subtitles"], duration=facts["duration"]
    )
    return [ContentText(text=part) if isinstance(part, str) else picture(part) for part in parts]


def picture(frame: NDArray[np.uint8], pixels: int = PIXELS) -> ContentImage:
    """A frame (H, W, 3) in 8 bits as an Inspect image: a square JPEG of so many pixels, as the judge is shown."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).resize((pixels, pixels), Image.Resampling.LANCZOS).save(buffer, format="JPEG")
    return ContentImage(image=f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}")
