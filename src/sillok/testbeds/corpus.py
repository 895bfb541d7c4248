"""A byte-level language model on the standard library's sources, read from the running interpreter."""

from __future__ import annotations

import functools
import hashlib
import math
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sillok.testbeds.base import Recipe, Testbed, check_count, check_split
from sillok.testbeds.training import Progress, fresh, optimise

SPLITS = ("train", "val", "test")
VOCABULARY = 256
END = 0  # the byte between files
CONTEXT = 1024  # longest sequence that the models are configured for
# left out: other people's packages, tests, and tables that are data rather than text
_SKIPPED = {
    "site-packages",
    "dist-packages",
    "__pycache__",
    "test",
    "tests",
    "idle_test",
    "encodings",
    "ensurepip",
}


@functools.cache
def files() -> tuple[Path, ...]:
    """The source files of the standard library that exist here, sorted by their path inside it.

    Raises:
        ValueError: the interpreter has no folder of sources (a zipped library).
    """
    root = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        if not _SKIPPED.intersection(parts) and not path.name.startswith("_sysconfigdata"):
            found["/".join(parts)] = path
    if len(found) < 50:
        raise ValueError(f"testbed 'corpus' needs the standard library's sources; found {len(found)} files")
    return tuple(found[key] for key in sorted(found))


def split_of(relative: str) -> str:
    """The split of a file, by a hash of its path in the library: one tenth each for val and test."""
    bucket = hashlib.sha256(relative.encode()).digest()[0] % 10
    return {0: "val", 1: "test"}.get(bucket, "train")


@functools.cache
def _text(split: str) -> torch.Tensor:
    root = Path(sysconfig.get_path("stdlib"))
    parts = []
    for path in files():
        if split_of(path.relative_to(root).as_posix()) == split:
            parts.append(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\0", b"") + bytes([END]))
    return torch.from_numpy(np.frombuffer(b"".join(parts), np.uint8).copy())


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


class Corpus(Testbed):
    """Byte-level Llama language model on the standard library's Python sources, split by file.

    Sizes: `xs` (0.36 M parameters) for training from scratch, `s` (1.2 M, six layers); heads of 64.
    The text is made where the testbed runs and never shipped, so it differs a little between Python versions.
    """

    name = "corpus"
    recipes: ClassVar[Mapping[str, CorpusRecipe]] = {
        "xs": CorpusRecipe(hidden=128, layers=2, heads=2, inner=256, steps=900, batch=16, lr=4e-3),
        "s": CorpusRecipe(hidden=128, layers=6, heads=2, inner=320, steps=1400, batch=16, lr=3e-3),
    }

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Nats a byte that a trained model keeps to; uniform guessing has 5.55, and frequencies alone 3.3."""
        return {"val_loss": (0.5, {"xs": 2.2, "s": 2.0}[self.size]), "test_loss": (0.5, 2.3)}

    def config(self) -> Any:
        """The `LlamaConfig` of this size."""
        recipe = self.recipes[self.size]
        return LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=recipe.hidden,
            intermediate_size=recipe.inner,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.heads,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=END,
            eos_token_id=END,
            pad_token_id=END,
            use_cache=True,
        )

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
        windows = _windows(split, seq_len)
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
        windows = _windows(split, seq_len)
        if len(windows) < batch_size:
            raise ValueError(
                f"batch_size must be at most {len(windows)}, the windows there are; got {batch_size}"
            )
        return _walk(windows, batch_size, seed, rank, world)

    def fit(self, model: Any, progress: Progress, *, device: str, seed: int) -> dict[str, torch.Tensor]:
        """Next-byte cross-entropy."""
        recipe = self.recipes[self.size]
        batches = self.batches("train", recipe.batch, recipe.context, seed)

        def loss_at(step: int) -> torch.Tensor:
            tokens = next(batches).to(device)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.autocast):
                loss: torch.Tensor = model(tokens, labels=tokens).loss
            return loss

        state = optimise(model, loss_at, recipe, progress)
        state.pop("lm_head.weight")  # tied to the embedding, and stored once
        return state

    def evaluate(self, model: Any, split: str = "val", *, n: int = 128, seq_len: int = 256) -> float:
        """Mean cross-entropy in nats a byte over `n` windows of a split, the same ones each time."""
        return evaluate(model, self.data(split, seq_len=seq_len, n=n))[0]

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Loss and accuracy of the next byte on held-out files; the windows are fixed, whatever the seed."""
        count = 512 if n is None else n
        loss, accuracy = evaluate(model, self.data("val", n=count))
        return {
            "val_loss": loss,
            "val_bits_per_byte": loss / math.log(2),
            "val_accuracy": accuracy,
            "test_loss": evaluate(model, self.data("test", n=count))[0],
            "train_loss": evaluate(model, self.data("train", n=count))[0],
        }


def new_model(size: str = "xs", seed: int = 0) -> Any:
    """A `LlamaForCausalLM` of the corpus testbed's size, with fresh weights from `seed`, in training mode."""
    return Corpus(size).build(seed).train()


@torch.no_grad()
def evaluate(model: Any, tokens: torch.Tensor, batch: int = 32) -> tuple[float, float]:
    """Mean next-token cross-entropy in nats, and accuracy, over tokens (N, T); the model's mode is kept."""
    training = model.training
    model.eval()
    loss, hits = 0.0, 0
    device = next(model.parameters()).device
    for part in tokens.split(batch):
        rows = part.to(device)
        logits = model(rows).logits[:, :-1].float().flatten(0, 1)
        target = rows[:, 1:].flatten()
        loss += float(torch.nn.functional.cross_entropy(logits, target, reduction="sum"))
        hits += int((logits.argmax(1) == target).sum())
    model.train(training)
    count = tokens[:, 1:].numel()
    return loss / count, hits / count


def _windows(split: str, seq_len: int) -> torch.Tensor:
    check_split(split, SPLITS)
    check_count("seq_len", seq_len, 2)
    if seq_len > CONTEXT:
        raise ValueError(f"seq_len must be at most {CONTEXT}; got {seq_len}")
    text = _text(split)
    return text[: len(text) // seq_len * seq_len].view(-1, seq_len)


def _walk(windows: torch.Tensor, batch_size: int, seed: int, rank: int, world: int) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(windows), generator=generator)
        for start in range(0, len(order) - batch_size + 1, batch_size):
            yield windows[order[start + rank : start + batch_size : world]].long()
