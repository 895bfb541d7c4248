"""Other texts for the corpus testbed's models: the standard library's prose, and languages of known entropy."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from sillok.testbeds import grammar, texts
from sillok.testbeds.base import Exhibit
from sillok.testbeds.corpus import END, Corpus, CorpusRecipe, losses, recipes
from sillok.testbeds.texts import SPLITS

_DRAWN = {"train": 4_000_000, "val": 200_000, "test": 200_000}  # bytes of the synthetic text


@functools.cache
def _drawn(split: str) -> tuple[Any, Any]:
    return grammar.sample(_DRAWN[split], SPLITS.index(split))


class CorpusProse(Corpus):
    """Byte-level Llama language model on the standard library's prose: docstrings, comments and help topics.

    Sizes as in `Corpus`; `xs` has shipped weights. Split by file, without a paragraph that two splits share.
    """

    name = "corpus-prose"
    recipes: ClassVar[Mapping[str, CorpusRecipe]] = recipes(
        xxs=(900, 16, 6e-3), xs=(900, 16, 4e-3), s=(1400, 16, 3e-3)
    )
    ceilings: ClassVar[Mapping[str, float]] = {"xxs": 2.1, "xs": 1.9, "s": 1.8}
    prompts: ClassVar[tuple[str, ...]] = (
        "Return a list of ",
        "The first argument is the ",
        "This method is called when ",
    )

    @classmethod
    def documents(cls, split: str) -> list[bytes]:
        """One document for each file and help topic."""
        return texts.prose(split)


class CorpusGrammar(Corpus):
    """Byte-level Llama language model on synthetic languages, whose entropy is known exactly.

    Sizes as in `Corpus`; `xxs` and `xs` have shipped weights. The splits are fresh draws (short documents occur
    in all of them). The text is the same everywhere, and `surprisal` gives the true -log p of each byte.
    """

    name = "corpus-grammar"
    recipes: ClassVar[Mapping[str, CorpusRecipe]] = recipes(
        xxs=(1500, 16, 6e-3), xs=(1500, 16, 4e-3), s=(2000, 16, 3e-3)
    )
    excesses: ClassVar[Mapping[str, float]] = {"xxs": 0.2, "xs": 0.15, "s": 0.1}
    prompts: ClassVar[tuple[str, ...]] = ("two old dogs near the sea ", "([{", "#aaaaa", '"bdfg~')

    @classmethod
    def documents(cls, split: str) -> list[bytes]:
        """Lines of sentences, brackets, counting and copying."""
        text: bytes = _drawn(split)[0].tobytes()
        return text[:-1].split(bytes([END]))

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Nats a byte above the floor: below 0 only by chance."""
        return dict.fromkeys(("val_excess", "test_excess"), (-0.005, self.excesses[self.size]))

    def surprisal(self, split: str, *, seq_len: int = 256, n: int | None = None) -> torch.Tensor:
        """(N, seq_len) float32 nats: -log of the true probability of each byte of `data`, given all before it."""
        windows = self._windows(split, seq_len)
        nats = torch.from_numpy(_drawn(split)[1])[: windows.numel()].view(windows.shape).float()
        return nats if n is None else nats[torch.arange(n) * len(nats) // n]

    def measure(self, model: Any, *, n: int | None = None, seed: int = 1) -> dict[str, float]:
        """Beside what `Corpus` measures: the entropy rate, and the loss above that of the true distribution.

        `excess` counts the bytes after the first end of a document in each window: there a model knows all that
        the true distribution knows, and the mean difference is an estimate of their relative entropy.
        """
        found = {**super().measure(model, n=n, seed=seed), "entropy_rate": grammar.entropy_rate()}
        for split in ("val", "test"):
            count = min(n or 512, len(self._windows(split, 256)))
            tokens = self.data(split, n=count)
            known = (tokens == END).cumsum(1)[:, :-1] > 0  # predicts the byte after
            excess = losses(model, tokens) - self.surprisal(split, n=count)[:, 1:]
            found[f"{split}_excess"] = float(excess[known].double().mean())
        return found

    def exhibits(self) -> list[Exhibit]:
        """Text, completions, and the losses beside the floor."""
        table = [f"{'nats a byte':28s}{self.size:>8s}"]
        rows = {"entropy rate (exact floor)": "entropy_rate", "loss, whole windows": "val_loss"}
        rows["loss above the true one"] = "val_excess"
        table += [f"{label:28s}{self.quality[metric]:8.4f}" for label, metric in rows.items()]
        return [
            *super().exhibits(),
            Exhibit("floor", "The model beside the true floor.", text="\n".join(table)),
        ]
