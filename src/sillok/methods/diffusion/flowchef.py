"""FlowChef (arXiv 2412.00100): rectified flows steered by a cost on the predicted clean image, as a scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from sillok.methods.diffusion.operators import LinearOperator

Cost = Callable[[Tensor], Tensor]


@runtime_checkable
class StepCost(Protocol):
    """A cost that changes from step to step."""

    def at(self, step: int) -> Cost:
        """The cost of a step, counted from 0."""


class SteeredFlowMatchScheduler(FlowMatchEulerDiscreteScheduler):
    """Euler sampling of a rectified flow that descends a cost of the predicted clean image at every step.

    With v the network's (guided) output at x, the clean image is x0 = x - sigma v. A step first moves x by
    - scale * grad cost(x0), the gradient being that with respect to x0 alone, and then goes on with the same v:
    no gradient passes through the network and none is evaluated again. Use it in place of a pipeline's
    scheduler: ``pipe.scheduler = SteeredFlowMatchScheduler.from_config(pipe.scheduler.config)``. Without a cost
    it is its parent.

    Args:
        num_train_timesteps, shift, use_dynamic_shifting, base_shift, max_shift, base_image_seq_len,
        max_image_seq_len, invert_sigmas, shift_terminal, use_karras_sigmas, use_exponential_sigmas,
        use_beta_sigmas, time_shift_type, stochastic_sampling: as in
        `FlowMatchEulerDiscreteScheduler`; without inverted sigmas.

    Raises:
        ValueError: see `set_cost` and `step`.

    Reference:
        M. Patel, S. Wen, D. N. Metaxas, Y. Yang, "Steering Rectified Flow Models in the Vector Field for
        Controlled Image Generation", arXiv 2412.00100; the authors' runs on pixels and on Flux.

    Differs from the paper:
        The costs of this module are sums over the image and not means, so that one scale serves every
        resolution; `elementwise` turns a scale for a mean into one for them. The last step is never corrected,
        as in the authors' runs on pixels; their Flux editing corrects that one too.
    """

    def set_cost(
        self, cost: Cost | StepCost, *, scale: float, inner_steps: int = 1, stop: float = 1.0
    ) -> None:
        """What to descend, and how far; it holds until `clear_cost` and serves one run after another.

        Args:
            cost: x0 (B, ...) in float32, shaped as the pipeline's latents (Flux: packed, (B, N, C)) -> (B,).
                A `StepCost` is asked for the cost of each step.
            scale: length of a move in gradients; 0 for none.
            inner_steps: moves at each step, the network's output left as it is.
            stop: the fraction of the steps after which there are no moves.

        Raises:
            TypeError: a cost that cannot be called.
            ValueError: an argument out of its range, or a scheduler with inverted sigmas.
        """
        if not callable(cost) and not isinstance(cost, StepCost):
            raise TypeError(f"cost must be callable: x0 (B, ...) -> (B,); got {type(cost).__name__}")
        if not 0 <= scale < float("inf"):
            raise ValueError(f"scale must be at least 0 and finite; got {scale!r}")
        if isinstance(inner_steps, bool) or not isinstance(inner_steps, int) or inner_steps < 1:
            raise ValueError(f"inner_steps must be an integer of at least 1; got {inner_steps!r}")
        if not 0 <= stop <= 1:
            raise ValueError(f"stop must lie in [0, 1]; got {stop!r}")
        if self.config.invert_sigmas:
            raise ValueError("scheduler has invert_sigmas=True: its x0 is not x - sigma * v")
        self._cost, self._scale, self._inner_steps, self._stop = cost, float(scale), inner_steps, float(stop)

    def clear_cost(self) -> None:
        """Forget the cost: from then on it is a plain `FlowMatchEulerDiscreteScheduler`."""
        self._cost = None

    # Read where no `set_cost` was called; an __init__ of its own would hide the parent's configuration.
    _cost: Any = None
    _scale = 0.0
    _inner_steps = 1
    _stop = 1.0
    _first = 0

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        *args: Any,
        per_token_timesteps: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """One move (or more) down the cost, then the parent's step.

        Args:
            model_output, sample: (B, ...) the network's output v and x, as the parent takes them.
            timestep: one of ``timesteps``.
            args, kwargs: the parent's other arguments.

        Raises:
            ValueError: with a cost set, an empty batch, shapes that differ, timesteps by token, a cost that is
                not (B,) or does not depend on x0, a gradient that is not finite.
        """
        real = timestep.is_floating_point() if isinstance(timestep, Tensor) else isinstance(timestep, float)
        if self.step_index is None and real:  # the parent refuses other timesteps
            self._init_step_index(timestep)
            self._first = self.step_index
        if self._cost is not None and self._scale > 0 and self.step_index is not None:
            if per_token_timesteps is not None:
                raise ValueError(
                    "per_token_timesteps cannot be served: steering takes one time for all tokens"
                )
            if model_output.shape != sample.shape or sample.ndim < 2 or len(sample) == 0:
                raise ValueError(
                    "model_output and sample must have one shape (B, ...) with B >= 1; got "
                    f"{tuple(model_output.shape)} and {tuple(sample.shape)}"
                )
            sample = self._steer(model_output, sample)
        return super().step(
            model_output, timestep, sample, *args, per_token_timesteps=per_token_timesteps, **kwargs
        )

    def _steer(self, model_output: Tensor, sample: Tensor) -> Tensor:
        last = len(self.sigmas) - 2
        done, total = self.step_index - self._first, last + 1 - self._first
        if self.step_index >= last or done >= self._stop * total:
            return sample
        cost = self._cost.at(done) if isinstance(self._cost, StepCost) else self._cost
        sample = sample.detach().to(torch.float32)
        # The Jacobian of x0 is taken as the identity: v is a constant here.
        offset = self._offset(model_output.detach().to(torch.float32), self.sigmas[self.step_index])
        for _ in range(self._inner_steps):
            sample = sample - self._scale * _gradient(cost, sample - offset)
        return sample

    @staticmethod
    def _offset(velocity: Tensor, sigma: Tensor) -> Tensor:
        """x - x0."""
        return sigma.to(velocity.device) * velocity


def _gradient(cost: Cost, x0: Tensor) -> Tensor:
    """The gradient of a cost at x0 (B, ...), in the same shape."""
    with torch.inference_mode(False), torch.enable_grad():
        x0 = x0.detach().clone().requires_grad_()
        value = cost(x0)
        if not isinstance(value, Tensor) or value.shape != x0.shape[:1]:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"cost must return one number an item, shape ({len(x0)},); got {shape}")
        if not value.requires_grad:
            raise ValueError("cost does not depend on x0: its result carries no gradient")
        (gradient,) = torch.autograd.grad(value.sum(), x0)
    if not bool(gradient.isfinite().all()):
        raise ValueError("cost has a gradient that is not finite: the latents or the cost overflowed")
    return gradient


def elementwise(scale: float, numel: int) -> float:
    """The scale for this module's costs that equals ``scale`` with a mean of squares over ``numel`` numbers.

    The authors' 500 on 3 x 64 x 64 pixels is 0.081 here, and their 0.6 with 1,000 times the mean on the latents
    of Flux (16 x 128 x 128) is ``elementwise(600, 16 * 128 * 128)``, 0.0046.

    Raises:
        ValueError: ``numel`` below 1.
    """
    if numel < 1:
        raise ValueError(f"numel must be at least 1; got {numel!r}")
    return 2 * scale / numel


def inverse_cost(operator: LinearOperator, y: Tensor) -> Cost:
    """Half the squared residual of a measurement y = A x, for each item: n / (2 m) * |A x0 - y|^2.

    n and m count the numbers of an image and of a measurement, so that a scale means the same for operators
    that keep the size and for those that do not.

    Args:
        operator: A, such as `BoxMask`, `BicubicDown` or `GaussianBlur`.
        y: (B, ...) the measurements, shaped as ``operator.forward`` gives them.

    Raises:
        ValueError: no measurement. The cost: a measurement of another shape than A x0.
    """
    if y.ndim < 2 or not y.numel():
        raise ValueError(f"y must have shape (B, ...) with B >= 1; got {tuple(y.shape)}")

    def cost(x0: Tensor) -> Tensor:
        seen = operator.forward(x0)
        if seen.shape != y.shape:
            raise ValueError(f"y must have shape {tuple(seen.shape)}, as A x0 has; got {tuple(y.shape)}")
        weight = x0[0].numel() / (2 * y[0].numel())
        return weight * (seen - y.to(seen)).square().flatten(1).sum(1)

    return cost


class _EditCost:
    """What `edit_cost` gives: one cost for the first steps and another for the rest."""

    def __init__(self, source: Tensor, keep: Tensor, source_steps: int) -> None:
        self.source, self.keep, self.source_steps = source, keep, source_steps

    def at(self, step: int) -> Cost:
        """The cost of a step, counted from 0."""
        return self.whole if step < self.source_steps else self.outside

    def whole(self, x0: Tensor) -> Tensor:
        """(B,) half the squared distance to the source."""
        return 0.5 * self._gap(x0).square().flatten(1).sum(1)

    def outside(self, x0: Tensor) -> Tensor:
        """(B,) half the squared distance to the source where it is to be kept."""
        return 0.5 * (self.keep.to(x0) * self._gap(x0).square()).flatten(1).sum(1)

    __call__ = outside

    def _gap(self, x0: Tensor) -> Tensor:
        if x0.shape != self.source.shape:
            raise ValueError(
                f"source_latent must have shape {tuple(x0.shape)}, as the latents have; got "
                f"{tuple(self.source.shape)}"
            )
        return x0 - self.source.to(x0)


def edit_cost(source_latent: Tensor, mask: Tensor, *, source_steps: int) -> _EditCost:
    """Half the squared distance to a source: to all of it at first, then to what lies outside the mask.

    Args:
        source_latent: (B, C, H, W), or (B, N, C) as Flux packs its latents (see `pack`).
        mask: broadcast over the source; 1 where the picture may change, 0 where it must stay.
        source_steps: how many steps hold on to the whole source (10 of 30 in the authors' runs).

    Raises:
        ValueError: a mask of another size or with values outside [0, 1], source_steps below 0, no source. The
            cost: a source of another shape than x0.
    """
    source, shape = source_latent, tuple(source_latent.shape)
    if source.ndim < 3 or not source.numel():
        raise ValueError(f"source_latent must have shape (B, C, H, W) or (B, N, C); got {shape}")
    if mask.ndim != source.ndim or any(a not in (1, b) for a, b in zip(mask.shape, shape, strict=True)):
        raise ValueError(f"mask must broadcast over source_latent {shape}; got {tuple(mask.shape)}")
    if not 0 <= float(mask.min()) <= float(mask.max()) <= 1:
        raise ValueError(f"mask must lie in [0, 1]; got {float(mask.min())} to {float(mask.max())}")
    if isinstance(source_steps, bool) or not isinstance(source_steps, int) or source_steps < 0:
        raise ValueError(f"source_steps must be an integer of at least 0; got {source_steps!r}")
    return _EditCost(source, 1 - mask.float(), source_steps)


def classifier_cost(classifier: Callable[[Tensor], Any], label: Tensor) -> Cost:
    """Cross-entropy of a classifier of clean images with a label, for each item.

    Args:
        classifier: x0 -> logits (B, K), or a tuple that begins with them, or an object with ``logits``.
        label: (B,) the classes to steer to.

    Raises:
        ValueError: labels of another shape or kind. The cost: another number of labels than of images, or a
            label that is not in [0, K - 1].
    """
    if label.ndim != 1 or not len(label) or label.is_floating_point():
        raise ValueError(f"label must be integers of shape (B,); got {label.dtype}, {tuple(label.shape)}")

    def cost(x0: Tensor) -> Tensor:
        found = classifier(x0)
        logits = found[0] if isinstance(found, tuple) else getattr(found, "logits", found)
        if len(label) != len(x0):
            raise ValueError(f"label must have {len(x0)} entries, one an image; got {len(label)}")
        if not 0 <= int(label.min()) <= int(label.max()) < logits.shape[1]:
            raise ValueError(f"label must lie in [0, {logits.shape[1] - 1}]; got {label.tolist()}"[:200])
        return torch.nn.functional.cross_entropy(logits, label.to(logits.device), reduction="none")

    return cost


def pack(latents: Tensor) -> Tensor:
    """Latents (B, C, H, W) as Flux packs them: (B, H W / 4, 4 C), a token for each square of 2 x 2.

    Raises:
        ValueError: another number of axes, or an odd height or width.
    """
    if latents.ndim != 4 or latents.shape[2] % 2 or latents.shape[3] % 2:
        raise ValueError(f"latents must have shape (B, C, H, W), H and W even; got {tuple(latents.shape)}")
    b, c, h, w = latents.shape
    return latents.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, 4 * c)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`: tokens (B, N, C) to latents (B, C / 4, height, width).

    Raises:
        ValueError: a height and width that do not give N tokens.
    """
    b, n, c = tokens.shape if tokens.ndim == 3 else (0, 0, 0)
    if height % 2 or width % 2 or height * width != 4 * n or c % 4:
        raise ValueError(
            f"tokens must have shape (B, {height * width // 4}, 4 C) for {height} x {width} latents, both even; "
            f"got {tuple(tokens.shape)}"
        )
    squares = tokens.reshape(b, height // 2, width // 2, c // 4, 2, 2)
    return squares.permute(0, 3, 1, 4, 2, 5).reshape(b, c // 4, height, width)


def packed(cost: Cost, height: int, width: int) -> Cost:
    """A cost of latents (B, C, height, width) as one of Flux's packed tokens (B, N, 4 C)."""
    return lambda tokens: cost(unpack(tokens, height, width))
