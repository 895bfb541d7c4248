"""Deterministic inversion: the noise that a sampler without chance turns into an image.

A sampling step from level t to the cleaner level s is x_s = keep * x_t + give * output(x_t, t), with output what
the network puts out. Its inverse needs the output at the x_t that is sought. DDIM inversion takes the output at
x_s instead (Song et al., "Denoising Diffusion Implicit Models", 2020, section 4.3; Mokady et al., arXiv
2211.09794, section 3.1); fixed-point iterations from there lead to the true inverse wherever they converge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sillok.methods.diffusion.prediction import linear, point, working

Predict = Callable[[Tensor, Tensor], Tensor]

_TABLE = {"DDIMScheduler", "DDIMParallelScheduler", "CogVideoXDDIMScheduler"}
_SIGMAS = {
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "LMSDiscreteScheduler",
    "UniPCMultistepScheduler",
}
_OPTIONS = {"algorithm_type": ("sde-dpmsolver", "sde-dpmsolver++"), "stochastic_sampling": (True,)}


class Step(NamedTuple):
    """One sampling step, from the level of ``time`` to the next cleaner one, in the terms of its inverse.

    Attributes:
        time: the scheduler's timestep, which the network is given.
        scale: what x is multiplied by before the network sees it.
        keep, give: the sampling step is x_s = keep * x_t + give * output.
        guess_keep, guess_give: x_t = guess_keep * x_s + guess_give * output, with x_s read as a sample of its
            own level: the step of DDIM inversion.
    """

    time: Tensor
    scale: float
    keep: float
    give: float
    guess_keep: float
    guess_give: float


def _levels(scheduler: Any, index: int) -> tuple[Tensor, Tensor]:
    """(alpha, sigma) at which the sampling step ``index`` ends."""
    one = torch.ones((), dtype=torch.float64)
    if {base.__name__ for base in type(scheduler).__mro__} & _TABLE:
        # as `DDIMScheduler.step` has it, which need not be the next of its timesteps
        count = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        below = int(scheduler.timesteps[index]) - count
        square = scheduler.alphas_cumprod[below] if below >= 0 else scheduler.final_alpha_cumprod
        square = torch.as_tensor(square).detach().cpu().double()
        return square.sqrt(), (1 - square).sqrt()
    if index + 1 < len(scheduler.timesteps):
        after = point(scheduler, scheduler.timesteps[index + 1])
        return after.alpha, after.sigma
    sigma = torch.as_tensor(scheduler.sigmas[-1]).detach().cpu().double()
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        alpha, sigma = scheduler._sigma_to_alpha_sigma_t(sigma)
        return alpha.double(), sigma.double()
    return (1 - sigma if "FlowMatch" in type(scheduler).__name__ else one), sigma


def _noise(kind: str, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(of_x, of_output) such that noise = of_x * x + of_output * output; the companion of `linear`."""
    zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)
    if kind == "epsilon":
        return zero, one
    if kind == "v_prediction":
        square = alpha.square() + sigma.square()
        return sigma / square, alpha / square.sqrt()
    if kind == "flow_prediction":
        return 1 / (alpha + sigma), alpha / (alpha + sigma)
    if bool(sigma == 0):
        raise ValueError(
            "scheduler has prediction_type 'sample' and ends at sigma 0, where an image tells no noise; "
            "use one that ends above 0 (set_alpha_to_one=False)"
        )
    return 1 / sigma, -alpha / sigma


def steps_of(scheduler: Any, steps: int, device: Any = None) -> list[Step]:
    """The sampling steps of a fresh scheduler of the same configuration, the noisiest first.

    Args:
        scheduler: DDIM, Euler, LMS, flow-matching Euler, or a multistep solver (DPM-Solver, UniPC, DEIS). The
            last are taken at first order on their own timesteps.
        steps: as for ``set_timesteps``.

    Raises:
        ValueError: a scheduler that draws noise in its steps or evaluates the network twice in one, an unknown
            one, too few or too many steps, a kind of prediction that does not tell the noise.
    """
    names = {base.__name__ for base in type(scheduler).__mro__}
    options = {k: scheduler.config.get(k) for k in _OPTIONS} if hasattr(scheduler, "config") else {}
    chance = next((k for k, value in options.items() if value in _OPTIONS[k]), None)
    if not names & (_TABLE | _SIGMAS) or chance:
        raise ValueError(
            f"scheduler {type(scheduler).__name__}{f' with {chance}={options[chance]!r}' if chance else ''} is "
            f"none whose steps can be inverted; these can: {', '.join(sorted(_TABLE | _SIGMAS))}, or use "
            "DDIMScheduler.from_config(scheduler.config)"
        )
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be an integer of at least 1; got {steps!r}")
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(steps, device=device)
    if bool((scheduler.timesteps.diff() >= 0).any()):
        raise ValueError(
            f"steps of scheduler {type(scheduler).__name__} do not fall strictly: {steps} are too many"
        )
    found = []
    for index, time in enumerate(scheduler.timesteps):
        here = point(scheduler, time)
        alpha, sigma = _levels(scheduler, index)
        x_t, out_t = _noise(here.kind, here.alpha, here.sigma)
        x_s, out_s = _noise(here.kind, alpha, sigma)
        skip, out = linear(here.kind, alpha, sigma)
        found.append(
            Step(
                time,
                float(here.scale),
                float(alpha * here.skip + sigma * x_t),
                float(alpha * here.out + sigma * out_t),
                float(here.alpha * skip + here.sigma * x_s),
                float(here.alpha * out + here.sigma * out_s),
            )
        )
    return found


@torch.no_grad()
def invert(
    predict: Predict,
    scheduler: Any,
    x0: Tensor,
    steps: int,
    *,
    refine: int = 0,
    on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """The starting noise from which ``scheduler`` arrives at an image.

    Args:
        predict: called as ``predict(x, timestep)`` with x (B, ...) scaled as the network expects it; gives the
            raw prediction, guidance included if there was any.
        scheduler: see `steps_of`; a fresh one of its configuration is used.
        x0: (B, ...) images or latents, in the network's own range.
        steps: as in sampling.
        refine: fixed-point iterations a step, each one evaluation more; 0 is plain DDIM inversion, the same as
            Diffusers' ``DDIMInverseScheduler``. They converge where the steps are small for the network.
        on_step: called with the step's index, counted from the image, and x after it.

    Returns:
        (B, ...) noise of unit variance, in the dtype of ``x0``: what a pipeline takes as ``latents``.

    Raises:
        ValueError: see `steps_of`; an empty batch, values that are not finite, a negative ``refine``, a
            prediction of another shape than x.
    """
    if not isinstance(x0, Tensor) or not x0.is_floating_point():
        raise TypeError(f"x0 must be a floating-point tensor; got {type(x0).__name__}")
    if x0.ndim < 2 or len(x0) == 0:
        raise ValueError(f"x0 must have shape (B, ...) with B >= 1; got {tuple(x0.shape)}")
    if not bool(x0.isfinite().all()):
        raise ValueError("x0 must be finite; got NaN or infinity (half precision overflows at 65,504)")
    if isinstance(refine, bool) or not isinstance(refine, int) or refine < 0:
        raise ValueError(f"refine must be an integer of at least 0; got {refine!r}")
    plan = steps_of(scheduler, steps, x0.device)

    def output(x: Tensor, step: Step) -> Tensor:
        found = predict((x * step.scale).to(x0.dtype), step.time)
        if found.shape != x.shape:
            raise ValueError(
                f"predict must give what it is given, {tuple(x.shape)}; got {tuple(found.shape)} "
                "(of a network that also predicts a variance, give the mean's channels only)"
            )
        return found.to(x.dtype)

    x = x0.to(torch.promote_types(x0.dtype, working(x0)))
    for index, step in enumerate(reversed(plan)):
        clean = x
        x = step.guess_keep * clean + step.guess_give * output(clean, step)
        for _ in range(refine):
            x = (clean - step.give * output(x, step)) / step.keep
        if on_step is not None:
            on_step(index, x.to(x0.dtype))
    start = type(scheduler).from_config(scheduler.config)
    start.set_timesteps(steps)
    return (x / float(getattr(start, "init_noise_sigma", 1.0))).to(x0.dtype)


@torch.no_grad()
def invert_pipeline(
    pipe: Any, image: Any, *, steps: int = 50, prompt: str = "", scheduler: Any = None, refine: int = 0
) -> Tensor:
    """The latents from which a Stable Diffusion pipeline arrives at images, without guidance.

    Args:
        pipe: a `StableDiffusionPipeline` or `StableDiffusionXLPipeline` (or one that inherits from them).
        image: what ``pipe.image_processor`` takes: a PIL image or a list of them, or tensors (B, 3, H, W) in
            [-1, 1] or [0, 1] as it has them.
        steps: of the inversion.
        prompt: one for all images; the empty one is what a detector can know.
        scheduler: see `steps_of`; default: DDIM with the betas and timesteps of the pipeline's own, whichever
            sampler made the image.
        refine: see `invert`.

    Returns:
        (B, 4, h, w) latents of unit variance, for the pipeline's ``latents``.

    Raises:
        ValueError: a pipeline without unet, vae and encode_prompt; a flow-matching one (call `invert`); see
            `invert`.
    """
    from diffusers import DDIMScheduler

    missing = [
        name for name in ("unet", "vae", "image_processor", "encode_prompt") if not hasattr(pipe, name)
    ]
    if missing:
        raise ValueError(
            f"pipe must be of the Stable Diffusion or SDXL class; {type(pipe).__name__} has no {missing[0]}"
        )
    if scheduler is None:
        if "num_train_timesteps" not in pipe.scheduler.config or "beta_start" not in pipe.scheduler.config:
            raise ValueError(
                f"scheduler of pipe, {type(pipe.scheduler).__name__}, has no betas for DDIM: pass a scheduler"
            )
        scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    steps_of(scheduler, steps)
    device, dtype = pipe._execution_device, pipe.unet.dtype
    pixels = pipe.image_processor.preprocess(image).to(device, pipe.vae.dtype)
    latents = (pipe.vae.encode(pixels).latent_dist.mean * pipe.vae.config.scaling_factor).to(dtype)
    count = len(latents)
    extra: dict[str, Any] = {}
    encoded = pipe.encode_prompt(
        prompt, device=device, num_images_per_prompt=count, do_classifier_free_guidance=False
    )
    if getattr(pipe, "text_encoder_2", None) is not None:
        size = tuple(pixels.shape[-2:])
        pooled = encoded[2]
        ids = pipe._get_add_time_ids(
            size, (0, 0), size, dtype=dtype, text_encoder_projection_dim=pooled.shape[-1]
        )
        extra["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": ids.to(device).repeat(count, 1)}

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return pipe.unet(x, t, encoder_hidden_states=encoded[0], return_dict=False, **extra)[0]

    return invert(predict, scheduler, latents, steps, refine=refine)
