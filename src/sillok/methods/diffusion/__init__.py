"""Guidance, samplers, control, editing: host Diffusers."""

from sillok.methods.diffusion.apg import DenoisedAPG
from sillok.methods.diffusion.flowchef import (
    SteeredFlowMatchScheduler,
    classifier_cost,
    edit_cost,
    inverse_cost,
)
from sillok.methods.diffusion.operators import BicubicDown, BoxMask, GaussianBlur
from sillok.methods.diffusion.prediction import convert, from_denoised, to_denoised

__all__ = [
    "BicubicDown",
    "BoxMask",
    "DenoisedAPG",
    "GaussianBlur",
    "SteeredFlowMatchScheduler",
    "classifier_cost",
    "convert",
    "edit_cost",
    "from_denoised",
    "inverse_cost",
    "to_denoised",
]
