"""The one training loop of the testbeds: AdamW, warm-up and cosine, an optional moving average, a log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from sillok.testbeds.base import Recipe


@dataclass
class Progress:
    """How long training may take, and its log: rows of step, loss (mean since the last row) and seconds."""

    minutes: float | None = None
    steps: int | None = None  # overrides the recipe's, for training at a reduced size
    log: list[dict[str, float]] = field(default_factory=list)
    report: Callable[[str], None] | None = None

    def row(self, step: int, steps: int, loss: float, seconds: float) -> None:
        """Log one row, and report it."""
        self.log.append({"step": step, "loss": round(loss, 5), "seconds": round(seconds, 2)})
        if self.report is not None:
            self.report(f"step {step}/{steps} loss {loss:.4f} {seconds:.0f} s")


def fresh(build: Callable[[], Any], seed: int) -> Any:
    """`build()` with initial weights drawn from `seed`, the global generator left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def optimise(
    model: torch.nn.Module, loss_at: Callable[[int], torch.Tensor], recipe: Recipe, progress: Progress
) -> dict[str, torch.Tensor]:
    """Minimise `loss_at(step)` over the model's weights by `recipe`, within `progress`.

    The learning rate warms up over 4 % of the way and falls by a cosine to 2 %. The way is the larger of the
    shares of steps and of minutes used, so that a training cut by `minutes` still ends at a low rate.

    Returns:
        The weights to ship: their exponential moving average where `recipe.ema` > 0 (its decay warmed up as
        (1 + step) / (10 + step)), else the last ones.
    """
    steps = recipe.steps if progress.steps is None else progress.steps
    decay_free = [p for p in model.parameters() if p.ndim < 2]
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    groups = [{"params": decayed}, {"params": decay_free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, lr=recipe.lr, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
    )
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    live = model.state_dict()  # shares storage with the model
    began, done, since, total = time.perf_counter(), 0, 0, 0.0
    every = max(1, min(50, steps // 4))
    model.train()
    for step in range(steps):
        seconds = time.perf_counter() - began
        spent = 0.0 if progress.minutes is None else seconds / (60 * progress.minutes)
        if spent >= 1 and done:
            break
        way = max(step / steps, spent)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * min(1.0, (step + 1) / max(1.0, 0.04 * steps)) * _cosine(way)
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        _follow(average, live, recipe.ema, step)
        total, since = total + float(loss.detach()), since + 1
        done = step + 1
        if done % every == 0:
            progress.row(done, steps, total / since, time.perf_counter() - began)
            total, since = 0.0, 0
    if since:
        progress.row(done, steps, total / since, time.perf_counter() - began)
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
