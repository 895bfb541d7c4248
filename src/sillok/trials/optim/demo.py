"""DeMo against AdamW with gradient all-reduce: loss at equal steps, and the bytes that crossed the wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from sillok.methods.optim.demo import DeMo
from sillok.testbeds.corpus import Corpus
from sillok.verify import Measure, Paired, Run, Truth, trial
from sillok.verify.processes import Ranks, launch, wire_bytes

# Found before the trial for the two judged arms, on a seed that it does not use (100): the best validation loss
# after 800 steps among rates a factor of two apart, neither at the end of its range. The peers were not swept so:
# demo_k32 takes demo's rate, signum the best of three after 200 steps.
RATES = {"adamw": 1e-3, "demo": 1e-3, "demo_k32": 1e-3, "signum": 3e-4}
FACTORS = (0.5, 1.0, 2.0)
TOPK = {"demo": 8, "demo_k32": 32}


@dataclass(frozen=True)
class Spec:
    """What every rank is told."""

    arm: str
    seed: int
    steps: int
    batch: int
    seq_len: int
    windows: int
    rates: tuple[float, ...]
    drop_residual: bool


class Signum(torch.optim.Optimizer):
    """The sign of a momentum (Bernstein et al., 2018): what DeMo is without its compression."""

    def __init__(self, params: Iterator[Any], lr: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                p.sub_(buffer.sign(), alpha=group["lr"])


def optimizer_for(arm: str, model: torch.nn.Module, lr: float) -> torch.optim.Optimizer:
    """The arm's optimizer with the paper's settings."""
    if arm == "adamw":
        return torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1)
    if arm == "signum":
        return Signum(model.parameters(), lr=lr)
    return DeMo(model.parameters(), lr=lr, topk=TOPK[arm])


def cosine(step: int, steps: int) -> float:
    """Warm-up over a tenth of the steps, then a cosine to a tenth."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.55 + 0.45 * math.cos(math.pi * (step - warm) / max(1, steps - warm))


def train_once(ranks: Ranks, spec: Spec, lr: float) -> dict[str, Any]:
    """Train from the seed's weights at one learning rate; losses and bytes a step."""
    bed = Corpus("xs")  # its data and its shape: every seed trains weights of its own
    model = bed.build(spec.seed).train()
    optimizer = optimizer_for(spec.arm, model, lr)
    demo = optimizer if isinstance(optimizer, DeMo) else None
    payload = 0

    def count(state, bucket):  # DDP refuses annotations that are strings
        nonlocal payload
        payload += bucket.buffer().numel() * torch.bfloat16.itemsize
        return default_hooks.bf16_compress_hook(None, bucket)

    net: torch.nn.Module = model
    if demo is None:
        net = DistributedDataParallel(model)
        net.register_comm_hook(None, count)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, spec.steps))
    batches = bed.batches(
        "train", spec.batch * ranks.world, spec.seq_len, spec.seed, rank=ranks.rank, world=ranks.world
    )
    dist.barrier()
    before = wire_bytes() if ranks.private else 0
    curve = []
    for step in range(spec.steps):
        tokens = next(batches)
        optimizer.zero_grad()
        loss = net(tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if demo is not None:
            payload += demo.bytes_sent
            if spec.drop_residual:
                for state in demo.state.values():
                    state["momentum"].zero_()
        if step % max(1, spec.steps // 40) == 0:
            curve.append((step + 1, loss.item()))
    dist.barrier()
    wire = (wire_bytes() - before) / ranks.world / spec.steps if ranks.private else None
    out: dict[str, Any] = {
        "bytes": payload / spec.steps,
        "wire": wire,
        "curve": curve,
    }
    if ranks.rank == 0:
        out["val"] = bed.evaluate(model, "val", n=spec.windows, seq_len=256)
        out["loss"] = bed.evaluate(model, "test", n=spec.windows, seq_len=256)
    return out


def sweep(ranks: Ranks, spec: Spec) -> list[dict[str, Any]]:
    """`train_once` at every learning rate."""
    return [train_once(ranks, spec, lr) for lr in spec.rates]


@trial(
    paper="2411.19870",
    claim="traffic",
    arms=("adamw", "demo", "demo_k32", "signum"),
    peers=("demo_k32", "signum"),
    measures={
        "loss": Measure("nats/byte", "lower", text="test loss after the same steps"),
        "bytes": Measure("B/step", "lower", text="payload that a rank hands to the network, a step"),
        "wire": Measure(
            "B/step", "lower", timing=True, text="bytes on the wire for a rank, headers included"
        ),
    },
    minutes={"smoke": 0.4, "here": 8, "full": 120},
    needs=("optim",),
    seeds={"smoke": 3, "here": 5, "full": 5},
    fault="the residual is dropped: what was not sent is forgotten",
    cores=2,
)
def traffic(run: Run) -> dict[str, float]:
    """Loss of a byte-level language model at equal steps, and bytes a step, over two gloo ranks."""
    spec = Spec(
        arm=run.arm,
        seed=run.seed,
        steps=run.pick(smoke=6, here=800, full=1500),
        batch=run.pick(smoke=4, here=8, full=16),
        seq_len=run.pick(smoke=32, here=64, full=128),
        windows=run.pick(smoke=4, here=64, full=256),
        rates=tuple(RATES[run.arm] * f for f in run.pick(smoke=(1.0,), full=FACTORS)),
        drop_residual=run.fault,
    )
    results, _ = launch(sweep, 2, spec)
    best = min(range(len(results)), key=lambda i: results[i]["val"])
    chosen = results[best]
    steps, losses = zip(*chosen["curve"], strict=True)
    run.curve("training loss", steps, losses, x_label="step", y_label="nats/byte")
    for rate, result in zip(spec.rates, results, strict=True):
        run.note(f"lr {rate:g}: validation {result['val']:.4f}, test {result['loss']:.4f}")
    measured = {"loss": chosen["loss"], "bytes": chosen["bytes"]}
    return measured | ({"wire": chosen["wire"]} if chosen["wire"] is not None else {})


@traffic.upheld_if
def _(paired: Paired) -> Truth:
    # The size of the model is part of the ratio: its few vectors are cut into chunks of 64 instead of 4,096.
    return paired.ratio("bytes").at_most(1 / 50) & paired.ratio("loss").at_most(1.02)
