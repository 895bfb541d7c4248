"""AMO (arXiv 2411.19415): overshooting steps for rectified flows, as strong as attention to the lettering."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteSchedulerOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn import functional as F

from sillok.methods.diffusion.text_attention import TextAttentionRecorder, quoted_token_ids

__all__ = ["OvershootFlowMatchScheduler", "TextAttentionRecorder", "coefficients", "quoted_token_ids"]

Generators = torch.Generator | list[torch.Generator]


class OvershootFlowMatchScheduler(FlowMatchEulerDiscreteScheduler):
    """Euler steps of a rectified flow that go too far and come back with fresh noise.

    In data time t = 1 - sigma, a step from t to s first goes to o = min(s + c m (s - t), 1), and returns to s by
    scaling and noise: x_s = (s / o) x_o + sqrt((1 - s)^2 - (s (1 - o) / o)^2) xi. With a perfect velocity the
    distribution at s is that of an Euler step; with an imperfect one the pair adds a Langevin correction. The
    network is called as often as by Euler. Use it in place of a pipeline's scheduler:
    ``pipe.scheduler = OvershootFlowMatchScheduler.from_config(pipe.scheduler.config, overshoot=2.0)``.

    Args:
        num_train_timesteps, shift, use_dynamic_shifting, base_shift, max_shift, base_image_seq_len,
        max_image_seq_len, invert_sigmas, shift_terminal, use_karras_sigmas, use_exponential_sigmas,
        use_beta_sigmas, time_shift_type, stochastic_sampling: as in `FlowMatchEulerDiscreteScheduler`;
        without inverted sigmas and stochastic sampling.
        overshoot: c; 0 is Euler, and where o reaches 1 it is ``stochastic_sampling=True``.

    Raises:
        ValueError: an overshoot below 0 or not finite, inverted sigmas, stochastic sampling; see also
            `set_attention_map` and `step`.

    Reference:
        X. Hu, K. Xu, B. Liu, Q. Liu, H. Fei, "AMO Sampler: Enhancing Text Rendering with Overshooting",
        arXiv 2411.19415, the overshooting step and its attention modulation.

    Differs from the paper:
        The coefficients are computed in float64, and the radicand, negative by rounding at o = s, is held at 0.
    """

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        shift: float = 1.0,
        use_dynamic_shifting: bool = False,
        base_shift: float | None = 0.5,
        max_shift: float | None = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        invert_sigmas: bool = False,
        shift_terminal: float | None = None,
        use_karras_sigmas: bool = False,
        use_exponential_sigmas: bool = False,
        use_beta_sigmas: bool = False,
        time_shift_type: Literal["exponential", "linear"] = "exponential",
        stochastic_sampling: bool = False,
        overshoot: float = 2.0,
    ) -> None:
        if not 0 <= overshoot < math.inf:
            raise ValueError(f"overshoot must be at least 0 and finite; got {overshoot!r}")
        if invert_sigmas:
            raise ValueError("invert_sigmas=True cannot be served: time would run the other way")
        if stochastic_sampling:
            raise ValueError("stochastic_sampling=True is the limit of overshooting: set one or the other")
        # A scheduler is made from another's configuration by the names in this signature: that is why they are
        # all here.
        super().__init__(
            num_train_timesteps=num_train_timesteps,
            shift=shift,
            use_dynamic_shifting=use_dynamic_shifting,
            base_shift=base_shift,
            max_shift=max_shift,
            base_image_seq_len=base_image_seq_len,
            max_image_seq_len=max_image_seq_len,
            invert_sigmas=invert_sigmas,
            shift_terminal=shift_terminal,
            use_karras_sigmas=use_karras_sigmas,
            use_exponential_sigmas=use_exponential_sigmas,
            use_beta_sigmas=use_beta_sigmas,
            time_shift_type=time_shift_type,
            stochastic_sampling=stochastic_sampling,
        )
        self._map: Tensor | Callable[[], Tensor] | None = None

    def set_attention_map(self, m: Tensor | Callable[[], Tensor] | None) -> None:
        """Where to overshoot, and how strongly.

        Args:
            m: (B, H', W') or (B, N) in [0, 1]; B may be 1. Latents (B, C, H, W) take it bilinearly enlarged (N
                patches lie in rows, as a transformer's tokens do), packed ones (B, N, C) by token. A function
                without arguments is asked at every step: `TextAttentionRecorder.map` gives the map of the
                network call just made. None is 1 everywhere.

        Raises:
            ValueError: another shape, or values outside [0, 1] or that are not finite.
        """
        self._map = m if m is None or callable(m) else _checked_map(m)

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        s_churn: float = 0.0,
        s_tmin: float = 0.0,
        s_tmax: float = float("inf"),
        s_noise: float = 1.0,
        generator: Generators | None = None,
        per_token_timesteps: Tensor | None = None,
        return_dict: bool = True,
    ) -> Any:
        """One step: too far, and back with noise.

        Args:
            model_output, sample: (B, ...) the network's output and x, as the parent takes them.
            timestep: one of ``timesteps``.
            generator: of the noise. Pipelines of text to image pass none to their scheduler; `set_generator`
                makes theirs known.
            others: those of the parent; churn has no effect there either.

        Raises:
            ValueError: an empty batch, shapes that differ, timesteps by token, a map that does not fit.
        """
        real = timestep.is_floating_point() if isinstance(timestep, Tensor) else isinstance(timestep, float)
        if self.config.overshoot == 0 or not real:  # Euler's own, or an error of its own
            return super().step(
                model_output,
                timestep,
                sample,
                generator=generator,
                per_token_timesteps=per_token_timesteps,
                return_dict=return_dict,
            )
        if per_token_timesteps is not None:
            raise ValueError(
                "per_token_timesteps cannot be served: overshooting takes one time for all tokens"
            )
        if model_output.shape != sample.shape or sample.ndim < 2 or len(sample) == 0:
            raise ValueError(
                "model_output and sample must have one shape (B, ...) with B >= 1; got "
                f"{tuple(model_output.shape)} and {tuple(sample.shape)}"
            )
        if self.step_index is None:
            self._init_step_index(timestep)
        given = self._map() if callable(self._map) else self._map
        m = None if given is None else spread(_checked_map(given).to(sample.device), sample)
        sigma, after = (self.sigmas[self.step_index + i].double() for i in (0, 1))
        beyond, scale, noise = self._coefficients(sigma, after, m)
        x = sample.to(torch.float32)
        x = x + _as(beyond - sigma, x) * model_output
        xi = randn_tensor(x.shape, generator=generator or self._generator, device=x.device, dtype=x.dtype)
        previous = (_as(scale, x) * x + _as(noise, x) * xi).to(model_output.dtype)
        self._step_index += 1
        if not return_dict:
            return (previous,)
        return FlowMatchEulerDiscreteSchedulerOutput(prev_sample=previous)

    def _coefficients(self, sigma: Tensor, after: Tensor, m: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        return coefficients(sigma, after, self.config.overshoot, m)

    _generator: Generators | None = None

    def set_generator(self, generator: Generators | None) -> None:
        """The generator of the noise, where a caller passes none to `step`; None for the global one."""
        self._generator = generator


def coefficients(
    sigma: Tensor, after: Tensor, overshoot: float, m: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Where an overshooting step goes, and how it comes back: x_s = scale * x_o + noise * xi.

    Args:
        sigma, after: () float64, 1 - t and 1 - s with sigma >= after.
        overshoot: c.
        m: the map, of any shape; None for 1.

    Returns:
        1 - o, scale and noise, float64, shaped as m.
    """
    reach = overshoot * (torch.ones_like(sigma) if m is None else m.double())
    beyond = (after - reach * (sigma - after)).clamp_min(0)
    still = beyond == after  # Euler: there is no way back to go, and at s = 0 none that is defined
    o = torch.where(still, 1.0, 1 - beyond)
    scale = torch.where(still, 1.0, (1 - after) / o)
    radicand = after.square() - ((1 - after) * beyond / o).square()
    return beyond, scale, torch.where(still, 0.0, radicand.clamp_min(0).sqrt())


def spread(m: Tensor, sample: Tensor) -> Tensor:
    """A map (B, H', W') or (B, N) over a sample: (B, 1, H, W) for (B, C, H, W), (B, N, 1) for (B, N, C).

    Raises:
        ValueError: a sample with other axes, another batch, or a map that does not fit its patches or tokens.
    """
    shape = tuple(sample.shape)
    if sample.ndim not in (3, 4):
        raise ValueError(f"attention map needs a sample (B, C, H, W) or (B, N, C); got {shape}")
    if len(m) not in (1, len(sample)):
        raise ValueError(f"attention map must have 1 or {len(sample)} rows, as the sample has; got {len(m)}")
    if sample.ndim == 3:
        tokens = m.flatten(1)
        if tokens.shape[1] != shape[1]:
            raise ValueError(f"attention map must have {shape[1]} tokens for {shape}; got {tokens.shape[1]}")
        return tokens[..., None]
    if m.ndim == 2:
        patch = math.isqrt(shape[2] * shape[3] // m.shape[1]) if m.shape[1] <= shape[2] * shape[3] else 0
        if not patch or m.shape[1] * patch**2 != shape[2] * shape[3] or shape[2] % patch or shape[3] % patch:
            raise ValueError(
                f"attention map of {m.shape[1]} patches does not tile {shape[2]} x {shape[3]} latents"
            )
        m = m.reshape(len(m), shape[2] // patch, shape[3] // patch)
    return F.interpolate(m[:, None].float(), size=shape[2:], mode="bilinear").clamp(0, 1)


def _checked_map(m: Tensor) -> Tensor:
    if m.ndim not in (2, 3) or not m.numel():
        raise ValueError(f"attention map must have shape (B, H, W) or (B, N); got {tuple(m.shape)}")
    if not bool((m >= 0).all() & (m <= 1).all()):  # not of NaN either
        raise ValueError(
            f"attention map must lie in [0, 1]; got {float(m.min()):.3g} to {float(m.max()):.3g}"
        )
    return m


def _as(coefficient: Tensor, x: Tensor) -> Tensor:
    return coefficient.to(device=x.device, dtype=x.dtype)
