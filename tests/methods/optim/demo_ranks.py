"""What the ranks of the DeMo tests do: a module of its own, so that other processes can import it."""

from __future__ import annotations

import torch
import torch.distributed as dist

from sillok.methods.optim.demo import DeMo
from sillok.verify.processes import Ranks, wire_bytes


def train(ranks: Ranks, steps: int, topk: int) -> dict[str, object]:
    """Ranks with the same weights and different data; weights, momentum and counters at the end."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Tanh(), torch.nn.Linear(64, 8))
    data = torch.Generator().manual_seed(100 + ranks.rank)
    optimizer = DeMo(model.parameters(), lr=1e-2, topk=topk, chunk=16)
    before = wire_bytes()
    for _ in range(steps):
        x = torch.randn(16, 32, generator=data)
        optimizer.zero_grad()
        (model(x) - x[:, :8]).square().mean().backward()
        optimizer.step()
    dist.barrier()
    return {
        "weights": [p.detach().numpy().copy() for p in model.parameters()],
        "momentum": [optimizer.state[p]["momentum"].numpy().copy() for p in model.parameters()],
        "sent": optimizer.bytes_sent,
        "received": optimizer.bytes_received,
        "wire": wire_bytes() - before,
        "private": ranks.private,
    }


def uneven(ranks: Ranks) -> list[object]:
    """Rank 1 has no gradient for the second parameter; both ranks must stay in step."""
    a, b = torch.nn.Parameter(torch.zeros(16)), torch.nn.Parameter(torch.zeros(16))
    optimizer = DeMo([a, b], lr=0.1, topk=4, chunk=16)
    a.grad = torch.full((16,), 1.0 + ranks.rank)
    if ranks.rank == 0:
        b.grad = torch.linspace(-1, 1, 16)
    optimizer.step()
    return [a.detach().numpy().copy(), b.detach().numpy().copy()]


def fail(ranks: Ranks) -> None:
    """One rank raises while the other waits for it."""
    if ranks.rank == 1:
        raise ValueError("rank one has enough")
    dist.barrier()
