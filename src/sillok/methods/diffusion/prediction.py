"""What a diffusion network's output says of the image: noise, velocity, flow and x0, each from any other.

Everything rests on x_t = alpha * x0 + sigma * noise. Of each kind of output x0 is a linear function of it and
of x_t, so that a conversion has an exact inverse wherever the output determines x0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

KINDS = ("epsilon", "v_prediction", "flow_prediction", "sample")

# A class counts if it, or a class that it inherits from, is named here.
_TABLE = {  # x_t of unit variance, alpha_bar looked up by the timestep itself
    "CogVideoXDDIMScheduler",
    "CogVideoXDPMScheduler",
    "DDIMParallelScheduler",
    "DDIMScheduler",
    "DDPMParallelScheduler",
    "DDPMScheduler",
    "LCMScheduler",
    "PNDMScheduler",
    "TCDScheduler",
}
_SOLVER = {  # alpha and sigma by the scheduler's own function of its sigmas
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "SASolverScheduler",
    "UniPCMultistepScheduler",
}
_EXPLODING = {  # x_t = x0 + sigma * noise, scaled to unit variance for the network only
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
}
_FLOW = {  # x_t = (1 - sigma) * x0 + sigma * noise
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "FlowMatchLCMScheduler",
}
_EDM = {"EDMDPMSolverMultistepScheduler", "EDMEulerScheduler"}  # a preconditioned network


class Point(NamedTuple):
    """One time of a scheduler, for one network.

    Attributes:
        kind: what the network puts out: one of `KINDS`, or "edm" for a preconditioned network.
        alpha, sigma: float64, () or one an item (B,): x_t = alpha * x0 + sigma * noise.
        skip, out: x0 = skip * x_t + out * output, in the same shape.
        scale: what x_t is multiplied by before the network sees it.
    """

    kind: str
    alpha: Tensor
    sigma: Tensor
    skip: Tensor
    out: Tensor
    scale: Tensor

    def to_denoised(self, pred: Tensor, sample: Tensor) -> Tensor:
        """x0 for an output of the network at x_t."""
        return _affine(self.skip, sample, self.out, pred)

    def from_denoised(self, x0: Tensor, sample: Tensor) -> Tensor:
        """The output of the network at x_t that says x0.

        Raises:
            ValueError: the output says nothing of x0 here (noise at sigma = 0).
        """
        if bool((self.out == 0).any()):
            raise ValueError(f"timestep has sigma 0: there {self.kind!r} does not depend on x0")
        return _affine(-self.skip / self.out, sample, 1 / self.out, x0)

    def unscale(self, model_input: Tensor) -> Tensor:
        """x_t for what the network was given."""
        return _affine(1 / self.scale, model_input)


def working(like: Tensor) -> torch.dtype:
    """The precision to convert in: float64, and float32 on devices that have no float64."""
    return torch.float32 if like.device.type in {"mps", "npu"} else torch.float64


def _affine(*terms: Tensor) -> Tensor:
    """Sum of coefficient times tensor, in working precision, returned in at least float32."""
    dtype = working(terms[1])
    total = None
    for factor, x in zip(terms[::2], terms[1::2], strict=True):
        factor = factor.to(device=x.device, dtype=dtype).reshape(factor.shape + (1,) * (x.ndim - factor.ndim))
        part = factor * x.to(dtype)
        total = part if total is None else total + part
    assert total is not None
    return total.to(torch.promote_types(torch.float32, _widest(terms[1::2])))


def _widest(tensors: tuple[Tensor, ...]) -> torch.dtype:
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = torch.promote_types(dtype, x.dtype)
    return dtype


def linear(kind: str, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(skip, out) such that x0 = skip * x_t + out * output, for an output of ``kind``.

    Velocity is that of x_t at unit variance, cos * noise - sin * x0 (Salimans and Ho, 2022, section 4 and
    appendix D); flow is noise - x0.

    Raises:
        ValueError: an unknown kind, or noise where alpha is 0 (zero terminal signal), which does not tell x0.
    """
    if kind == "epsilon":
        if bool((alpha == 0).any()):
            raise ValueError(
                "timestep has alpha 0: noise does not determine x0 there; use a v_prediction model"
            )
        return 1 / alpha, -sigma / alpha
    if kind == "v_prediction":
        square = alpha.square() + sigma.square()
        return alpha / square, -sigma / square.sqrt()
    if kind == "flow_prediction":
        return 1 / (alpha + sigma), -sigma / (alpha + sigma)
    if kind == "sample":
        return torch.zeros_like(alpha), torch.ones_like(alpha)
    raise ValueError(f"kind of prediction must be one of {', '.join(KINDS)}; got {kind!r}")


def point(scheduler: Any, timestep: Tensor | float) -> Point:
    """Where a Diffusers scheduler stands at ``timestep``.

    Args:
        scheduler: a Diffusers scheduler with a table of alphas (DDIM, DDPM, PNDM, LCM, TCD), a multistep solver
            (DPM-Solver, UniPC, DEIS, SA), Euler, Heun or LMS in sigmas, a flow-matching scheduler, or EDM's.
            Except for the first, ``set_timesteps`` must have been called.
        timestep: one of its timesteps, or one an item (B,).

    Raises:
        ValueError: another scheduler, a kind of prediction that it does not know, or a timestep that it lacks.
    """
    times = torch.as_tensor(timestep).detach().cpu()
    if times.ndim > 1 or times.numel() == 0:
        raise ValueError(f"timestep must be one number or have shape (B,); got shape {tuple(times.shape)}")
    found = [_at(scheduler, time) for time in times.reshape(-1)]
    if len({one.kind for one in found}) != 1:
        raise ValueError("timestep: one scheduler has one kind of prediction")
    columns = (torch.stack(column).reshape(times.shape) for column in list(zip(*found, strict=True))[1:])
    return Point(found[0].kind, *columns)


def _at(scheduler: Any, time: Tensor) -> Point:
    names = {base.__name__ for base in type(scheduler).__mro__}
    one = torch.ones((), dtype=torch.float64)
    kind = scheduler.config.get("prediction_type", "epsilon") if hasattr(scheduler, "config") else "epsilon"
    scale = one
    if names & _TABLE:
        alpha, sigma = _from_table(scheduler, time)
    elif names & _SOLVER:
        alpha, sigma = (v.double() for v in scheduler._sigma_to_alpha_sigma_t(_sigma(scheduler, time)))
    elif names & _EXPLODING:
        alpha, sigma = one, _sigma(scheduler, time)
        scale = 1 / (sigma.square() + 1).sqrt()
    elif names & _FLOW:
        kind, sigma = "flow_prediction", _sigma(scheduler, time)
        alpha = 1 - sigma
    elif names & _EDM:
        alpha, sigma = one, _sigma(scheduler, time)
        skip = scheduler.precondition_outputs(one, one * 0, sigma)
        out = scheduler.precondition_outputs(one * 0, one, sigma)
        return Point("edm", alpha, sigma, skip, out, scheduler.precondition_inputs(one, sigma))
    else:
        known = ", ".join(sorted(_TABLE | _SOLVER | _EXPLODING | _FLOW | _EDM))
        raise ValueError(
            f"scheduler {type(scheduler).__name__} is not one whose x0 is known; known are {known}"
        )
    return Point(kind, alpha, sigma, *linear(kind, alpha, sigma), scale)


def _from_table(scheduler: Any, time: Tensor) -> tuple[Tensor, Tensor]:
    table = scheduler.alphas_cumprod
    index = int(time)
    if index != float(time) or not 0 <= index < len(table):
        raise ValueError(f"timestep must be a whole number in [0, {len(table) - 1}]; got {float(time)!r}")
    square = table[index].detach().cpu().double()
    return square.sqrt(), (1 - square).sqrt()


def _sigma(scheduler: Any, time: Tensor) -> Tensor:
    """The sigma of a timestep; where timesteps repeat (Heun), that of the step which the scheduler is at."""
    times = scheduler.timesteps.detach().cpu()
    index = getattr(scheduler, "step_index", None)
    if index is None or index >= len(times) or float(times[index]) != float(time):
        hits = (times == time.to(times.dtype)).nonzero().flatten().tolist()
        if not hits:
            raise ValueError(f"timestep must be one of scheduler.timesteps; got {float(time)!r}")
        index = hits[0]
    sigma: Tensor = torch.as_tensor(scheduler.sigmas[index]).detach().cpu().double()
    return sigma


def _checked(name: str, x: Tensor, sample: Tensor) -> None:
    for label, tensor in ((name, x), ("sample", sample)):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(f"{label} must be a floating-point tensor; got {type(tensor).__name__}")
    if x.shape != sample.shape:
        raise ValueError(
            f"{name} and sample must have one shape; got {tuple(x.shape)} and {tuple(sample.shape)} "
            "(of a network that also predicts a variance, pass the mean's channels only)"
        )


def to_denoised(pred: Tensor, sample: Tensor, scheduler: Any, timestep: Tensor | float) -> Tensor:
    """The denoised image that a network's output stands for.

    Args:
        pred: (B, ...) the network's output: noise, velocity, flow or x0, whichever the scheduler is set to.
        sample: (B, ...) x_t as the scheduler keeps it, before `scale_model_input`.
        scheduler, timestep: see `point`.

    Returns:
        (B, ...) x0, computed in float64, in float32 at least.

    Raises:
        ValueError: see `point`; shapes that differ; noise where alpha is 0.
    """
    _checked("pred", pred, sample)
    return point(scheduler, timestep).to_denoised(pred, sample)


def from_denoised(x0: Tensor, sample: Tensor, scheduler: Any, timestep: Tensor | float) -> Tensor:
    """The network output that stands for a denoised image: the inverse of `to_denoised`.

    Raises:
        ValueError: as `to_denoised`, and where the output does not depend on x0 (noise at sigma = 0).
    """
    _checked("x0", x0, sample)
    return point(scheduler, timestep).from_denoised(x0, sample)


def convert(
    pred: Tensor, sample: Tensor, scheduler: Any, timestep: Tensor | float, *, to: str, of: str | None = None
) -> Tensor:
    """A prediction as another kind.

    Args:
        pred, sample, scheduler, timestep: as in `to_denoised`.
        to: one of `KINDS`: epsilon (noise), v_prediction (velocity), flow_prediction (flow), sample (x0).
        of: the kind of ``pred``; default: what the scheduler is set to.

    Raises:
        ValueError: as `to_denoised`, or an unknown kind.
    """
    _checked("pred", pred, sample)
    here = point(scheduler, timestep)
    source, target = (_as(here, kind) for kind in (of or here.kind, to))
    return target.from_denoised(source.to_denoised(pred, sample), sample)


def _as(here: Point, kind: str) -> Point:
    if kind == here.kind:
        return here
    skip, out = linear(kind, here.alpha, here.sigma)
    return here._replace(kind=kind, skip=skip, out=out)
