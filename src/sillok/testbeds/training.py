"""The one training loop of the testbeds: AdamW or Muon, warm-up and cosine, a moving average, a log, a way back in.

An interrupted training goes on where it stopped: weights, optimizer, average and log are kept every half
minute in one safetensors file, and a step's data and noise follow from its number and the seed alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sillok.testbeds.base import Recipe

KEEP_EVERY = 30.0  # seconds between two saved states
# what Muon leaves to AdamW beside vectors and embeddings: the layers that meet data or vocabulary
_OUTER = ("embed", "lm_head", "proj_out", "conv_in", "conv_out")


@dataclass
class Progress:
    """How long training may take, and its log: rows of step, loss (mean since the last row) and seconds."""

    minutes: float | None = None
    steps: int | None = None  # overrides the recipe's, for training at a reduced size
    log: list[dict[str, float]] = field(default_factory=list)
    report: Callable[[str], None] | None = None
    keep: Path | None = None  # the file of the interrupted training, read if it fits and removed at the end
    identity: str = ""  # what an interrupted training must agree in to be gone on with

    def row(self, step: int, steps: int, loss: float, seconds: float) -> None:
        """Log one row, and report it."""
        self.log.append({"step": step, "loss": round(loss, 5), "seconds": round(seconds, 2)})
        self.say(f"step {step}/{steps} loss {loss:.4f} {seconds:.0f} s")

    def say(self, line: str) -> None:
        """Report a line, where anybody listens."""
        if self.report is not None:
            self.report(line)


def fresh(build: Callable[[], Any], seed: int) -> Any:
    """`build()` with initial weights drawn from `seed`, the global generator left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def at_step(seed: int, step: int) -> torch.Generator:
    """The generator of one training step's noise, which depends on nothing that came before."""
    digest = hashlib.sha256(f"{seed}/{step}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def compiled(model: Any) -> Any:
    """`model` through `torch.compile` where a C++ compiler is at hand, else `model` itself (on a processor).

    The two share their weights. Rounding differs, and with it the last digits of a training.
    """
    if shutil.which("g++") is None and not torch.cuda.is_available():
        return model
    return torch.compile(model, dynamic=False)  # each shape of a batch gets its own, faster program


class Optimizers:
    """AdamW, or Muon for the hidden matrices and AdamW for the rest, as one optimizer.

    A convolution's kernel (O, I, h, w) goes to Muon as the matrix (O, I h w), as in its author's runs (Jordan
    et al. 2024). Muon's update has the root mean square of AdamW's ("match_rms_adamw"), so that one learning
    rate can serve both; AdamW's is the recipe's `outer` times Muon's. The weight decay is the recipe's.
    """

    def __init__(self, model: torch.nn.Module, recipe: Recipe) -> None:
        if recipe.optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer must be adamw or muon; got {recipe.optimizer!r}")
        if recipe.optimizer == "muon" and not hasattr(torch.optim, "Muon"):
            raise ValueError(f"optimizer 'muon' needs torch 2.9 or newer; this is {torch.__version__}")
        hidden = list(_hidden(model)) if recipe.optimizer == "muon" else []
        taken = {id(p) for p in hidden}
        rest = [p for p in model.parameters() if id(p) not in taken]
        groups = [
            {"params": [p for p in rest if p.ndim >= 2]},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        adamw = torch.optim.AdamW(
            groups, lr=recipe.lr, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )
        self.parts: list[torch.optim.Optimizer] = [adamw]
        self._shares = [recipe.outer, 1.0] if hidden else [1.0]
        # a matrix shares its storage with the kernel that it flattens
        self._flat = [(p, torch.nn.Parameter(p.detach().view(len(p), -1))) for p in hidden]
        if hidden:
            self.parts.append(
                torch.optim.Muon(
                    [flat for _, flat in self._flat],
                    lr=recipe.lr,
                    weight_decay=recipe.weight_decay,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, lr: float) -> None:
        """One step of every part at the rate `lr`."""
        for kernel, flat in self._flat:
            flat.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        for part, share in zip(self.parts, self._shares, strict=True):
            for group in part.param_groups:
                group["lr"] = share * lr
            part.step()

    def state(self) -> dict[str, torch.Tensor]:
        """Every tensor of the parts' states by a name of its own; pairs with `restore`."""
        return {
            f"{at}.{index}.{key}": value if isinstance(value, torch.Tensor) else torch.tensor(value)
            for at, part in enumerate(self.parts)
            for index, values in part.state_dict()["state"].items()
            for key, value in values.items()
        }

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over what `state` gave."""
        for at, part in enumerate(self.parts):
            whole = part.state_dict()
            states: dict[int, dict[str, torch.Tensor]] = {}
            for name, value in tensors.items():
                which, index, key = name.split(".")
                if int(which) == at:
                    states.setdefault(int(index), {})[key] = value
            part.load_state_dict({**whole, "state": states})


def _hidden(model: torch.nn.Module) -> Iterator[torch.nn.Parameter]:
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    for name, p in model.named_parameters():
        if p.ndim >= 2 and id(p) not in embeddings and not any(part in name for part in _OUTER):
            yield p


def optimise(
    model: torch.nn.Module, loss_at: Callable[[int], torch.Tensor], recipe: Recipe, progress: Progress
) -> dict[str, torch.Tensor]:
    """Minimise `loss_at(step)` over the model's weights by `recipe`, within `progress`.

    The learning rate warms up over 4 % of the way and falls by a cosine to 2 %. The way is the larger of the
    shares of steps and of minutes used, so that a training cut by `minutes` still ends at a low rate.

    Args:
        model: changed in place.
        loss_at: the loss of a step; it must depend on the weights and the step's number alone, so that a
            training that was interrupted sees what it would have seen.
        recipe: steps, rates, optimizer, moving average.
        progress: limits, log, and the file in which the state is kept on the way.

    Returns:
        The weights to ship: their exponential moving average where `recipe.ema` > 0 (its decay warmed up as
        (1 + step) / (10 + step)), else the last ones.

    Raises:
        ValueError: the loss is not finite, or an unknown optimizer.
    """
    steps = recipe.steps if progress.steps is None else progress.steps
    optimizers = Optimizers(model, recipe)
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    live = model.state_dict()  # shares storage with the model
    first, before = _resume(progress, live, average, optimizers)
    began = kept = time.perf_counter()
    since, total = 0, 0.0
    every = max(1, min(50, steps // 4))
    model.train()
    done = first
    for step in range(first, steps):
        seconds = before + time.perf_counter() - began
        spent = 0.0 if progress.minutes is None else seconds / (60 * progress.minutes)
        if spent >= 1 and done:
            break
        rate = min(1.0, (step + 1) / max(1.0, 0.04 * steps)) * _cosine(max(step / steps, spent))
        loss = loss_at(step)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(recipe.lr * rate)
        _follow(average, live, recipe.ema, step)
        total, since = total + float(loss.detach()), since + 1
        done = step + 1
        if not math.isfinite(total):
            raise ValueError(f"the training of this recipe diverged at step {done}: its loss is not finite")
        if done % every == 0:
            progress.row(done, steps, total / since, before + time.perf_counter() - began)
            total, since = 0.0, 0
            if progress.keep is not None and time.perf_counter() - kept > KEEP_EVERY:
                keep(progress, done, before + time.perf_counter() - began, live, average, optimizers)
                kept = time.perf_counter()
    if since:
        progress.row(done, steps, total / since, before + time.perf_counter() - began)
    model.eval()
    return average if recipe.ema > 0 else {key: value.detach().clone() for key, value in live.items()}


def _cosine(way: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, way)))


@torch.no_grad()
def _follow(average: dict[str, torch.Tensor], live: dict[str, torch.Tensor], decay: float, step: int) -> None:
    if decay <= 0:
        return
    weight = 1 - min(decay, (1 + step) / (10 + step))
    moving = [key for key, value in live.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[key] for key in moving], [live[key] for key in moving], weight)
    for key in live.keys() - set(moving):
        average[key].copy_(live[key])


def keep(
    progress: Progress,
    step: int,
    seconds: float,
    live: dict[str, torch.Tensor],
    average: dict[str, torch.Tensor],
    optimizers: Optimizers,
) -> None:
    """Write the state after `step` to `progress.keep`, so that a stop at any moment leaves a whole file."""
    assert progress.keep is not None
    tensors = {f"live/{key}": value for key, value in live.items()}
    tensors |= {f"average/{key}": value for key, value in average.items()}
    tensors |= {f"optimizer/{key}": value for key, value in optimizers.state().items()}
    facts = {"step": step, "seconds": seconds, "log": progress.log, "identity": progress.identity}
    unfinished = progress.keep.with_suffix(".writing")
    # cloned, since tied weights share storage, which the format refuses
    copies = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
    save_file(copies, unfinished, metadata={"facts": json.dumps(facts)})
    unfinished.replace(progress.keep)


def _resume(
    progress: Progress,
    live: dict[str, torch.Tensor],
    average: dict[str, torch.Tensor],
    optimizers: Optimizers,
) -> tuple[int, float]:
    """Take over the state of an interrupted training that fits; the step to go on at and the seconds so far."""
    path = progress.keep
    if path is None or not path.exists():
        return 0, 0.0
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        identity = facts["identity"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        progress.say(f"{path.name} of an interrupted training cannot be read; starting anew")
        return 0, 0.0
    if identity != progress.identity:
        progress.say(f"{path.name} is of another training than this one; starting anew")
        return 0, 0.0
    with torch.no_grad():
        for prefix, state in (("live/", live), ("average/", average)):
            for key, value in state.items():
                value.copy_(tensors[prefix + key])
    start = len("optimizer/")
    optimizers.restore({key[start:]: t for key, t in tensors.items() if key.startswith("optimizer/")})
    progress.log[:] = facts["log"]
    progress.say(f"going on at step {facts['step']} of the training that was interrupted")
    return int(facts["step"]), float(facts["seconds"])
