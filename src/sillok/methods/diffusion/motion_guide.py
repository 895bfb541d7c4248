"""Motion guidance of DiTFlow (arXiv 2412.07776), for any loop that samples with a CogVideoX transformer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import Tensor

from sillok.methods.diffusion.attention import AttentionCall, AttentionTap, Replaced
from sillok.methods.diffusion.motion import amf_loss, attention_motion_flow, smm_loss
from sillok.methods.diffusion.motion_run import Following, MotionSignal, Rotary
from sillok.methods.diffusion.prediction import Point, point

__all__ = ["MotionGuide", "MotionSignal"]

VARIABLES = ("latent", "embedding")
OBJECTIVES = ("amf", "smm")


class _Enough(Exception):
    """What was wanted of the network has been seen: its later blocks need not run."""


class MotionGuide:
    """Makes the sampling of a `CogVideoXTransformer3DModel` follow the motion of reference videos.

    It needs no pipeline: any loop that calls `before_step` with x_t before each step, inside `follow`, is guided.
    `MotionTransfer` does that in `CogVideoXPipeline`.

    In each of the first ``guided_steps`` steps, Adam changes x_t, or the positional embedding of the image
    tokens, so that the attention motion flow at ``block`` (of the conditional branch alone) approaches that of
    the reference; the blocks after it do not run for that. In the same steps the image tokens of
    ``inject_blocks`` attend to the keys and values of the reference, noised to the same level with the noise
    that sampling started from, in every call of the network.

    Args:
        transformer: the video model; its weights stay as they are.
        block: whose attention shows the motion: 20 in CogVideoX-5B, 15 in 2B.
        lr: learning rate at the first and at the last guided step.
        inner_steps: Adam updates a guided step; 0 for injection alone.
        guided_steps: how many of the first steps are guided.
        optimise: "latent" for x_t, or "embedding" for the positional embedding: the tables of the rotary one,
            of queries and keys apart, or the additive one. It is kept for each timestep: `embeddings`.
        inject_blocks: where keys and values of the reference are injected; () for nowhere.
        objective: "amf", or "smm" for spatial marginal means, which the paper compares with.
        temperature: of the attention motion flow.

    Raises:
        TypeError, ValueError: another network, one whose patches span frames (CogVideoX 1.5), or an argument
            out of range.

    Reference:
        A. Pondaven, A. Siarohin, S. Tulyakov, P. Torr, F. Pizzati, "Video Motion Transfer with Diffusion
        Transformers", arXiv 2412.07776, section 4.

    Differs from the paper:
        The learning rate reaches its last value at the last guided step. The error is summed over a batch, so
        that each video is guided as if it were alone. With gradient checkpointing the later blocks run
        forward, since nothing may be raised inside a checkpoint.
    """

    def __init__(
        self,
        transformer: Any,
        *,
        block: int,
        lr: tuple[float, float] = (2e-3, 1e-3),
        inner_steps: int = 5,
        guided_steps: int = 10,
        optimise: str = "latent",
        inject_blocks: tuple[int, ...] = (0,),
        objective: str = "amf",
        temperature: float = 2.0,
    ) -> None:
        if not isinstance(transformer, CogVideoXTransformer3DModel):
            raise TypeError(
                f"transformer must be a CogVideoXTransformer3DModel; got {type(transformer).__name__}"
            )
        if transformer.config.patch_size_t is not None:
            raise ValueError(
                "transformer: patch_size_t must be None; patches over frames have no frame of their own"
            )
        depth = len(transformer.transformer_blocks)
        for name, index in [("block", block), *(("inject_blocks", one) for one in inject_blocks)]:
            if not 0 <= index < depth:
                raise ValueError(f"{name} must lie in [0, {depth - 1}]; got {index!r}")
        if len(lr) != 2 or not all(0 < one < float("inf") for one in lr):
            raise ValueError(f"lr must be two positive numbers; got {lr!r}")
        for name, count in (("inner_steps", inner_steps), ("guided_steps", guided_steps)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise ValueError(f"{name} must be an integer of at least 0; got {count!r}")
        for name, value, known in (("optimise", optimise, VARIABLES), ("objective", objective, OBJECTIVES)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")
        if not temperature > 0:
            raise ValueError(f"temperature must be positive; got {temperature!r}")
        self.transformer = transformer
        self.block, self.lr, self.inner_steps, self.guided_steps = block, lr, inner_steps, guided_steps
        self.optimise, self.inject_blocks, self.objective = optimise, tuple(inject_blocks), objective
        self.temperature = temperature
        self.losses: list[list[float]] = []
        self._kept: dict[float, Tensor] = {}
        self._run: Following | None = None
        # "sample", or "reference" while keys and values are kept, or "watch" while the objective looks
        self._phase = "sample"
        self._seen: list[Tensor] = []

    # -- the reference -------------------------------------------------------------------------------------

    @torch.no_grad()
    def extract(self, latents: Tensor, text: Tensor, rotary: Rotary | None = None) -> MotionSignal:
        """The motion of clean videos, seen at timestep 0.

        Args:
            latents: (B, F, c, h, w) as the transformer takes them.
            text: (B, L, D) embedding of the empty prompt.
            rotary: the transformer's `image_rotary_emb`, where it has one.

        Raises:
            ValueError: latents or text of another shape, a missing or superfluous ``rotary``.
        """
        self._check(latents, text, rotary)
        self._run = Following(self.transformer.config, None, latents, text, rotary)
        means: list[Tensor] = []
        handle = self.transformer.transformer_blocks[self.block].register_forward_hook(
            lambda module, args, output: means.append(output[0])
        )
        self._phase = "watch"
        try:
            with AttentionTap(self.transformer, [self._name(self.block)], self._attend):
                self._call(latents, torch.zeros((), device=latents.device), stop=False)
            flow = self._flow(hard=True)
        finally:
            handle.remove()
            self._run, self._phase, self._seen = None, "sample", []
        frames = latents.shape[1]
        return MotionSignal(flow, means[0].float().unflatten(1, (frames, -1)).mean(2), latents, self.block)

    # -- sampling ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def follow(
        self,
        motion: MotionSignal,
        noise: Tensor,
        text: Tensor,
        *,
        rotary: Rotary | None = None,
        embeddings: Mapping[float, Tensor] | None = None,
    ) -> Iterator[MotionGuide]:
        """While this is open, calls of the transformer after `before_step` are guided.

        Args:
            motion: of B reference videos, or of one that all follow.
            noise: (B, F, c, h, w) standard normal: what sampling starts from.
            text: (B, L, D) embeddings of the prompts.
            rotary: the transformer's `image_rotary_emb`, where it has one.
            embeddings: what `embeddings` gave in an earlier run: they are set at their timesteps, and nothing
                is optimised.

        Raises:
            ValueError: shapes that do not fit one another; a motion of another block. RuntimeError: it is
                open already.
        """
        if self._run is not None:
            raise RuntimeError("this MotionGuide follows a motion already")
        self._check(noise, text, rotary)
        if motion.block != self.block:
            raise ValueError(
                f"motion was extracted at block {motion.block}; this guide's block is {self.block}"
            )
        if motion.latents.shape[1:] != noise.shape[1:] or len(motion.latents) not in (1, len(noise)):
            raise ValueError(
                f"motion of shape {tuple(motion.latents.shape)} cannot guide latents of shape {tuple(noise.shape)}"
            )
        run = Following(self.transformer.config, motion, noise, text, rotary, embeddings)
        run.check_embeddings()
        self._run = run
        self.losses = []
        if embeddings is None:
            self._kept = {}
        blocks = {self.block, *self.inject_blocks}
        if rotary is not None and (self.optimise == "embedding" or embeddings is not None):
            blocks = set(range(len(self.transformer.transformer_blocks)))
        hooks = [
            self.transformer.register_forward_pre_hook(self._without_rotary, with_kwargs=True),
            self.transformer.patch_embed.register_forward_hook(self._with_offset),
            self.transformer.transformer_blocks[self.block].register_forward_hook(self._features),
        ]
        try:
            with AttentionTap(self.transformer, [self._name(b) for b in sorted(blocks)], self._attend):
                yield self
        finally:
            for hook in hooks:
                hook.remove()
            self._run, self._phase, self._seen = None, "sample", []

    @torch.no_grad()
    def before_step(self, step: int, x: Tensor, timestep: Tensor, scheduler: Any) -> Tensor:
        """Prepare step number ``step`` (from 0), and return x_t for it: changed where the latent is optimised.

        Raises:
            ValueError: a scheduler that `point` does not know, ``embeddings`` without this timestep, attention
                that overflows. RuntimeError: not inside `follow`.
        """
        run = self._following()
        run.reference, run.offset = {}, None
        if step >= self.guided_steps:
            return x
        here = point(scheduler, timestep)
        if self.inject_blocks:
            run.reference = self._keys_and_values(here, timestep)
        if run.embeddings is not None:
            run.offset = run.given(timestep)
            return x
        return self._optimised(step, x, timestep, here) if self.inner_steps else x

    def embeddings(self) -> dict[float, Tensor]:
        """Timestep -> how the positional embedding was changed there in the last run with optimise="embedding".

        (B, N, C) for the additive embedding of N image tokens; (B, 2, 2, N, D) for rotary tables: of queries
        and of keys, cosine and sine.
        """
        return dict(self._kept)

    # -- inside --------------------------------------------------------------------------------------------

    def _optimised(self, step: int, x: Tensor, timestep: Tensor, here: Point) -> Tensor:
        run = self._following()
        latent = self.optimise == "latent"
        start = x.float().clone() if latent else run.last if run.last is not None else run.no_offset()
        variable = start.detach().clone().requires_grad_()
        share = step / max(self.guided_steps - 1, 1)
        optimiser = torch.optim.Adam([variable], lr=self.lr[0] + share * (self.lr[1] - self.lr[0]))
        scaler = torch.amp.GradScaler(x.device.type, enabled=self.transformer.dtype == torch.float16)
        losses = []
        for _ in range(self.inner_steps):
            with torch.enable_grad():
                if not latent:
                    run.offset = variable
                loss = self._loss(variable if latent else x, timestep, here)
                if not bool(loss.isfinite().all()):
                    raise ValueError(
                        f"attention of block {self.block} is not finite at timestep {float(timestep):g}: "
                        f"{self.transformer.dtype} overflows; load the transformer in bfloat16 or float32"
                    )
                # the sum and not the mean: each video's gradient is then what it would be alone
                (variable.grad,) = torch.autograd.grad(scaler.scale(loss.sum()), variable)
            losses.append(float(loss.mean()))
            scaler.step(optimiser)
            scaler.update()
        self.losses.append(losses)
        if latent:
            return variable.detach().to(x.dtype)
        run.offset = run.last = variable.detach()
        self._kept[float(timestep)] = run.last.clone()
        return x

    def _loss(self, x: Tensor, timestep: Tensor, here: Point) -> Tensor:
        motion = self._following().motion
        assert motion is not None
        self._phase, self._seen = "watch", []
        try:
            self._call(x * float(here.scale), timestep)
            if self.objective == "amf":
                flow = self._flow(hard=False)
                return amf_loss(motion.flow.expand_as(flow), flow)
            means = self._seen[0].float().unflatten(1, (x.shape[1], -1)).mean(2)
            return smm_loss(motion.means.expand_as(means), means)
        finally:
            self._phase, self._seen = "sample", []

    def _flow(self, hard: bool) -> Tensor:
        frames, height, width = self._following().grid
        q, k = self._seen[:2]
        return attention_motion_flow(
            q,
            k,
            frames=frames,
            height=height,
            width=width,
            temperature=self.temperature,
            hard=hard,
            text_tokens=q.shape[-2] - frames * height * width,
        )

    def _keys_and_values(self, here: Point, timestep: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
        run = self._following()
        assert run.motion is not None
        noisy = float(here.alpha) * run.motion.latents.float() + float(here.sigma) * run.noise.float()
        self._phase = "reference"
        try:
            self._call(noisy * float(here.scale), timestep)
        finally:
            self._phase = "sample"
        return run.reference

    def _call(self, x: Tensor, timestep: Tensor, stop: bool = True) -> None:
        run = self._following()
        run.stop = stop and not (torch.is_grad_enabled() and self.transformer.gradient_checkpointing)
        with contextlib.suppress(_Enough):
            self.transformer(
                hidden_states=x.to(self.transformer.dtype),
                encoder_hidden_states=run.text,
                timestep=timestep.expand(len(x)),
                image_rotary_emb=run.rotary,
                return_dict=False,
            )

    def _attend(self, call: AttentionCall) -> Replaced:
        run = self._following()
        block = int(call.name.split(".")[1])
        query, key, value = call.query, call.key, call.value
        if self._phase == "reference":
            if block in self.inject_blocks:
                text = key.shape[2] - run.tokens
                run.reference[block] = (key[:, :, text:], value[:, :, text:])
                self._stop_if(block == max(self.inject_blocks))
            return query, key, value
        if run.turning:
            query, key = run.turned(query, 0), run.turned(key, 1)
        wanted = self.objective == "amf" or run.motion is None  # the extraction is for either objective
        if self._phase == "watch" and block == self.block and wanted:
            self._seen = self._seen or [query, key]
            self._stop_if(True)
        if block in run.reference:
            key, value = run.injected(block, key, value)
        return query, key, value

    def _features(self, module: Any, args: Any, output: Any) -> None:
        if self._phase == "watch" and self.objective == "smm" and not self._seen:
            self._seen = [output[0]]
            self._stop_if(True)

    def _stop_if(self, done: bool) -> None:
        if done and self._following().stop:
            raise _Enough

    def _without_rotary(self, module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if self._phase == "reference" or not self._following().turning:
            return None
        return args, kwargs | {"image_rotary_emb": None}  # `_attend` turns queries and keys instead

    def _with_offset(self, module: Any, args: Any, output: Tensor) -> Tensor | None:
        run = self._following()
        if self._phase == "reference" or run.offset is None or run.rotary is not None:
            return None
        return run.moved(output)

    def _name(self, block: int) -> str:
        return f"transformer_blocks.{block}.attn1"

    def _following(self) -> Following:
        if self._run is None:
            raise RuntimeError("before_step must be called inside `with guide.follow(...)`")
        return self._run

    def _check(self, latents: Tensor, text: Tensor, rotary: Rotary | None) -> None:
        config = self.transformer.config
        patch, channels = config.patch_size, config.in_channels
        shape = tuple(latents.shape)
        if len(shape) != 5 or 0 in shape or shape[2] != channels or shape[3] % patch or shape[4] % patch:
            raise ValueError(
                f"latents must have shape (B, F, {channels}, h, w) with B, F >= 1 and h, w multiples of {patch}; "
                f"got {shape}"
            )
        if text.ndim != 3 or len(text) != len(latents):
            raise ValueError(f"text must have shape ({len(latents)}, L, D); got {tuple(text.shape)}")
        if (rotary is not None) != bool(config.use_rotary_positional_embeddings):
            need = "needs" if rotary is None else "has no"
            raise ValueError(f"rotary: this transformer {need} rotary positional embedding")
