"""Coloured shapes, still and moving, in the plane and in space: rendered in NumPy, with exact ground truth.

Torch is imported only where tensors are asked for.
"""

from sillok.testbeds.shapes.bed import (
    PIXELS,
    ClipsData,
    Shapes,
    ShapesData,
    ShapesRecipe,
    clip_tensors,
    tensors,
)
from sillok.testbeds.shapes.clips import FAULTS, SIZES, Clips, camera_matrices, render_clips
from sillok.testbeds.shapes.motion import Laws
from sillok.testbeds.shapes.questions import KINDS, Question, questions
from sillok.testbeds.shapes.sampling import CAMERAS, CLIPS_VERSION, sample_clips
from sillok.testbeds.shapes.scenes import (
    CLASSES,
    COLOURS,
    FULL_TURN,
    SHAPES,
    SPLITS,
    VERSION,
    Scenes,
    attributes,
    captions,
    hsv_to_rgb,
    render,
    sample_scenes,
)
from sillok.testbeds.shapes.truth import (
    HEADINGS,
    Flow,
    Labels,
    Tracks,
    clip_labels,
    depth_maps,
    optical_flow,
    sample_tracks,
    visible_share,
)
from sillok.testbeds.shapes.words import LANGUAGES, clip_captions, josa

__all__ = [
    "CAMERAS",
    "CLASSES",
    "CLIPS_VERSION",
    "COLOURS",
    "FAULTS",
    "FULL_TURN",
    "HEADINGS",
    "KINDS",
    "LANGUAGES",
    "PIXELS",
    "SHAPES",
    "SIZES",
    "SPLITS",
    "VERSION",
    "Clips",
    "ClipsData",
    "Flow",
    "Labels",
    "Laws",
    "Question",
    "Scenes",
    "Shapes",
    "ShapesData",
    "ShapesRecipe",
    "Tracks",
    "attributes",
    "camera_matrices",
    "captions",
    "clip_captions",
    "clip_labels",
    "clip_tensors",
    "depth_maps",
    "hsv_to_rgb",
    "josa",
    "optical_flow",
    "questions",
    "render",
    "render_clips",
    "sample_clips",
    "sample_scenes",
    "sample_tracks",
    "tensors",
    "visible_share",
]
