"""Checkpoints on disk: safetensors in half precision, beside JSON with hash, recipe, log and quality."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from sillok.testbeds.base import CHECKPOINTS, Testbed

LIMIT = 3_000_000  # bytes of one checkpoint


def paths(bed: Testbed, folder: Path | str | None = None) -> tuple[Path, Path]:
    """The weights' file and the facts' file of a testbed, in `folder` or in the package."""
    stem = f"{bed.name}-{bed.size}"
    base = CHECKPOINTS if folder is None else Path(folder)
    return base / f"{stem}.safetensors", base / f"{stem}.json"


def partial(bed: Testbed, folder: Path | str | None = None) -> Path:
    """The file that keeps the state of a training on its way, in a folder that is made if need be.

    Raises:
        ValueError: the folder cannot be made or written (found before the training, not after it).
    """
    weights = paths(bed, folder)[0]
    try:
        weights.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=weights.parent):
            pass
    except OSError as error:
        raise ValueError(f"cannot write the checkpoint to {weights.parent}: {error.strerror}") from error
    return weights.with_suffix(".partial.safetensors")


def pack(state: dict[str, torch.Tensor]) -> bytes:
    """Weights as safetensors bytes, floating-point tensors in float16.

    Raises:
        ValueError: a weight is not finite in float16, or the result is over 3 MB.
    """
    stored = {}
    for key, value in state.items():
        tensor = value.detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float16)
            if not torch.isfinite(tensor).all():
                raise ValueError(f"weight {key!r} is not finite in float16: the training diverged")
        stored[key] = tensor
    blob = save_safetensors(stored)
    if len(blob) > LIMIT:
        raise ValueError(f"a checkpoint may have {LIMIT:,} bytes; this one has {len(blob):,}")
    return blob


def unpack(blob: bytes, model: torch.nn.Module) -> None:
    """Put the weights of `blob` into `model`, in the model's own precision.

    Raises:
        ValueError: a weight of the model is missing, or one of the file is not the model's.
    """
    missing, unknown = model.load_state_dict(load_safetensors(blob), strict=False)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if unknown or set(missing) - tied:
        raise ValueError(f"weights do not fit the model: missing {missing}, unknown {unknown}")


def save(bed: Testbed, blob: bytes, facts: dict[str, Any], folder: Path | str | None) -> Path:
    """Write weights and facts, and return the weights' path.

    Raises:
        ValueError: the folder cannot be made or written.
    """
    weights, sidecar = paths(bed, folder)
    record = {
        "name": bed.name,
        "size": bed.size,
        "summary": bed.summary,
        "recipe_hash": bed.recipe.hash,
        "bounds": bed.bounds(),
        "sha256": hashlib.sha256(blob).hexdigest(),
        **facts,
    }
    try:
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(blob)
        sidecar.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write the checkpoint to {weights.parent}: {error.strerror}") from error
    return weights


def restore(bed: Testbed, folder: Path | str | None = None) -> None:
    """Give `bed` its model, quality and log from disk.

    Raises:
        ValueError: a file is missing or unreadable, the weights are not those that the facts name, or they
            were trained by another recipe than this version's.
    """
    weights, sidecar = paths(bed, folder)
    rebuild = f"rebuild it with: sillok testbed train {bed.name} --size {bed.size}"
    try:
        blob = weights.read_bytes()
        record = json.loads(sidecar.read_text(encoding="utf-8"))
        found, recipe = record["sha256"], record["recipe_hash"]
    except FileNotFoundError as error:
        raise ValueError(f"checkpoint file {Path(error.filename).name} is missing; {rebuild}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"checkpoint {weights.name} cannot be read ({type(error).__name__}); {rebuild}"
        ) from error
    actual = hashlib.sha256(blob).hexdigest()
    if actual != found:
        raise ValueError(
            f"checkpoint {weights.name} is damaged: sha256 {actual[:12]}, expected {found[:12]}; {rebuild}"
        )
    if recipe != bed.recipe.hash:
        raise ValueError(
            f"checkpoint {weights.name} was trained by recipe {recipe}, "
            f"and this version has {bed.recipe.hash}; {rebuild}"
        )
    model = bed.build()
    unpack(blob, model)
    bed.use(model)
    bed.quality, bed.log = record["quality"], record["log"]
    bed.facts = {key: value for key, value in record.items() if key not in ("quality", "log")}
