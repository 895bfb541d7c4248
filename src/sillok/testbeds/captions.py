"""Captions as conditions: a tokenizer of a few words and a small CLIP text encoder, trained with the denoiser."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from sillok.testbeds import shapes
from sillok.testbeds.generator import Generator

LENGTH = 12  # tokens of a caption with its ends, padded
WIDTH = 64
# their order decides the token numbers of shipped checkpoints: new words go to the end, and there is room for 64
WORDS = (
    "<pad>",
    "<bos>",
    "<eos>",
    "a",
    *shapes.COLOURS,
    *shapes.SHAPES,
    "moves",
    "right",
    "left",
    "up",
    "down",
)
_ROOM = 64


@functools.cache
def tokenizer() -> Any:
    """A `PreTrainedTokenizerFast` of whole words: <bos> words <eos>, padded to 12 where that is asked for.

    It raises Exception for a word that it does not know; `tokens` says which words there are.
    """
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
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


def tokens(captions: list[str], length: int = LENGTH) -> torch.Tensor:
    """(N, length) int64 tokens of captions; an empty caption is the null condition.

    Raises:
        ValueError: no caption, a word that the models never saw, or too many words.
    """
    if isinstance(captions, str) or not len(captions) or not all(isinstance(c, str) for c in captions):
        raise ValueError(f"captions must be a list of at least one text; got {captions!r}")
    for caption in captions:
        unknown = [word for word in caption.split() if word not in WORDS[3:]]
        if unknown:
            raise ValueError(
                f"captions know no {unknown[0]!r} in {caption!r}; the words are: {', '.join(WORDS[3:])}"
            )
        if len(caption.split()) > LENGTH - 2:
            raise ValueError(f"captions must have at most {LENGTH - 2} words; got {caption!r}")
    padded = tokenizer()(list(captions), padding="max_length", max_length=length, return_tensors="pt")
    ids: torch.Tensor = padded.input_ids
    return ids


def new_encoder(length: int = LENGTH) -> Any:
    """A `CLIPTextModel` of two layers of width 64 for so many tokens, with fresh weights."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=_ROOM,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=length,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )


class Captioned(nn.Module):
    """A denoiser and the text encoder that was trained with it."""

    def __init__(self, denoiser: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.text = text

    def forward(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """What the denoiser predicts for x (N, ...), timesteps (N,) and tokens (N, L)."""
        states = self.text(condition).last_hidden_state
        predicted: torch.Tensor = self.denoiser(x, timestep=t, encoder_hidden_states=states).sample
        return predicted


class CaptionConditional(Generator):
    """A generator whose condition is a caption: tokens (N, length). The empty caption is the null condition.

    `model` is the denoiser, `text_encoder` and `tokenizer` are what a Diffusers pipeline calls so.
    """

    length: ClassVar[int] = LENGTH

    def use(self, model: Any) -> None:
        """Adopt a `Captioned` model; `model` is its denoiser afterwards."""
        super().use(model)
        self._whole, self._model, self.text_encoder = model, model.denoiser, model.text

    @property
    def whole(self) -> Any:
        """The `Captioned` model: denoiser and text encoder."""
        return self._whole if self._model is not None else self.model  # which says that there are no weights

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of all caption testbeds."""
        return tokenizer()

    def condition(self, labels: Any) -> torch.Tensor:
        """The tokens (N, length) of captions, or of the captions of class labels (N,).

        Raises:
            ValueError: a caption with a word that the model does not know, labels out of range, or neither.
        """
        if isinstance(labels, str) or any(isinstance(label, str) for label in labels):
            return tokens(labels, self.length)
        return tokens(self.captions(torch.as_tensor(labels)), self.length)

    def captions(self, labels: torch.Tensor) -> list[str]:
        """The captions of class labels (N,).

        Raises:
            ValueError: another shape, or a label out of range.
        """
        if labels.ndim != 1 or not len(labels) or not 0 <= int(labels.min()) <= int(labels.max()) < 16:
            raise ValueError(f"labels must have shape (N,) and lie in [0, 15]; got {tuple(labels.shape)}")
        return shapes.captions(labels.numpy())

    def unconditional(self, n: int) -> torch.Tensor:
        """(n, length) tokens of the empty caption."""
        return tokens([""], self.length).expand(n, -1)

    def encode(self, condition: torch.Tensor) -> torch.Tensor:
        """(N, length, 64) what the text encoder makes of tokens (N, length), as the denoiser takes it."""
        states: torch.Tensor = self.text_encoder(condition.to(self.text_encoder.device)).last_hidden_state
        return states

    def forward(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """The prediction of a `Captioned` model, in training."""
        predicted: torch.Tensor = model(x, t.expand(len(x)), condition)
        return predicted

    def predict(self, model: Any, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """What the denoiser predicts for x (N, ...), a timestep and tokens (N, length)."""
        predicted: torch.Tensor = model(
            x, timestep=t.expand(len(x)), encoder_hidden_states=self.encode(condition)
        ).sample
        return predicted
