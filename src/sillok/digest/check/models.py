"""Embedding and entailment models of Hugging Face for checking, loaded by the name that the user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Texts to an array of one row each (NumPy, a tensor, or lists).
Embedder = Callable[[list[str]], Any]
#: (premise, hypothesis) to probabilities: by name, or in the order entailment, neutral, contradiction.
Entailment = Callable[[str, str], Mapping[str, float] | Sequence[float]]


def _transformers() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise ImportError(
            f"checking with a model needs {error.name}, which is not installed: pip install 'sillok[testbeds]'"
        ) from error
    return torch, transformers


def _load(name: str, kind: str, device: str) -> tuple[Any, Any, Any]:
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise ValueError(f"model {name!r} cannot be loaded: there is no such folder")
    torch, transformers = _transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model = getattr(transformers, kind).from_pretrained(name).to(device).eval()
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise ValueError(f"model {name!r} cannot be loaded from Hugging Face or a folder: {line}") from error
    return torch, tokenizer, model


def load_embedder(name: str, *, device: str = "cpu", batch: int = 32, max_length: int = 512) -> Embedder:
    """Load an encoder from Hugging Face or a folder; texts get the mean of their last hidden states, of length 1.

    Raises:
        ImportError: Transformers or PyTorch is missing.
        ValueError: there is no such model.
    """
    torch, tokenizer, model = _load(name, "AutoModel", device)

    def embed(texts: list[str]) -> Any:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), batch):
                inputs = tokenizer(
                    texts[start : start + batch],
                    padding=True,
                    truncation=True,
                    max_length=max_length,
                    return_tensors="pt",
                ).to(device)
                hidden = model(**inputs).last_hidden_state
                mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
                rows.append(torch.nn.functional.normalize(mean, dim=-1).cpu())
        return torch.cat(rows).numpy()

    return embed


def load_entailment(name: str, *, device: str = "cpu", max_length: int = 512) -> Entailment:
    """Load a sequence classifier for natural language inference from Hugging Face or a folder.

    Its labels must name entailment and contradiction, as those of MNLI models do.

    Raises:
        ImportError: Transformers or PyTorch is missing.
        ValueError: there is no such model, or its labels are others.
    """
    torch, tokenizer, model = _load(name, "AutoModelForSequenceClassification", device)
    labels = {label.casefold(): int(index) for index, label in model.config.id2label.items()}
    places = {}
    for wanted in ("entailment", "contradiction"):
        found = [index for label, index in labels.items() if label.startswith(wanted[:6])]
        if len(found) != 1:
            raise ValueError(
                f"model {name!r} has the labels {sorted(labels)}; entailment and contradiction are needed"
            )
        places[wanted] = found[0]

    def entails(premise: str, hypothesis: str) -> dict[str, float]:
        with torch.inference_mode():
            inputs = tokenizer(
                premise, hypothesis, truncation="only_first", max_length=max_length, return_tensors="pt"
            ).to(device)
            chances = model(**inputs).logits[0].softmax(-1).tolist()
        known = {label: float(chances[index]) for label, index in places.items()}
        return {**known, "neutral": max(0.0, 1.0 - sum(known.values()))}

    return entails
