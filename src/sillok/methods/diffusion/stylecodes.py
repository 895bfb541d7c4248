"""StyleCodes (arXiv 2411.12811): the style of an image as 20 base64 characters, and back to a map for a UNet."""

from __future__ import annotations

import base64
import binascii
import math

import torch
from diffusers import ModelMixin
from diffusers.configuration_utils import ConfigMixin, register_to_config
from torch import Tensor, nn

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def _check_bits(bits: int) -> int:
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 16:
        raise ValueError(f"bits must be an integer from 1 to 16; got {bits!r}")
    return 2**bits - 1


def quantize(latent: Tensor, *, bits: int = 6) -> Tensor:
    """What is left of a latent in its code, with a straight-through gradient.

    Args:
        latent: (B, D), clipped to [-1, 1].
        bits: of each number; 2**bits levels from -1 to 1, the ends included.

    Returns:
        (B, D), equal to ``from_code(to_code(latent))``. Its gradient is that of the clipping, as if nothing had
        been rounded (Bengio et al., arXiv 1308.3432); the paper's own quantizer lets none through.
    """
    top = _check_bits(bits)
    clipped = latent.clamp(-1, 1)
    rounded = ((clipped + 1) * (top / 2)).round() * (2 / top) - 1
    return clipped + (rounded - clipped).detach()


def clipped_share(latent: Tensor) -> float:
    """The share of a latent's numbers that lie outside [-1, 1] and lose their size in a code."""
    return float((latent.abs() > 1).double().mean())


def to_code(latent: Tensor, *, bits: int = 6) -> list[str]:
    """Latents (B, D) as strings of base64's alphabet.

    Args:
        latent: clipped to [-1, 1] and rounded to the nearest of 2**bits levels.
        bits: of each number. D * bits bits are written one after another, the first number first and its
            highest bit first, six a character: 20 numbers of 6 bits are 15 bytes, 20 characters, no padding.

    Raises:
        ValueError: another shape, no row, values that are not finite, bits out of range.
    """
    top = _check_bits(bits)
    if latent.ndim != 2 or not latent.numel():
        raise ValueError(f"latent must have shape (B, D), each at least 1; got {tuple(latent.shape)}")
    if not bool(latent.isfinite().all()):
        raise ValueError("latent must be finite; got NaN or infinity")
    levels = ((latent.detach().double().clamp(-1, 1) + 1) * (top / 2)).round().long().tolist()
    codes = []
    for row in levels:
        text = "".join(f"{level:0{bits}b}" for level in row)
        text += "0" * (-len(text) % 6)
        codes.append("".join(ALPHABET[int(text[at : at + 6], 2)] for at in range(0, len(text), 6)))
    return codes


def from_code(code: str, *, bits: int = 6, dim: int = 20) -> Tensor:
    """The latent (dim,) of a code, in [-1, 1].

    Raises:
        ValueError: another length than ``dim`` numbers of ``bits`` bits take, or another alphabet.
    """
    top = _check_bits(bits)
    if isinstance(dim, bool) or not isinstance(dim, int) or dim < 1:
        raise ValueError(f"dim must be an integer of at least 1; got {dim!r}")
    length = -(-dim * bits // 6)
    if not isinstance(code, str) or len(code) != length:
        raise ValueError(
            f"code must be a string of {length} characters ({dim} numbers of {bits} bits); got {code!r}"
        )
    unknown = next((character for character in code if character not in ALPHABET), None)
    if unknown is not None:
        raise ValueError(f"code must have letters, digits, + and / only; got {unknown!r} in {code!r}")
    text = "".join(f"{ALPHABET.index(character):06b}" for character in code)
    levels = [int(text[at : at + bits], 2) for at in range(0, dim * bits, bits)]
    return torch.tensor(levels, dtype=torch.float32) * (2 / top) - 1


def from_released_code(code: str, *, bits: int = 6, dim: int = 20) -> Tensor:
    """The latent (dim,) of a code that the authors' released program printed.

    That keeps each number in a byte of its own, so that 20 numbers take 27 characters.

    Raises:
        ValueError: no base64, fewer or more than ``dim`` bytes, or a byte that is no level of ``bits`` bits.
    """
    top = _check_bits(bits)
    try:
        values = base64.b64decode(code + "=" * (-len(code) % 4), validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ValueError(f"code must be base64, as the released program prints it; got {code!r}") from error
    if len(values) != dim or max(values) > top:
        raise ValueError(f"code must hold {dim} bytes of at most {top}; got {list(values)}")
    return torch.tensor(list(values), dtype=torch.float32) * (2 / top) - 1


def _positions(length: int, width: int, like: Tensor) -> Tensor:
    """(1, length, width) sines and cosines (Vaswani et al. 2017, section 3.5)."""
    place = torch.arange(length, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    table = torch.stack([torch.sin(place * rates), torch.cos(place * rates)], -1).flatten(1)
    return table[None].to(device=like.device, dtype=like.dtype)


class StyleEncoder(ModelMixin, ConfigMixin):
    """Image features to a short latent, and a latent to the map that steers a UNet (arXiv 2411.12811).

    `encode`: features are brought to ``d_model`` and given sinusoidal positions; one learned query looks at
    them in ``layers`` cross-attentions, each the query of the next; a projection and a LayerNorm give the
    latent. `decode`: the latent is the one memory token of a Transformer decoder, whose targets are one learned
    vector with the positions of an h by w grid. Attributes are named as in the authors' code, whose weights fit.

    Args:
        input_dim: width of the features (768: SigLIP-base's penultimate hidden states, 196 of them).
        d_model: width inside.
        latent_dim: numbers in a latent.
        heads, layers: of the encoder's cross-attention; the decoder has as many heads and two layers.
        out_channels: of the map: what the UNet's middle block takes.
        feedforward, dropout: of the decoder.
    """

    @register_to_config
    def __init__(
        self,
        input_dim: int = 768,
        d_model: int = 512,
        latent_dim: int = 20,
        heads: int = 4,
        layers: int = 3,
        out_channels: int = 1280,
        feedforward: int = 2048,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if d_model % 2 or d_model % heads:
            raise ValueError(f"d_model must be even and a multiple of heads; got {d_model} and {heads}")
        self.input_proj = nn.Linear(input_dim, d_model)
        self.latent_init = nn.Parameter(torch.randn(1, d_model))
        self.attention_layers = nn.ModuleList(
            nn.MultiheadAttention(d_model, heads, batch_first=True) for _ in range(layers)
        )
        self.latent_proj = nn.Linear(d_model, latent_dim)
        self.latent_norm = nn.LayerNorm(latent_dim)
        self.latent_to_d_model = nn.Linear(latent_dim, d_model)
        layer = nn.TransformerDecoderLayer(d_model, heads, feedforward, dropout, batch_first=True)
        self.transformer_decoder = nn.TransformerDecoder(layer, 2)
        self.output_proj = nn.Linear(d_model, out_channels)
        self.tgt_init = nn.Parameter(torch.randn(1, d_model))

    def encode(self, features: Tensor) -> Tensor:
        """Latents (B, latent_dim) of features (B, N, input_dim).

        Raises:
            ValueError: another shape, or an empty batch.
        """
        if features.ndim != 3 or features.shape[2] != self.config.input_dim or not len(features):
            raise ValueError(
                f"features must have shape (B, N, {self.config.input_dim}) with B >= 1; got "
                f"{tuple(features.shape)}"
            )
        keys = self.input_proj(features)
        keys = keys + _positions(keys.shape[1], keys.shape[2], keys)
        query = self.latent_init.expand(len(keys), 1, -1)
        for attention in self.attention_layers:
            query, _ = attention(query, keys, keys, need_weights=False)
        latent: Tensor = self.latent_norm(self.latent_proj(query[:, 0]))
        return latent

    def decode(self, latent: Tensor, height: int, width: int) -> Tensor:
        """Maps (B, out_channels, height, width) of latents (B, latent_dim).

        Raises:
            ValueError: another shape, or an empty batch.
        """
        if latent.ndim != 2 or latent.shape[1] != self.config.latent_dim or not len(latent):
            raise ValueError(
                f"latent must have shape (B, {self.config.latent_dim}) with B >= 1; got {tuple(latent.shape)}"
            )
        memory = self.latent_to_d_model(latent)[:, None]
        target = self.tgt_init.expand(height * width, -1)[None]
        target = (target + _positions(height * width, target.shape[2], target)).expand(len(latent), -1, -1)
        found: Tensor = self.output_proj(self.transformer_decoder(target, memory))
        return found.transpose(1, 2).unflatten(2, (height, width))

    def forward(self, features: Tensor, height: int, width: int, bits: int | None = None) -> Tensor:
        """`decode` of `encode`, through a code of ``bits`` bits a number where that is given."""
        latent = self.encode(features)
        return self.decode(latent if bits is None else quantize(latent, bits=bits), height, width)
