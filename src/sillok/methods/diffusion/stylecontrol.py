"""StyleCodes (arXiv 2411.12811): a module beside a frozen UNet that follows a style, and a pipeline with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import ModelMixin, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.configuration_utils import ConfigMixin, register_to_config
from torch import Tensor, nn

from sillok.methods.diffusion.stylecodes import from_code, to_code


def _sub_blocks(blocks: nn.ModuleList) -> list[list[nn.Module]]:
    """The parts of a UNet's decoder after which control acts: a residual block, what attends, what enlarges."""
    found = []
    for block in blocks:
        attentions = list(getattr(block, "attentions", None) or [])
        for index, resnet in enumerate(block.resnets):
            found.append([resnet, *attentions[index : index + 1]])
        found[-1] += list(block.upsamplers or [])
    return found


class StyleControl(ModelMixin, ConfigMixin):
    """The decoder half of a UNet that runs beside a frozen one and steers it by a style's map (arXiv 2411.12811).

    The map enters the control's middle block; its skip inputs are zeros. After the middle and after every
    sub-block of the decoder, the features of both are concatenated and pass a linear layer, which begins as the
    identity; the base goes on with (1 - s) of its own features and s of the mixed ones.

    Args:
        unet_config: the configuration of the base, a `UNet2DConditionModel`.
        size_ratio: the control's channels over the base's.

    Raises:
        ValueError: a base without a middle block or with other blocks than SD's, a ratio that leaves no channels.

    Differs from the released code:
        The linear layers begin without bias, so that the untrained module changes nothing at all; there PyTorch's
        random bias remains. At ratio 1 the control begins as a copy of the base's decoder.
    """

    @register_to_config
    def __init__(self, unet_config: dict[str, Any], size_ratio: float = 1.0) -> None:
        super().__init__()
        base = UNet2DConditionModel.from_config(unet_config)
        known = {"CrossAttnUpBlock2D", "UpBlock2D"}
        if base.mid_block is None or not {type(block).__name__ for block in base.up_blocks} <= known:
            raise ValueError(
                "unet must have a middle block, and UpBlock2D and CrossAttnUpBlock2D in its decoder; got "
                f"{base.config.mid_block_type} and {base.config.up_block_types}"
            )
        channels = [int(size_ratio * width) for width in base.config.block_out_channels]
        if min(channels) < 1:
            raise ValueError(f"size_ratio must leave a channel in every block; got {size_ratio!r}")
        options = {
            "block_out_channels": tuple(channels),
            "norm_num_groups": math.gcd(base.config.norm_num_groups, *channels),
            # the base's embedding of time serves both
            "time_embedding_dim": base.config.time_embedding_dim or base.config.block_out_channels[0] * 4,
        }
        config = {key: value for key, value in base.config.items() if not key.startswith("_")}
        control = UNet2DConditionModel.from_config({**config, **options})
        self.mid_block, self.up_blocks = control.mid_block, control.up_blocks
        self.map_channels: int = channels[-1]
        widths = [
            (control_part[0].out_channels, base_part[0].out_channels)
            for control_part, base_part in zip(
                [[control.mid_block.resnets[-1]], *_sub_blocks(control.up_blocks)],
                [[base.mid_block.resnets[-1]], *_sub_blocks(base.up_blocks)],
                strict=True,
            )
        ]
        self.mix = nn.ModuleList(nn.Linear(a + b, a + b) for a, b in widths)
        for layer in self.mix:
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)

    @classmethod
    def from_unet(cls, unet: Any, *, size_ratio: float = 1.0) -> StyleControl:
        """The control of a UNet, which is frozen by this.

        Raises:
            ValueError: see the class.
        """
        config = {key: value for key, value in unet.config.items() if not key.startswith("_")}
        control = cls(config, size_ratio)
        if size_ratio == 1:
            control.mid_block.load_state_dict(unet.mid_block.state_dict())
            control.up_blocks.load_state_dict(unet.up_blocks.state_dict())
        unet.requires_grad_(False)
        return control if unet.dtype == control.dtype else control.to(unet.dtype)

    def _mixed(self, index: int, own: Tensor, base: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        joint = self.mix[index](torch.cat([own, base], 1).movedim(1, -1)).movedim(-1, 1)
        own, mixed = joint.split([own.shape[1], base.shape[1]], 1)
        return own, base + scale * (mixed - base)

    @contextmanager
    def applied(self, unet: Any, style: Callable[[int, int], Tensor], scale: float = 0.9) -> Iterator[None]:
        """While this lasts, ``unet`` follows a style, whoever calls it.

        Args:
            unet: the base that this control was made for, or one fine-tuned from it.
            style: gives the map (b, map_channels, h, w) for a height and a width. A batch of n * b is taken to
                be n times the b styles, as guidance stacks its branches.
            scale: s; 0 leaves the base as it is.

        Raises:
            ValueError: a UNet of another shape; when it is called: a map of other channels, or a batch that is no
                multiple of the map's.
        """
        parts, own_parts = _sub_blocks(unet.up_blocks), _sub_blocks(self.up_blocks)
        widths = [unet.mid_block.resnets[-1].out_channels, *(part[0].out_channels for part in parts)]
        ours = [
            layer.out_features - part.out_channels
            for layer, part in zip(
                self.mix, [self.mid_block.resnets[-1], *(p[0] for p in own_parts)], strict=True
            )
        ]
        if widths != ours:
            raise ValueError(f"unet must have the decoder of the control's base, {ours}; got {widths}")
        if not 0 <= scale <= 1:
            raise ValueError(f"scale must lie in [0, 1]; got {scale!r}")
        state: dict[str, Any] = {}
        calls: dict[nn.Module, tuple[Any, Any]] = {}

        def middle(module: nn.Module, args: Any, kwargs: Any, base: Tensor) -> Tensor:
            own = style(*base.shape[2:])
            if own.shape[1] != self.map_channels or len(base) % len(own):
                raise ValueError(
                    f"style must give a map (b, {self.map_channels}, h, w) with b a divisor of the batch, "
                    f"{len(base)}; got {tuple(own.shape)}"
                )
            own = own.repeat(len(base) // len(own), 1, 1, 1).to(base.dtype)
            state["own"], out = self._mixed(0, self.mid_block(own, *args[1:], **kwargs), base, scale)
            return out

        def remember(module: nn.Module, args: Any, kwargs: Any) -> None:
            calls[module] = (args[1:], kwargs)

        def after(index: int) -> Callable[..., Any]:
            def hook(module: nn.Module, args: Any, output: Any) -> Any:
                base = output[0] if isinstance(output, tuple) else output
                own = state["own"]
                for ours, theirs in zip(own_parts[index], parts[index], strict=True):
                    more, kwargs = calls[theirs]
                    if ours is own_parts[index][0]:
                        empty = own.new_zeros((len(own), ours.in_channels - own.shape[1], *own.shape[2:]))
                        own = torch.cat([own, empty], 1)  # in place of the encoder's features
                    own = ours(own, *more, **kwargs)
                    own = own[0] if isinstance(own, tuple) else own
                state["own"], out = self._mixed(index + 1, own, base, scale)
                return (out, *output[1:]) if isinstance(output, tuple) else out

            return hook

        handles = [unet.mid_block.register_forward_hook(middle, with_kwargs=True)]
        for index, part in enumerate(parts):
            handles += [module.register_forward_pre_hook(remember, with_kwargs=True) for module in part]
            handles.append(part[-1].register_forward_hook(after(index)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def forward(
        self,
        unet: Any,
        style: Tensor | Callable[[int, int], Tensor],
        *args: Any,
        scale: float = 0.9,
        **kwargs: Any,
    ) -> Any:
        """What ``unet(*args, **kwargs)`` gives under a style: a map (b, C, h, w), or a function as in `applied`."""
        with self.applied(unet, (lambda h, w: style) if isinstance(style, Tensor) else style, scale):
            return unet(*args, **kwargs)


class StyleCodePipeline(StableDiffusionPipeline):
    """Stable Diffusion that draws in the style of a code or of an image.

    Components beside Stable Diffusion's own:
        style_encoder: a `StyleEncoder`.
        style_control: a `StyleControl` of the pipeline's ``unet``.
    """

    def __init__(
        self,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        unet: Any,
        scheduler: Any,
        safety_checker: Any,
        feature_extractor: Any,
        style_encoder: Any,
        style_control: Any,
        image_encoder: Any = None,
        requires_safety_checker: bool = True,
    ) -> None:
        super().__init__(
            vae,
            text_encoder,
            tokenizer,
            unet,
            scheduler,
            safety_checker,
            feature_extractor,
            image_encoder,
            requires_safety_checker,
        )
        self.register_modules(style_encoder=style_encoder, style_control=style_control)

    def make_code(self, style_image: Tensor, *, bits: int = 6) -> list[str]:
        """Codes of styles, from image features (B, N, input_dim)."""
        with torch.no_grad():
            return to_code(
                self.style_encoder.encode(style_image.to(self.device, self.style_encoder.dtype)), bits=bits
            )

    @torch.no_grad()
    def __call__(
        self,
        prompt: Any = None,
        *args: Any,
        style_code: str | list[str] | None = None,
        style_image: Tensor | None = None,
        control_scale: float = 0.9,
        guidance_scale: float = 3.0,
        num_images_per_prompt: int = 1,
        **kwargs: Any,
    ) -> Any:
        """`StableDiffusionPipeline.__call__` in a style.

        Args:
            prompt, guidance_scale, num_images_per_prompt: as there; the others of its arguments too.
            style_code: one code, or one for each prompt.
            style_image: features (1 or one for each prompt, N, input_dim) of style images instead, such as
                SigLIP's penultimate hidden states; they pass through their code.
            control_scale: s, from 0 (no style) to 1.

        Raises:
            ValueError: a code and an image, or neither; codes as many as neither one nor the prompts; see
                `from_code` and `StyleControl.applied`.
        """
        if (style_code is None) == (style_image is None):
            raise ValueError("give either style_code or style_image, and not both")
        if style_image is not None:
            style_code = self.make_code(style_image)
        codes = [style_code] if isinstance(style_code, str) else list(style_code or [])
        embeds = kwargs.get("prompt_embeds")
        prompts = len(prompt) if isinstance(prompt, list) else len(embeds) if embeds is not None else 1
        if len(codes) not in (1, prompts):
            raise ValueError(
                f"style_code must be one, or one for each of {prompts} prompts; got {len(codes)}"
            )
        dim = self.style_encoder.config.latent_dim
        latent = torch.stack([from_code(code, dim=dim) for code in codes])
        latent = latent.to(self._execution_device, self.style_encoder.dtype)
        if len(codes) > 1:
            latent = latent.repeat_interleave(num_images_per_prompt, 0)
        made: dict[tuple[int, int], Tensor] = {}

        def style(height: int, width: int) -> Tensor:
            if (height, width) not in made:
                made[height, width] = self.style_encoder.decode(latent, height, width)
            return made[height, width]

        with self.style_control.applied(self.unet, style, control_scale):
            return super().__call__(
                prompt,
                *args,
                guidance_scale=guidance_scale,
                num_images_per_prompt=num_images_per_prompt,
                **kwargs,
            )
