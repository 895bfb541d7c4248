"""Small real problems that trials share: data, a small trained model, its recipe and its measured quality.

`load("ddpm", size="s")` gives a `Testbed`; `train` rebuilds a checkpoint and `check` measures one again.
Importing this package imports no framework: a testbed's module is imported when its name is first asked for.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sillok.testbeds.base import CHECKPOINTS, Check, Exhibit, Recipe, Testbed

__all__ = ["Check", "Exhibit", "Recipe", "Testbed", "available", "catalogue", "check", "load", "train"]

# name -> (module, class, sizes shipped); they stand here so that listing them imports nothing. A class may
# have recipes for more sizes, which `train` makes and `load(..., folder=...)` reads.
_REGISTRY: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "shapes": ("sillok.testbeds.shapes", "Shapes", ("xs", "s")),
    "digits": ("sillok.testbeds.digits", "Digits", ("xs", "s", "m")),
    "ddpm": ("sillok.testbeds.ddpm", "DDPM", ("s",)),
    "ddpm-digits": ("sillok.testbeds.ddpm", "DDPMDigits", ("s",)),
    "ddpm-captions": ("sillok.testbeds.ddpm", "DDPMCaptions", ("s",)),
    "flow": ("sillok.testbeds.flow", "Flow", ("s",)),
    "flow-digits": ("sillok.testbeds.flow", "FlowDigits", ()),
    "flow-strings": ("sillok.testbeds.strings", "FlowStrings", ("s",)),
    "clips": ("sillok.testbeds.movers", "Movers", ("s",)),
    "flow-video": ("sillok.testbeds.video", "FlowVideo", ("s",)),
    "flow-camera": ("sillok.testbeds.camera", "FlowCamera", ("s",)),
    "corpus": ("sillok.testbeds.corpus", "Corpus", ("xxs", "xs", "s")),
    "corpus-prose": ("sillok.testbeds.corpora", "CorpusProse", ("xs",)),
    "corpus-grammar": ("sillok.testbeds.corpora", "CorpusGrammar", ("xxs", "xs")),
    "arith": ("sillok.testbeds.arith.bed", "Arith", ("s",)),
}


SIMULATED = "sim_model"


def available() -> dict[str, tuple[str, ...]]:
    """The names of the testbeds whose checkpoints are shipped, each with their sizes."""
    return {name: sizes for name, (_, _, sizes) in _REGISTRY.items() if sizes}


def load(name: str, size: str = "s", *, folder: Path | str | None = None) -> Any:
    """The testbed `name` at `size`, with its trained model, recipe, log and measured quality.

    Args:
        name: one of `available()`.
        size: one of the sizes that `available()` gives for it.
        folder: where the checkpoint lies; by default the package's own.

    Returns:
        A subclass of `Testbed`, with the model in evaluation mode and float32, on the processor.

    Raises:
        ValueError: unknown name or size, or a checkpoint that is missing, damaged or of another recipe.
    """
    bed = _new(name, size)
    shipped = _REGISTRY[name][2]
    if folder is None and size not in shipped:
        raise ValueError(
            f"size {size!r} of testbed {name!r} has no shipped weights ({', '.join(shipped) or 'none'} have); "
            f"make them with: sillok testbed train {name} --size {size} --out DIR"
        )
    from sillok.testbeds.store import restore

    restore(bed, folder)
    return bed


def train(
    name: str,
    size: str = "s",
    *,
    device: str = "cpu",
    out: Path | str | None = None,
    minutes: float | None = None,
    seed: int = 0,
    steps: int | None = None,
    samples: int | None = None,
    start: Path | str | None = None,
    report: Callable[[str], None] | None = None,
) -> Any:
    """Train the testbed `name` anew, measure it, write its checkpoint and return it.

    A training that was interrupted goes on where it stopped when the same call is made again: its state lies
    beside the checkpoint, in a file that ends in `.partial.safetensors`.

    Args:
        name: one of `available()`.
        size: one of its sizes.
        device: a torch device.
        out: the folder that receives the two files; by default the package's own.
        minutes: stop training after this long, with the learning rate brought down by then.
        seed: of initial weights, data order and noise.
        steps: another number of steps than the recipe's (training at a reduced size).
        samples: another number of samples than the full measure's, for the quality.
        start: the folder of an earlier checkpoint to go on from, with a new warm-up of the learning rate and
            other data, instead of fresh weights. Steps, seconds and log are then added to those it has.
        report: called with a line of text as training goes on.

    Raises:
        ValueError: unknown name or size, an absent device, a folder that cannot be written, weights of more
            than 3 MB without a folder of their own.
    """
    bed = _new(name, size)
    import torch

    from sillok.testbeds.store import LIMIT, pack, partial, restore, save, unpack
    from sillok.testbeds.training import Progress

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} was asked for, and torch sees no CUDA device here")
    before: dict[str, Any] = {"steps": 0, "seconds": 0.0, "sha256": ""}
    if start is None:
        model = bed.build(seed).to(device)
    else:
        restore(bed, start)
        before, model = bed.facts, bed.whole.requires_grad_(True).to(device)
    weights = 2 * sum(p.numel() for p in model.parameters())
    if out is None and weights > LIMIT:  # told before the training, not after it
        raise ValueError(
            f"size {size!r} of testbed {name!r} has {weights:,} bytes of weights, more than the package ships "
            f"({LIMIT:,}); name a folder for it with out"
        )
    progress = Progress(
        minutes=minutes,
        steps=steps,
        report=report,
        keep=partial(bed, out),
        identity=f"{bed.recipe.hash}/{seed}/{steps}/{before['sha256']}",
    )
    state = bed.fit(model, progress, device=device, seed=seed + before["steps"])
    blob = pack(state) if out is None else pack(state, None)  # only what ships is held to a size
    seconds = progress.log[-1]["seconds"]
    for row in progress.log:
        row["step"] += before["steps"]
        row["seconds"] = round(row["seconds"] + before["seconds"], 2)
    bed.log = bed.log + progress.log
    bed.facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": int(bed.log[-1]["step"]),
        "seconds": round(before["seconds"] + seconds, 1),
        "device": device if device != "cpu" else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
    }
    # saved before it is measured too: a measure that is cut short does not lose the training
    save(bed, blob, {**bed.facts, "quality": {}, "log": bed.log}, out)
    # what is measured is what will be loaded: the weights after their way through half precision
    unpack(blob, model)
    bed.use(model.to("cpu"))
    bed.quality = bed.measure(bed.model, n=samples)
    save(bed, blob, {**bed.facts, "quality": bed.quality, "log": bed.log}, out)
    partial(bed, out).unlink(missing_ok=True)
    return bed


def check(
    name: str,
    size: str = "s",
    *,
    samples: int | None = None,
    seed: int = 1,
    folder: Path | str | None = None,
) -> Check:
    """Measure a checkpoint again and compare with its bounds.

    Args:
        name: one of `available()`.
        size: one of its sizes.
        samples: another number of samples than the full measure's.
        seed: of the measure.
        folder: where the checkpoint lies; by default the package's own.

    Raises:
        ValueError: unknown name or size, or a checkpoint that is missing, damaged or of another recipe.
    """
    bed = load(name, size, folder=folder)
    return Check(bed.measure(bed.model, n=samples, seed=seed), bed.quality, bed.bounds())


def catalogue() -> list[dict[str, Any]]:
    """One row for each shipped checkpoint, and one for the simulated model; no framework is imported.

    Returns:
        Rows with name, size, summary, parameters, bytes, recipe_hash, seconds of training, quality, and the
        bounds that `check` holds it to.
    """
    rows = []
    for name, (_, _, sizes) in _REGISTRY.items():
        for size in sizes:
            facts = json.loads((CHECKPOINTS / f"{name}-{size}.json").read_text(encoding="utf-8"))
            weights = CHECKPOINTS / f"{name}-{size}.safetensors"
            kept = ("summary", "parameters", "recipe_hash", "seconds", "quality", "bounds")
            rows.append(
                {"name": name, "size": size, "bytes": weights.stat().st_size, **{k: facts[k] for k in kept}}
            )
    simulated = "sillok/simulated, an Inspect model that answers and judges with stated error rates."
    rows.append(
        {"name": SIMULATED, "size": "", "bytes": 0, "summary": simulated, "quality": {}, "bounds": {}}
    )
    return rows


def _new(name: str, size: str) -> Testbed:
    if name == SIMULATED:
        raise ValueError(
            f"testbed {name!r} is an Inspect model and has no weights: name it as --model sillok/simulated, "
            "or call sillok.testbeds.sim_model.simulated_model"
        )
    if name not in _REGISTRY:
        raise ValueError(f"unknown testbed {name!r}; there are: {', '.join(sorted(_REGISTRY))}")
    module, attribute, _ = _REGISTRY[name]
    try:
        bed: Testbed = getattr(importlib.import_module(module), attribute)(size)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"testbed {name!r} needs {error.name}, which is not installed: pip install 'sillok[testbeds]'"
        ) from error
    return bed
