"""DiTFlow (arXiv 2412.07776): a pipeline's new videos move as a reference video does, without training."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from diffusers import CogVideoXPipeline
from diffusers.pipelines.cogvideo.pipeline_cogvideox import retrieve_timesteps
from torch import Tensor

from sillok.methods.diffusion.motion import amf_loss, attention_motion_flow, motion_fidelity
from sillok.methods.diffusion.motion_guide import MotionGuide
from sillok.methods.diffusion.motion_run import MotionSignal
from sillok.methods.diffusion.prediction import point

__all__ = [
    "MotionGuide",
    "MotionSignal",
    "MotionTransfer",
    "amf_loss",
    "attention_motion_flow",
    "motion_fidelity",
]


class MotionTransfer:
    """Videos of a `CogVideoXPipeline` that follow the motion of a reference video.

    The pipeline itself runs, unchanged: the first latent is optimised before it, every later one at the end of
    a step (`callback_on_step_end`). See `MotionGuide` for the method and its other arguments.

        transfer = MotionTransfer(pipe, block=20)
        motion = transfer.extract(video)                    # (F, 3, H, W) in [0, 1]
        frames = transfer("a leopard runs uphill", motion, num_inference_steps=50).frames[0]

    With optimise="embedding" what was found can be set in a new run without any optimisation:

        found = MotionTransfer(pipe, block=20, optimise="embedding")
        found("a leopard runs uphill", motion)
        found("a polar bear walks", motion, embeddings=found.embeddings())

    Args:
        pipe: a text-to-video pipeline of the CogVideoX 1.0 class.
        block, lr, inner_steps, guided_steps, optimise, inject_blocks: see `MotionGuide`.

    Raises:
        TypeError: another pipeline. ValueError: an argument out of range.

    Reference:
        A. Pondaven et al., "Video Motion Transfer with Diffusion Transformers", arXiv 2412.07776.

    Differs from the paper:
        What `MotionGuide` tells, and: the reference's latent is the mode of the autoencoder's distribution and
        not a sample of it. Keys and values are injected in both branches of guidance, as the published code
        does.
    """

    def __init__(
        self,
        pipe: Any,
        *,
        block: int,
        lr: tuple[float, float] = (2e-3, 1e-3),
        inner_steps: int = 5,
        guided_steps: int = 10,
        optimise: str = "latent",
        inject_blocks: tuple[int, ...] = (0,),
    ) -> None:
        if not isinstance(pipe, CogVideoXPipeline):
            raise TypeError(f"pipe must be a CogVideoXPipeline; got {type(pipe).__name__}")
        self.pipe = pipe
        self.guide = MotionGuide(
            pipe.transformer,
            block=block,
            lr=lr,
            inner_steps=inner_steps,
            guided_steps=guided_steps,
            optimise=optimise,
            inject_blocks=inject_blocks,
        )

    def embeddings(self) -> dict[float, Tensor]:
        """What the last run with optimise="embedding" found at each timestep; see `MotionGuide.embeddings`."""
        return self.guide.embeddings()

    @torch.no_grad()
    def extract(self, video: Tensor) -> MotionSignal:
        """The motion of a video.

        Args:
            video: (F, 3, H, W) in [0, 1]; H and W multiples of the autoencoder's factor times the patch.

        Raises:
            ValueError: another shape or range, values that are not finite.
        """
        pipe = self.pipe
        step = pipe.vae_scale_factor_spatial * pipe.transformer.config.patch_size
        shape = tuple(video.shape)
        if len(shape) != 4 or shape[0] < 1 or shape[1] != 3 or shape[2] % step or shape[3] % step:
            raise ValueError(
                f"video must have shape (F, 3, H, W) with H and W multiples of {step}; got {shape}"
            )
        if not bool(((video >= 0) & (video <= 1)).all()):  # false for NaN too
            raise ValueError(
                f"video must lie in [0, 1]; got [{float(video.min()):g}, {float(video.max()):g}]"
            )
        device = pipe._execution_device
        pixels = (2 * video - 1).to(device, pipe.vae.dtype).transpose(0, 1)[None]
        latents = pipe.vae.encode(pixels).latent_dist.mode() * pipe.vae_scaling_factor_image
        length = pipe.transformer.config.max_text_seq_length
        text, _ = pipe.encode_prompt("", None, False, device=device, max_sequence_length=length)
        latents = latents.transpose(1, 2).to(text.dtype)
        return self.guide.extract(latents, text, self._rotary(latents))

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        motion: MotionSignal,
        *,
        embeddings: Mapping[float, Tensor] | None = None,
        **pipe_kwargs: Any,
    ) -> Any:
        """What the pipeline returns for ``prompt``, moving as ``motion`` does.

        Args:
            prompt: one prompt, or B.
            motion: what `extract` gave, for all prompts.
            embeddings: of an earlier run, to be set instead of optimising.
            pipe_kwargs: the pipeline's own; height, width and num_frames follow from ``motion``.

        Raises:
            ValueError: no prompt, an argument that the pipeline does not have or that contradicts ``motion``,
                fewer steps than are guided, a scheduler that `point` does not know, embeddings without one of
                the guided timesteps, latents of another shape.
        """
        pipe, guide = self.pipe, self.guide
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        options = self._options(prompts, motion, pipe_kwargs)
        device = pipe._execution_device
        timesteps, _ = retrieve_timesteps(
            pipe.scheduler, options["num_inference_steps"], device, options["timesteps"]
        )
        if len(timesteps) < guide.guided_steps:
            raise ValueError(
                f"num_inference_steps must be at least guided_steps = {guide.guided_steps}; got {len(timesteps)}"
            )
        for timestep in timesteps[: guide.guided_steps]:
            point(pipe.scheduler, timestep)
            if embeddings is not None and float(timestep) not in embeddings:
                known = ", ".join(f"{one:g}" for one in embeddings)
                raise ValueError(f"embeddings have no timestep {float(timestep):g}; they have {known}")
        guided = options["guidance_scale"] > 1
        texts = ("prompt_embeds", "negative_prompt_embeds")
        text, negative = pipe.encode_prompt(
            prompts,
            options.pop("negative_prompt"),
            guided,
            device=device,
            max_sequence_length=options["max_sequence_length"],
            **{name: options.pop(name) for name in texts},
        )
        x = self._start(len(prompts), text.dtype, options)
        theirs = options.pop("callback_on_step_end")

        def after_step(pipe: Any, i: int, t: Tensor, state: dict[str, Any]) -> dict[str, Any]:
            out = dict(theirs(pipe, i, t, state) or {}) if theirs is not None else {}
            if i + 1 < len(timesteps):
                latents = out.get("latents", state["latents"])
                out["latents"] = guide.before_step(i + 1, latents, timesteps[i + 1], pipe.scheduler)
            return out

        inputs = [*options.pop("callback_on_step_end_tensor_inputs"), "latents"]
        scale = pipe.scheduler.init_noise_sigma
        noise = x / scale
        with guide.follow(motion, noise, text, rotary=self._rotary(x), embeddings=embeddings):
            x = guide.before_step(0, x, timesteps[0], pipe.scheduler)
            return pipe(
                **options,
                latents=x / scale,
                callback_on_step_end=after_step,
                callback_on_step_end_tensor_inputs=list(dict.fromkeys(inputs)),
                **dict(zip(texts, (text, negative), strict=True)),
            )

    def _options(self, prompts: list[str], motion: MotionSignal, given: dict[str, Any]) -> dict[str, Any]:
        """All arguments of the pipeline's call but the prompt, checked."""
        if not prompts:
            raise ValueError("prompt must hold at least one text; got none")
        defaults = {
            name: one.default
            for name, one in inspect.signature(type(self.pipe).__call__).parameters.items()
            if name not in ("self", "prompt")
        }
        unknown = set(given) - set(defaults)
        if unknown:
            raise ValueError(f"the pipeline has no argument {sorted(unknown)[0]!r}")
        if given.get("num_videos_per_prompt", 1) != 1:
            raise ValueError("num_videos_per_prompt must be 1; pass the prompt several times instead")
        options = defaults | given
        negative = options["negative_prompt"]
        if isinstance(negative, list) and len(negative) != len(prompts):
            raise ValueError(f"negative_prompt must have {len(prompts)} texts as prompt; got {len(negative)}")
        frames, _, height, width = motion.latents.shape[1:]
        factor = self.pipe.vae_scale_factor_spatial
        wanted = {"height": height * factor, "width": width * factor}
        for name, value in wanted.items():
            if options[name] not in (None, value):
                raise ValueError(f"{name} must be the motion's {value}; got {options[name]!r}")
        every = self.pipe.vae_scale_factor_temporal
        count = options["num_frames"] or (frames - 1) * every + 1
        if (count - 1) // every + 1 != frames:
            raise ValueError(f"num_frames must give the motion's {frames} latent frames; got {count!r}")
        shape = (len(prompts), *motion.latents.shape[1:])
        if options["latents"] is not None and tuple(options["latents"].shape) != shape:
            raise ValueError(f"latents must have shape {shape}; got {tuple(options['latents'].shape)}")
        return options | wanted | {"num_frames": count}

    def _start(self, batch: int, dtype: torch.dtype, options: dict[str, Any]) -> Tensor:
        """x_T as the pipeline would draw it, from its generator."""
        pipe = self.pipe
        names = ("num_frames", "height", "width")
        frames, height, width = (options[name] for name in names)
        made: Tensor = pipe.prepare_latents(
            batch,
            pipe.transformer.config.in_channels,
            frames,
            height,
            width,
            dtype,
            pipe._execution_device,
            options["generator"],
            options.pop("latents"),
        )
        return made

    def _rotary(self, latents: Tensor) -> tuple[Tensor, Tensor] | None:
        pipe = self.pipe
        if not pipe.transformer.config.use_rotary_positional_embeddings:
            return None
        factor = pipe.vae_scale_factor_spatial
        height, width = (int(side) * factor for side in latents.shape[-2:])
        tables: tuple[Tensor, Tensor] = pipe._prepare_rotary_positional_embeddings(
            height, width, latents.shape[1], latents.device
        )
        return tables
