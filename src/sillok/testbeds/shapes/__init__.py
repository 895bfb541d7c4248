"""Coloured shapes, still and moving, in the plane and in space: rendered in NumPy, with exact ground truth.

Torch is imported only where tensors are asked for.
"""

from sillok.testbeds.shapes.bed import PIXELS, Shapes, ShapesData, ShapesRecipe, tensors
from sillok.testbeds.shapes.clips import FAULTS, SIZES, Clips, camera_matrices, render_clips
from sillok.testbeds.shapes.motion import Laws
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

__all__ = [
    "CAMERAS",
    "CLASSES",
    "CLIPS_VERSION",
    "COLOURS",
    "FAULTS",
    "FULL_TURN",
    "PIXELS",
    "SHAPES",
    "SIZES",
    "SPLITS",
    "VERSION",
    "Clips",
    "Laws",
    "Scenes",
    "Shapes",
    "ShapesData",
    "ShapesRecipe",
    "attributes",
    "camera_matrices",
    "captions",
    "hsv_to_rgb",
    "render",
    "render_clips",
    "sample_clips",
    "sample_scenes",
    "tensors",
]
