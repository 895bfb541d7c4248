"""A byte-level language model on the standard library's code, and what its siblings in `corpora` share with it."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import LlamaForCausalLM

from sillok.testbeds import texts
from sillok.testbeds.base import Exhibit, Recipe, Testbed, check_count, check_split
from sillok.testbeds.llama import fit_llama, llama_config
from sillok.testbeds.texts import SPLITS
from sillok.testbeds.training import Progress, fresh

VOCABULARY = 256
END = 0  # the byte between documents
CONTEXT = 1024  # longest sequence that the models are configured for


def encode(text: str) -> torch.Tensor:
    """(T,) int64 tokens of a text: its UTF-8 bytes."""
    return torch.tensor(list(text.encode()), dtype=torch.int64)


def decode(tokens: torch.Tensor) -> str:
    """The text of tokens (T,); bytes that are no UTF-8 become U+FFFD."""
    return bytes(tokens.tolist()).decode(errors="replace")


@dataclass(frozen=True, kw_only=True)
class CorpusRecipe(Recipe):
    """Widths of the Llama model (all multiples of 64) and its training; `context` is the training length."""

    hidden: int
    layers: int
    heads: int
    inner: int
    context: int = 256
    autocast: bool = True


def recipes(**training: tuple[int, int, float]) -> dict[str, CorpusRecipe]:
    """The four widths with steps, batch and learning rate each; the widths are the same for all texts."""
    widths: dict[str, dict[str, Any]] = {
        "xxs": {"hidden": 64, "layers": 2, "heads": 1, "inner": 192},
        "xs": {"hidden": 128, "layers": 2, "heads": 2, "inner": 256},
        "s": {"hidden": 128, "layers": 6, "heads": 2, "inner": 320},
        "m": {"hidden": 256, "layers": 6, "heads": 4, "inner": 704},
    }
    return {
        size: CorpusRecipe(**widths[size], steps=steps, batch=batch, lr=lr)
        for size, (steps, batch, lr) in training.items()
    }


class Corpus(Testbed):
    """Byte-level Llama language model on the standard library's Python sources, split by file.

    Sizes: `xxs` (0.12 M parameters), `xs` (0.36 M), `s` (1.2 M, six layers), and `m` (4.9 M, without shipped
    weights: `train` it with `out=`, on a GPU); heads of 64.
    The text is made where the testbed runs and never shipped, so it differs a little between Python versions.
    """

    name = "corpus"
    recipes: ClassVar[Mapping[str, CorpusRecipe]] = recipes(
        xxs=(900, 16, 6e-3), xs=(900, 16, 4e-3), s=(1400, 16, 3e-3), m=(6000, 64, 2e-3)
    )
    ceilings: ClassVar[Mapping[str, float]] = {"xxs": 2.0, "xs": 1.75, "s": 1.5, "m": 1.3}
    prompts: ClassVar[tuple[str, ...]] = (
        "import os\nimport sys\n\n",
        "class Parser:\n    def __init__(self, ",
        "    for item in ",
    )

    @classmethod
    def documents(cls, split: str) -> list[bytes]:
        """The texts of a split, which a byte 0 will end; a distribution is what this method gives."""
        return texts.code(split)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Nats a byte that a trained model keeps to; uniform guessing has 5.55, and frequencies alone 3.3."""
        return dict.fromkeys(("val_loss", "test_loss"), (0.5, self.ceilings[self.size]))

    def config(self) -> Any:
        """The `LlamaConfig` of this size."""
        return llama_config(self.recipe, vocabulary=VOCABULARY, context=CONTEXT, bos=END, eos=END, pad=END)

    def build(self, seed: int = 0) -> Any:
        """A `LlamaForCausalLM` with fresh weights."""
        return fresh(lambda: LlamaForCausalLM(self.config()), seed)

    def data(self, split: str, *, seq_len: int = 256, n: int | None = None) -> torch.Tensor:
        """(N, seq_len) int64 tokens: the split's text cut into windows that do not overlap.

        Args:
            split: train, val or test.
            seq_len: length of a window, from 2 to 1024.
            n: how many, spread evenly over the split; all by default.

        Raises:
            ValueError: an unknown split, a length out of range, more windows than there are.
        """
        windows = self._windows(split, seq_len)
        if n is None:
            return windows.long()
        check_count("n", n)
        if n > len(windows):
            raise ValueError(f"n must be at most {len(windows)}, the windows of split {split!r}; got {n}")
        return windows[torch.arange(n) * len(windows) // n].long()

    def batches(
        self, split: str, batch_size: int, seq_len: int = 256, seed: int = 0, *, rank: int = 0, world: int = 1
    ) -> Iterator[torch.Tensor]:
        """Endless batches in an order that depends on the seed alone, shuffled anew each epoch.

        Every rank walks through the same global batches and takes its own rows (rank, rank + world, ...): the
        shards are disjoint, and together are what one process alone would see.

        Args:
            batch_size: rows of the global batch, a multiple of `world`.
            rank, world: this process and how many there are.

        Returns:
            Iterator of (batch_size / world, seq_len) int64 tokens.

        Raises:
            ValueError: an uneven batch size, a rank out of range, fewer windows than one batch.
        """
        check_count("batch_size", batch_size)
        check_count("world", world)
        if not 0 <= rank < world:
            raise ValueError(f"rank must lie in [0, {world - 1}]; got {rank}")
        if batch_size % world:
            raise ValueError(f"batch_size must be a multiple of world ({world}); got {batch_size}")
        windows = self._windows(split, seq_len)
        if len(windows) < batch_size:
            raise ValueError(
                f"batch_size must be at most {len(windows)}, the windows there are; got {batch_size}"
            )
        return _walk(windows, batch_size, seed, rank, world)

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Next-byte cross-entropy."""
        recipe = self.recipes[self.size]
        windows = self._windows("train", recipe.context)

        def inputs_at(step: int) -> dict[str, torch.Tensor]:
            tokens = windows[_rows(len(windows), recipe.batch, seed, step)].long()
            return {"input_ids": tokens, "labels": tokens}

        return fit_llama(model, inputs_at, recipe, progress, device)

    @classmethod
    def _windows(cls, split: str, seq_len: int) -> torch.Tensor:
        check_split(split, SPLITS)
        check_count("seq_len", seq_len, 2)
        if seq_len > CONTEXT:
            raise ValueError(f"seq_len must be at most {CONTEXT}; got {seq_len}")
        text = _text(cls, split)
        return text[: len(text) // seq_len * seq_len].view(-1, seq_len)

    def evaluate(self, model: Any, split: str = "val", *, n: int = 128, seq_len: int = 256) -> float:
        """Mean cross-entropy in nats a byte over `n` windows of a split, the same ones each time."""
        return evaluate(model, self.data(split, seq_len=seq_len, n=n))[0]

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Loss and accuracy of the next byte on held-out text; the windows are fixed, whatever the seed.

        There are 512 of them by default, or as many as the split has.
        """
        found = {
            split: evaluate(model, self.data(split, n=min(n or 512, len(self._windows(split, 256)))))
            for split in ("val", "test", "train")
        }
        loss, accuracy = found["val"]
        return {
            "val_loss": loss,
            "val_bits_per_byte": loss / math.log(2),
            "val_accuracy": accuracy,
            "test_loss": found["test"][0],
            "train_loss": found["train"][0],
        }

    @torch.no_grad()
    def complete(self, prompt: str, *, length: int = 160, temperature: float = 0.7, seed: int = 0) -> str:
        """What the model writes after `prompt`, until the document ends or `length` bytes are there.

        Args:
            prompt: at least one byte; what came before it is the end of another document.
            length: at most; prompt and completion together have at most 1,023 bytes.
            temperature: of sampling; 0 takes the likeliest byte.
            seed: of sampling.

        Raises:
            ValueError: an empty or too long prompt, a length below 1, a temperature that is negative.
        """
        tokens = torch.cat([torch.tensor([END]), encode(prompt)])
        check_count("length", length)
        if not prompt or len(tokens) + length > CONTEXT:
            raise ValueError(
                f"prompt must have 1 to {CONTEXT - 1 - length} bytes (with length={length}); got {len(tokens) - 1}"
            )
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be finite and at least 0; got {temperature!r}")
        generator = torch.Generator().manual_seed(seed)
        found: list[int] = []
        given, past = tokens[None], None
        while len(found) < length:
            output = self.model(given, past_key_values=past, use_cache=True)
            logits, past = output.logits[0, -1].float(), output.past_key_values
            if temperature:
                given = torch.multinomial((logits / temperature).softmax(0), 1, generator=generator)[None]
            else:
                given = logits.argmax().view(1, 1)
            if int(given) == END:
                break
            found.append(int(given))
        return decode(torch.tensor(found, dtype=torch.int64))

    def exhibits(self) -> list[Exhibit]:
        """A piece of the text, and completions."""
        sample = decode(self.data("val", n=8)[3]).replace("\0", "\n")
        shown = [Exhibit("text", "A window of the validation split.", text=sample)]
        for i, prompt in enumerate(self.prompts):
            completion = self.complete(prompt, length=240, seed=i)
            caption = f"Completion of {prompt!r} at temperature 0.7."
            shown.append(Exhibit(f"completion-{i + 1}", caption, text=prompt + completion))
        return shown


@functools.cache
def _text(distribution: type[Corpus], split: str) -> torch.Tensor:
    end = bytes([END])
    joined = end.join([*distribution.documents(split), b""])
    return torch.from_numpy(np.frombuffer(joined, np.uint8).copy())


def new_model(size: str = "xs", seed: int = 0) -> Any:
    """A `LlamaForCausalLM` of the corpus testbed's size, with fresh weights from `seed`, in training mode."""
    return Corpus(size).build(seed).train()


@torch.no_grad()
def _logits(model: Any, tokens: torch.Tensor, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits (B, T - 1, V) and the bytes that they predict (B, T - 1), the model's mode kept."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    for part in tokens.split(batch):
        rows = part.to(device)
        yield model(rows).logits[:, :-1].float(), rows[:, 1:]
    model.train(training)


def losses(model: Any, tokens: torch.Tensor, batch: int = 32) -> torch.Tensor:
    """(N, T - 1) cross-entropy in nats of each byte after the first, over tokens (N, T)."""
    rows = [
        torch.nn.functional.cross_entropy(logits.transpose(1, 2), target, reduction="none").cpu()
        for logits, target in _logits(model, tokens, batch)
    ]
    return torch.cat(rows)


def evaluate(model: Any, tokens: torch.Tensor, batch: int = 32) -> tuple[float, float]:
    """Mean next-token cross-entropy in nats, and accuracy, over tokens (N, T); the model's mode is kept."""
    loss, hits = 0.0, 0
    for logits, target in _logits(model, tokens, batch):
        flat = logits.flatten(0, 1), target.flatten()
        loss += float(torch.nn.functional.cross_entropy(*flat, reduction="sum"))
        hits += int((flat[0].argmax(1) == flat[1]).sum())
    count = tokens[:, 1:].numel()
    return loss / count, hits / count


@functools.lru_cache(maxsize=4)
def _order(length: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of an epoch: that which one generator gives when it shuffles once for each epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epoch):
        torch.randperm(length, generator=generator)
    return torch.randperm(length, generator=generator)


def _rows(length: int, batch_size: int, seed: int, step: int) -> torch.Tensor:
    """The windows of batch number `step`, of `length`: it follows from these four numbers alone."""
    epoch, place = divmod(step, length // batch_size)
    return _order(length, seed, epoch)[place * batch_size : (place + 1) * batch_size]


def _walk(windows: torch.Tensor, batch_size: int, seed: int, rank: int, world: int) -> Iterator[torch.Tensor]:
    for step in itertools.count():
        yield windows[_rows(len(windows), batch_size, seed, step)[rank::world]].long()
