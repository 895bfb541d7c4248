"""Adaptive projected guidance (arXiv 2410.02416) on denoised predictions, as a Diffusers guider."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.guiders import AdaptiveProjectedGuidance
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance
from diffusers.guiders.guider_utils import GuiderOutput
from diffusers.hooks import HookRegistry, ModelHook
from torch import Tensor

from sillok.methods.diffusion.prediction import Point, from_denoised, point, to_denoised, working

__all__ = ["DenoisedAPG", "from_denoised", "to_denoised"]

_HOOK = "sillok_denoised_apg"


class _Bound(NamedTuple):
    sample: Tensor
    point: Point
    timestep: float


class DenoisedAPG(AdaptiveProjectedGuidance):
    """Adaptive projected guidance in the space of denoised images, as its paper defines it.

    With denoised predictions D_c and D_u, their difference gets a reverse momentum, is capped at the norm r,
    and loses (for eta = 0) its part along D_c, which is the part that saturates:
    D = D_c + (w - 1) (orthogonal + eta * parallel). The result is turned back into what the network predicts,
    so that any scheduler takes it. Use it where Diffusers takes a guider; `attach` makes x_t known to it.

    Args:
        guidance_scale: w; 1 is no guidance.
        momentum: beta, negative in the paper; None or 0 for none.
        rescale: r, the largest norm of an item's update, over all axes but the batch's; 0 for no cap. It is
            a length in the space of the latents, and so grows with the root of their number: 15 fits the
            65,536 numbers of an SDXL latent, and others want 15 * sqrt(numel / 65536).
        eta: weight of the part of the update along D_c: 0 in the paper, 1 keeps it.
        norm_dim: axes of norm and projection; default: all but the first.
        start, stop: the fractions of the steps between which guidance acts.
        enabled: False turns guidance off.

    Raises:
        ValueError: an argument outside its range. `forward`: x_t was not made known, one branch is missing, or
            the shape changed in the middle of a run.

    Reference:
        S. Sadat, O. Hilliges, R. M. Weber, "Eliminating Oversaturation and Artifacts of High Guidance Scales in
        Diffusion Models", arXiv 2410.02416, algorithm in the appendix.

    Differs from the paper:
        Conversion, momentum, cap and projection are computed in float64 (float32 where a device has no float64).
        Differs from the class of Diffusers, whose arithmetic it calls: there the update is made of the raw
        network output, and by default added to the unconditional branch with w instead of w - 1.
    """

    @register_to_config
    def __init__(
        self,
        guidance_scale: float = 15.0,
        momentum: float | None = -0.5,
        rescale: float = 15.0,
        eta: float = 0.0,
        norm_dim: int | tuple[int, ...] | list[int] | None = None,
        start: float = 0.0,
        stop: float = 1.0,
        enabled: bool = True,
    ):
        if guidance_scale < 0:
            raise ValueError(f"guidance_scale must be at least 0, not {guidance_scale!r}")
        if momentum is not None and not -1 < momentum < 1:
            raise ValueError(f"momentum must lie in (-1, 1) or be None, not {momentum!r}")
        if rescale < 0:
            raise ValueError(f"rescale must be at least 0, not {rescale!r}")
        # Past the parent's own decorator, which would put its argument names into this class's configuration.
        AdaptiveProjectedGuidance.__init__.__wrapped__(
            self,
            guidance_scale=guidance_scale,
            adaptive_projected_guidance_momentum=momentum or None,
            adaptive_projected_guidance_rescale=rescale,
            adaptive_projected_guidance_norm_dim=tuple(norm_dim) if isinstance(norm_dim, list) else norm_dim,
            eta=eta,
            # The parent asks this only to know at which scale guidance is off: here that is 1, since `forward`
            # takes 1 off itself.
            use_original_formulation=False,
            start=start,
            stop=stop,
            enabled=enabled,
        )
        self._bound: _Bound | None = None
        self._last_time: float | None = None
        self._awaits = False

    def set_state(self, step: int, num_inference_steps: int, timestep: Any) -> None:
        """Begin a step; the first of a run forgets the momentum of the run before."""
        if step == 0 or self._step is None or step < self._step:
            self.momentum_buffer = None
        super().set_state(step=step, num_inference_steps=num_inference_steps, timestep=timestep)
        self._bound, self._awaits = None, True

    def bind(self, sample: Tensor, scheduler: Any, timestep: Tensor | float) -> None:
        """Make x_t of this step known; it serves one `forward`.

        Args:
            sample: (B, ...) x_t as the scheduler keeps it, before `scale_model_input`.
            scheduler: a Diffusers scheduler that `sillok.methods.diffusion.prediction.point` knows.
            timestep: its timestep for this step.

        Without `set_state`, a timestep above the one before counts as the start of another run.

        Raises:
            ValueError: the scheduler cannot be served, or the timestep is not its.
        """
        if not isinstance(sample, Tensor) or not sample.is_floating_point():
            raise TypeError(f"sample must be a floating-point tensor; got {type(sample).__name__}")
        here = point(scheduler, timestep)
        time = float(torch.as_tensor(timestep).max())
        if self._step is None and self._last_time is not None and time > self._last_time:
            self.momentum_buffer = None
        self._bound, self._last_time = _Bound(sample, here, time), time

    def forward(self, pred_cond: Tensor, pred_uncond: Tensor | None = None) -> GuiderOutput:
        """The guided prediction, of the kind that the network gives.

        Args:
            pred_cond, pred_uncond: (B, ...) the network's outputs with and without the condition.
        """
        bound, self._bound, self._awaits = self._bound, None, False
        if not self._is_apg_enabled():
            return GuiderOutput(pred=pred_cond, pred_cond=pred_cond, pred_uncond=pred_uncond)
        sample = self._checked(bound, pred_cond, pred_uncond)
        assert bound is not None and pred_uncond is not None
        if self.adaptive_projected_guidance_momentum is not None and self.momentum_buffer is None:
            self.momentum_buffer = MomentumBuffer(self.adaptive_projected_guidance_momentum)
        dtype = working(pred_cond)
        sample = sample.to(device=pred_cond.device, dtype=dtype)
        guided = normalized_guidance(
            bound.point.to_denoised(pred_cond.to(dtype), sample),
            bound.point.to_denoised(pred_uncond.to(dtype), sample),
            self.guidance_scale - 1,
            self.momentum_buffer,
            self.eta,
            self.adaptive_projected_guidance_rescale,
            use_original_formulation=True,
            norm_dim=self.adaptive_projected_guidance_norm_dim,
        )
        pred = bound.point.from_denoised(guided, sample).to(pred_cond.dtype)
        return GuiderOutput(pred=pred, pred_cond=pred_cond, pred_uncond=pred_uncond)

    def _checked(self, bound: _Bound | None, pred_cond: Tensor, pred_uncond: Tensor | None) -> Tensor:
        if pred_uncond is None:
            raise ValueError("pred_uncond must be given: guidance needs the branch without the condition")
        if bound is None:
            raise ValueError(
                "sample of this step is unknown: call bind(sample, scheduler, timestep) before every forward, "
                "or attach(denoiser, scheduler) once"
            )
        if not pred_cond.shape == pred_uncond.shape == bound.sample.shape:
            raise ValueError(
                f"pred_cond, pred_uncond and sample must have one shape; got {tuple(pred_cond.shape)}, "
                f"{tuple(pred_uncond.shape)} and {tuple(bound.sample.shape)}"
            )
        kept = getattr(self.momentum_buffer, "running_average", 0)
        if isinstance(kept, Tensor) and kept.shape != pred_cond.shape:
            raise ValueError(
                f"pred_cond has shape {tuple(pred_cond.shape)}, and the run began with {tuple(kept.shape)}: "
                "start another run with set_state(step=0, ...)"
            )
        return bound.sample

    def attach(self, denoiser: torch.nn.Module, scheduler: Any) -> None:
        """Bind x_t by itself whenever a pipeline that drives this guider calls its denoiser.

        Args:
            denoiser: the pipeline's ``unet`` or ``transformer``. Its first argument is taken as the scaled x_t.
            scheduler: the pipeline's own scheduler object.
        """
        registry = HookRegistry.check_if_exists_or_initialize(denoiser)
        if registry.get_hook(_HOOK) is not None:
            registry.remove_hook(_HOOK, recurse=False)
        registry.register_hook(_BindHook(self, scheduler), _HOOK)

    @staticmethod
    def detach(denoiser: torch.nn.Module) -> None:
        """Undo `attach`."""
        HookRegistry.check_if_exists_or_initialize(denoiser).remove_hook(_HOOK, recurse=False)


class _BindHook(ModelHook):
    """Tells a guider the x_t that its denoiser is about to see."""

    def __init__(self, guider: DenoisedAPG, scheduler: Any):
        super().__init__()
        self.guider, self.scheduler = guider, scheduler

    def pre_forward(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        guider = self.guider
        if guider._awaits:  # else another guider, or none, drives the model
            names = ("sample", "hidden_states")
            given = args[0] if args else next((kwargs[name] for name in names if name in kwargs), None)
            if not isinstance(given, Tensor):
                raise ValueError(f"denoiser {type(module).__name__} got no tensor as its first argument")
            # The guider's timestep is the scheduler's; the network's may be scaled (Flux divides it by 1,000).
            here = point(self.scheduler, guider._timestep)
            guider.bind(here.unscale(given), self.scheduler, guider._timestep)
        return args, kwargs
