"""Guidance, samplers, control, editing: host Diffusers."""

from sillok.methods.diffusion.amo import OvershootFlowMatchScheduler
from sillok.methods.diffusion.apg import DenoisedAPG
from sillok.methods.diffusion.attention import AttentionTap, attention_modules
from sillok.methods.diffusion.distortions import distort
from sillok.methods.diffusion.ditflow import MotionGuide, MotionTransfer
from sillok.methods.diffusion.flowchef import (
    SteeredFlowMatchScheduler,
    classifier_cost,
    edit_cost,
    inverse_cost,
)
from sillok.methods.diffusion.inversion import invert, invert_pipeline
from sillok.methods.diffusion.motion import attention_motion_flow, motion_fidelity
from sillok.methods.diffusion.operators import BicubicDown, BoxMask, GaussianBlur
from sillok.methods.diffusion.prediction import convert, from_denoised, to_denoised
from sillok.methods.diffusion.stylecodes import StyleEncoder, from_code, to_code
from sillok.methods.diffusion.stylecontrol import StyleCodePipeline, StyleControl
from sillok.methods.diffusion.text_attention import TextAttentionRecorder, quoted_token_ids
from sillok.methods.diffusion.wind import WIND

__all__ = [
    "WIND",
    "AttentionTap",
    "BicubicDown",
    "BoxMask",
    "DenoisedAPG",
    "GaussianBlur",
    "MotionGuide",
    "MotionTransfer",
    "OvershootFlowMatchScheduler",
    "SteeredFlowMatchScheduler",
    "StyleCodePipeline",
    "StyleControl",
    "StyleEncoder",
    "TextAttentionRecorder",
    "attention_modules",
    "attention_motion_flow",
    "classifier_cost",
    "convert",
    "distort",
    "edit_cost",
    "from_code",
    "from_denoised",
    "inverse_cost",
    "invert",
    "invert_pipeline",
    "motion_fidelity",
    "quoted_token_ids",
    "to_code",
    "to_denoised",
]
