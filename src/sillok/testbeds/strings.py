"""Pictures of three-digit numbers on a striped ground with captions that quote them, and a joint-attention flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import SD3Transformer2DModel
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from sillok.testbeds import digits
from sillok.testbeds.base import Exhibit, check_count, check_split
from sillok.testbeds.flow import FlowRecipe, VelocityPrediction
from sillok.testbeds.generator import GUIDANCES, STEPS
from sillok.testbeds.pictures import grid, unit
from sillok.testbeds.training import fresh

PLACES, PIXELS = 3, 16  # digits of a number, and height of a picture (and width of a digit)
LENGTH = 8  # tokens of a caption: <bos> number " d d d " <eos>
WORDS = ("<pad>", "<bos>", "<eos>", "number", '"', *"0123456789")
VERSION = 1  # of the pictures that `data` draws
# The ground's stripes: their middle and how far they swing. No ink is so dark, so that a threshold parts them.
GROUND, SWING = -0.75, 0.2
CEILING = GROUND + SWING


def tokenizer() -> Any:
    """A `PreTrainedTokenizerFast` of words, quotation marks and single digits."""
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[0-9\"]"), "isolated")]
    )
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        model_max_length=LENGTH,
    )


def caption(number: str) -> str:
    """The caption of a number, such as ``number "314"``."""
    return f'number "{number}"'


def numbers(n: int, seed: int) -> list[str]:
    """`n` numbers of three digits from `seed`, each digit as likely as the others."""
    drawn = np.random.default_rng([seed, VERSION, 31]).integers(0, 10, (n, PLACES))
    return ["".join(map(str, row)) for row in drawn]


def grounds(n: int, generator: torch.Generator) -> torch.Tensor:
    """(n, 1, 16, 48) fine stripes of any direction and phase, two and a half to four pixels wide."""
    angle, period, phase = torch.rand((3, n, 1, 1, 1), generator=generator)
    angle, period = np.pi * angle, 2.5 + 1.5 * period
    y, x = torch.meshgrid(torch.arange(PIXELS), torch.arange(PIXELS * PLACES), indexing="ij")
    along = angle.cos() * x + angle.sin() * y
    return GROUND + SWING * torch.sin(2 * np.pi * (along / period + phase))


def over(ink: torch.Tensor, ground: torch.Tensor) -> torch.Tensor:
    """Ink (N, 1, H, W) in [-1, 1], -1 for none, laid over a ground of the same shape."""
    cover = (ink + 1) / 2
    return ground + cover * (1 - ground)


def lettering(images: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) ink alone in [-1, 1]: all that is darker than the brightest stripe becomes -1."""
    return ((images - CEILING) / (1 - CEILING)).clamp(0, 1) * 2 - 1


@dataclass(frozen=True)
class StringsData:
    """Images (N, 1, 16, 48) float32 in [-1, 1] and the numbers that they show."""

    images: torch.Tensor
    numbers: list[str]

    def captions(self) -> list[str]:
        """The caption of every picture."""
        return [caption(number) for number in self.numbers]


def pictures(split: str, texts: Sequence[str], seed: int, *, augment: bool = True) -> StringsData:
    """Pictures of numbers, their digits drawn from a split."""
    ink = digits.strings(texts, PIXELS, seed, split=split, augment=augment)
    generator = torch.Generator().manual_seed(seed * 7 + 1)
    return StringsData(over(ink, grounds(len(texts), generator)), list(texts))


@dataclass(frozen=True, kw_only=True)
class StringsRecipe(FlowRecipe):
    """How the joint-attention transformer and its text encoder are made."""

    text: int  # width of the text encoder


class Captioned(nn.Module):
    """A joint-attention transformer and the text encoder that was trained with it."""

    def __init__(self, denoiser: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.text = text

    def states(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, 8, text) what the text encoder makes of tokens (N, 8)."""
        states: torch.Tensor = self.text(tokens).last_hidden_state
        return states

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The predicted velocity for x (N, 1, 16, 48), timesteps (N,) and tokens (N, 8)."""
        states = self.states(condition)
        velocity: torch.Tensor = self.denoiser(
            x,
            timestep=t,
            encoder_hidden_states=states,
            # the encoder is causal, so that its last state has seen the whole caption
            pooled_projections=states[:, -1],
        ).sample
        return velocity


class FlowStrings(VelocityPrediction):
    """Rectified-flow transformer of text and image tokens in one attention, drawing three-digit numbers.

    Size `s`: pictures of 16 x 48 in patches of 4 (48 tokens), captions of 8 tokens such as ``number "314"``,
    four blocks of width 72. `model` is an `SD3Transformer2DModel`, `text_encoder` a `CLIPTextModel`; with
    x = (1 - s) x0 + s noise it predicts noise - x0 at timestep 1000 s. Fine stripes lie behind the digits, so
    that it shows what a sampler does to texture that is no lettering. `digits` reads its pictures.
    """

    name = "flow-strings"
    floor = 0.85  # at guidance 4; at 1 and 2 it errs often enough for a sampler to better it
    recipes: ClassVar[Mapping[str, StringsRecipe]] = {
        "s": StringsRecipe(
            pixels=PIXELS,
            patch=4,
            heads=4,
            head=18,
            layers=4,
            text=64,
            steps=4000,
            batch=64,
            lr=8e-3,
            data=VERSION,
        ),
    }

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, 16, 48)."""
        return (1, PIXELS, PIXELS * PLACES)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of its captions."""
        return tokenizer()

    def build(self, seed: int = 0) -> Any:
        """A `Captioned` model: `SD3Transformer2DModel` and `CLIPTextModel`, with fresh weights."""
        recipe = self.recipes[self.size]

        def model() -> Any:
            denoiser = SD3Transformer2DModel(
                sample_size=recipe.pixels,
                patch_size=recipe.patch,
                in_channels=1,
                out_channels=1,
                num_layers=recipe.layers,
                attention_head_dim=recipe.head,
                num_attention_heads=recipe.heads,
                joint_attention_dim=recipe.text,
                caption_projection_dim=recipe.heads * recipe.head,
                pooled_projection_dim=recipe.text,
                pos_embed_max_size=PIXELS * PLACES // recipe.patch,
            )
            encoder = CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=len(WORDS),
                    hidden_size=recipe.text,
                    intermediate_size=2 * recipe.text,
                    projection_dim=recipe.text,
                    num_hidden_layers=1,
                    num_attention_heads=2,
                    max_position_embeddings=LENGTH,
                    bos_token_id=1,
                    eos_token_id=2,
                    pad_token_id=0,
                )
            )
            return Captioned(denoiser, encoder)

        return fresh(model, seed)

    def use(self, model: Any) -> None:
        """Adopt a `Captioned` model; `model` is its transformer afterwards."""
        super().use(model)
        self._whole, self._model, self.text_encoder = model, model.denoiser, model.text

    @property
    def whole(self) -> Any:
        """The `Captioned` model: transformer and text encoder."""
        return self._whole if self._model is not None else self.model  # which says that there are no weights

    def condition(self, labels: Any) -> torch.Tensor:
        """The tokens (N, 8) of numbers.

        Raises:
            ValueError: no list of texts of three digits.
        """
        texts = list(labels) if isinstance(labels, list | tuple) else []
        bad = [text for text in texts if not (len(text) == PLACES and text.isascii() and text.isdigit())]
        if not texts or bad:
            raise ValueError(
                f"labels must be a list of numbers of {PLACES} digits; got {(bad or labels)!r}"[:200]
            )
        ids: torch.Tensor = tokenizer()([caption(text) for text in texts], return_tensors="pt").input_ids
        return ids

    def unconditional(self, n: int) -> torch.Tensor:
        """(n, 8) tokens of the empty caption."""
        return torch.tensor([1, 2] + [0] * (LENGTH - 2)).expand(n, -1)

    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The prediction of a `Captioned` model, in training."""
        predicted: torch.Tensor = model(x, t.expand(len(x)), condition)
        return predicted

    def predict(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """What the transformer (or a `Captioned` model) predicts for x, a timestep and tokens (N, 8)."""
        whole = model if isinstance(model, Captioned) else Captioned(model, self.text_encoder)
        return self.forward(whole, x, t, condition)

    def data(self, split: str, *, n: int = 1024, seed: int = 0) -> StringsData:
        """`n` pictures of a split (train, val or test), of digits a little shifted, turned, scaled and sheared.

        Raises:
            ValueError: an unknown split, n below 1.
        """
        check_split(split, digits.SPLITS)
        check_count("n", n)
        return pictures(split, numbers(n, seed), seed)

    def batch(self, seed: int, step: int, size: int) -> tuple[torch.Tensor, Any]:
        """Pictures never seen before, and their numbers."""
        data = self.data("train", n=size, seed=seed * 1_000_003 + step)
        return data.images, data.numbers

    def read(self, images: torch.Tensor) -> list[str]:
        """What the classifier of `digits` reads in pictures (N, 1, 16, 48), the ground taken away."""
        from sillok.testbeds import load

        found: list[str] = load("digits", "s").read(lettering(images))
        return found

    def bounds(self) -> dict[str, tuple[float, float]]:
        """The share of guided pictures whose whole number is read right is at least `floor`; held-out real ones
        are read nearly always.
        """
        return {"exact_best": (self.floor, 1.0), "exact_real": (0.93, 1.0)}

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Shares of numbers and of single digits that are read right at guidance 1, 2 and 4, and of real ones;
        and the energy of the ground's texture.
        """
        count = 256 if n is None else n
        real = self.data("test", n=count, seed=seed)
        found = {
            "exact_real": spelled(self.read(real.images), real.numbers)[0],
            "texture_real": texture(real.images),
        }
        for guidance in GUIDANCES:
            made = self._draw(model, self.condition(real.numbers), guidance, STEPS, seed, 128)
            exact, single = spelled(self.read(made), real.numbers)
            found |= {
                f"exact@{guidance:g}": exact,
                f"digit@{guidance:g}": single,
                f"texture@{guidance:g}": texture(made),
                f"outside@{guidance:g}": float((made.abs() > 1).double().mean()),
            }
        found["exact_best"] = max(found[f"exact@{guidance:g}"] for guidance in GUIDANCES)
        return found

    def exhibits(self) -> list[Exhibit]:
        """Real pictures, and drawn ones at guidance 2 with what is read in them."""
        real = self.data("test", n=8, seed=5)
        made = self.sample(real.numbers, guidance=2.0, seed=3)
        asked, got = ", ".join(real.numbers), ", ".join(self.read(made))
        return [
            Exhibit("real", f"Held-out pictures of {asked}.", grid(unit(real.images), 4, 4)),
            Exhibit(
                "samples",
                f"Drawn at guidance 2 for {asked}, and read as {got}.",
                grid(unit(made), 4, 4),
            ),
        ]


def spelled(found: Sequence[str], asked: Sequence[str]) -> tuple[float, float]:
    """The share of numbers that are right, and that of single digits."""
    exact = np.mean([a == b for a, b in zip(found, asked, strict=True)])
    single = np.mean([a == b for x, y in zip(found, asked, strict=True) for a, b in zip(x, y, strict=True)])
    return float(exact), float(single)


def texture(images: torch.Tensor) -> float:
    """Mean square of what a 3 x 3 mean takes away from the ground of pictures (N, 1, 16, 48).

    The ground is where no pixel of a 3 x 3 neighbourhood rises above the stripes; without any it is 0.
    """
    rises = torch.nn.functional.max_pool2d(images, 3, 1, 1) > CEILING + 0.1
    ground = ~rises
    ground[..., (0, -1), :] = False  # there the mean is of fewer pixels
    ground[..., :, (0, -1)] = False
    fine = images - torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    return float(fine[ground].double().square().mean()) if bool(ground.any()) else 0.0
