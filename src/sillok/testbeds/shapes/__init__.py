"""Coloured shapes, still and moving, in the plane and in space: rendered in NumPy, with exact ground truth.

Torch is imported only where tensors are asked for.
"""

from sillok.testbeds.shapes.bed import PIXELS, Shapes, ShapesData, ShapesRecipe, tensors
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
    "CLASSES",
    "COLOURS",
    "FULL_TURN",
    "PIXELS",
    "SHAPES",
    "SPLITS",
    "VERSION",
    "Scenes",
    "Shapes",
    "ShapesData",
    "ShapesRecipe",
    "attributes",
    "captions",
    "hsv_to_rgb",
    "render",
    "sample_scenes",
    "tensors",
]
