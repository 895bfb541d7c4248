"""Guidance, samplers, control, editing: host Diffusers."""

from sillok.methods.diffusion.apg import DenoisedAPG
from sillok.methods.diffusion.prediction import convert, from_denoised, to_denoised

__all__ = ["DenoisedAPG", "convert", "from_denoised", "to_denoised"]
