"""DeMo: data-parallel training that exchanges the strongest frequencies of a local momentum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Int
from torch import Tensor

_DTYPES = (torch.int64, torch.int32, torch.int16)


def divisor(size: int, limit: int) -> int:
    """The largest divisor of ``size`` that is at most ``limit``."""
    return next(d for d in range(min(size, limit), 0, -1) if size % d == 0)


def dct_matrix(
    n: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Float[Tensor, "{n} {n}"]:
    """The orthonormal DCT-II as a matrix (n, n): row k holds frequency k. Computed in float64."""
    i = torch.arange(n, dtype=torch.float64)
    rows = torch.cos(math.pi * (2 * i[None, :] + 1) * i[:, None] / (2 * n)) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows.to(dtype=dtype, device=device)


class ChunkedDCT:
    """Orthonormal DCT-II over chunks of a tensor.

    A vector is cut into chunks of s elements, a matrix into blocks of s x s, where s is on each axis the
    largest divisor at most ``chunk``. A tensor of more axes is taken as the matrix (first axis, all others).
    A prime size larger than ``chunk`` gives chunks of one element: nothing is compressed there.
    """

    def __init__(self, chunk: int = 64):
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, not {chunk!r}")
        self.chunk = chunk
        self._bases: dict[tuple[int, torch.dtype, torch.device], Tensor] = {}

    def _basis(self, n: int, like: Tensor) -> Tensor:
        key = (n, like.dtype, like.device)
        if key not in self._bases:
            self._bases[key] = dct_matrix(n, like.dtype, like.device)
        return self._bases[key]

    def block(self, shape: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of one chunk of a tensor of this shape; a vector has one row."""
        rows, columns = self._matrix(shape)
        return divisor(rows, self.chunk) if len(shape) > 1 else 1, divisor(columns, self.chunk)

    @staticmethod
    def _matrix(shape: Sequence[int]) -> tuple[int, int]:
        if len(shape) <= 1:
            return 1, math.prod(shape)
        return shape[0], math.prod(shape[1:])

    def encode(self, x: Float[Tensor, ...]) -> Float[Tensor, "chunks elements"]:
        """Coefficients (number of chunks, elements of a chunk) of a tensor of any shape."""
        rows, columns = self._matrix(x.shape)
        a, b = self.block(x.shape)
        blocks = x.reshape(rows // a, a, columns // b, b).transpose(1, 2)
        spectrum = self._basis(a, x) @ blocks @ self._basis(b, x).T if a > 1 else blocks @ self._basis(b, x).T
        return spectrum.reshape(-1, a * b)

    def decode(
        self, coefficients: Float[Tensor, "chunks elements"], shape: Sequence[int]
    ) -> Float[Tensor, ...]:
        """The tensor of shape ``shape`` that has these coefficients."""
        rows, columns = self._matrix(shape)
        a, b = self.block(shape)
        spectrum = coefficients.reshape(rows // a, columns // b, a, b)
        blocks = spectrum @ self._basis(b, coefficients)
        if a > 1:
            blocks = self._basis(a, coefficients).T @ blocks
        return blocks.transpose(1, 2).reshape(tuple(shape))


def topk_compress(
    x: Float[Tensor, "rows columns"], k: int
) -> tuple[Int[Tensor, "rows kept"], Float[Tensor, "rows kept"]]:
    """Indices and values, each (rows, min(k, columns)), of the k largest magnitudes of every row of x."""
    index = x.abs().topk(min(k, x.shape[-1]), dim=-1, sorted=False).indices
    return index, x.gather(-1, index)


def scatter_mean(
    idx_list: Sequence[Int[Tensor, "rows kept"]],
    val_list: Sequence[Float[Tensor, "rows kept"]],
    shape: Sequence[int],
) -> Float[Tensor, "rows columns"]:
    """Put coefficients of several senders together: each place is the mean over those who sent it.

    Args:
        idx_list, val_list: one tensor (rows, k) a sender; an index occurs once in a row.
        shape: (rows, columns) of the result; places that nobody sent are 0.

    Senders are added in their order, so that every rank gets the same bits, on a GPU too.
    """
    total = torch.zeros(tuple(shape), dtype=val_list[0].dtype, device=val_list[0].device)
    count = torch.zeros_like(total)
    for index, value in zip(idx_list, val_list, strict=True):
        total.scatter_add_(-1, index, value)
        count.scatter_add_(-1, index, torch.ones_like(value))
    return total / count.clamp_(min=1)


class DeMo(torch.optim.Optimizer):
    r"""Decoupled momentum: each rank keeps its own momentum and sends its strongest frequencies only.

    Use it without gradient all-reduce: under `DistributedDataParallel` run backward in ``no_sync()``. In one
    process it is the same algorithm with one sender. Every rank must hold the same parameters in the same
    order; they stay equal bit for bit, since all ranks apply the same update.

    Args:
        params: parameters or parameter groups.
        lr: step size. It enters the momentum (step 2) and the update, so a schedule rescales what is added
            to the momentum and not what is in it.
        momentum: decay of the momentum, in [0, 1).
        topk: coefficients that are sent of each chunk.
        chunk: longest side of a chunk, in elements.
        weight_decay: decoupled weight decay.
        sign: take the sign of the exchanged momentum; False applies it as it is.
        process_group: ranks that exchange; default: the global group where there is one.
        index_dtype: type of an index on the wire: int64 as published, int32 or int16 where a chunk fits.
        error_feedback: subtract what was sent from the momentum (step 5); False is an ablation.

    Attributes:
        bytes_sent, bytes_received: payload of this rank in the last step, in bytes. Received is what the
            other ranks sent.

    Raises:
        ValueError: an argument outside its range, or a chunk that ``index_dtype`` cannot index.

    Reference:
        B. Peng, J. Quesnelle, D. P. Kingma, "DeMo: Decoupled Momentum Optimization", arXiv 2411.19870,
        algorithm 1.

    Differs from the paper:
        All parameters travel in two collectives a step instead of two for each parameter, with the same
        payload. Tensors of more than two axes are transformed as matrices (first axis, all others).
        A parameter without a gradient counts as having a gradient of 0 where there are several ranks, so
        that ranks which touched different parameters stay in step.
    """

    bytes_sent: int
    bytes_received: int

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 4e-4,
        *,
        momentum: float = 0.999,
        topk: int = 32,
        chunk: int = 64,
        weight_decay: float = 0.0,
        sign: bool = True,
        process_group: dist.ProcessGroup | None = None,
        index_dtype: torch.dtype = torch.int64,
        error_feedback: bool = True,
    ):
        if lr < 0:
            raise ValueError(f"lr must be at least 0, not {lr!r}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must lie in [0, 1), not {momentum!r}")
        if topk < 1:
            raise ValueError(f"topk must be at least 1, not {topk!r}")
        if weight_decay < 0:
            raise ValueError(f"weight_decay must be at least 0, not {weight_decay!r}")
        if index_dtype not in _DTYPES:
            raise ValueError(f"index_dtype must be one of {_DTYPES}, not {index_dtype!r}")
        if chunk * chunk - 1 > torch.iinfo(index_dtype).max:
            raise ValueError(f"index_dtype {index_dtype} cannot index a chunk of {chunk} x {chunk}")
        defaults = {"lr": lr, "momentum": momentum, "topk": topk, "weight_decay": weight_decay, "sign": sign}
        super().__init__(params, defaults)
        self._transform = ChunkedDCT(chunk)
        self._group = process_group
        self._index_dtype = index_dtype
        self._error_feedback = error_feedback
        self.bytes_sent = self.bytes_received = 0

    @property
    def _world(self) -> int:
        return dist.get_world_size(self._group) if dist.is_available() and dist.is_initialized() else 1

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Make one step; a closure, if given, re-evaluates the model and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        world = self._world
        todo = [
            (p, group)
            for group in self.param_groups
            for p in group["params"]
            if p.requires_grad and (p.grad is not None or world > 1)
        ]
        sent = [self._compress(p, group) for p, group in todo]
        received = self._exchange(sent, world)
        for (p, group), senders in zip(todo, received, strict=True):
            self._apply(p, group, senders)
        return loss

    def _compress(self, p: Tensor, group: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Steps 1 to 5 for one parameter: indices and values to send."""
        state = self.state[p]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32))
        momentum = state["momentum"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        momentum.mul_(group["momentum"])
        if p.grad is not None:
            momentum.add_(p.grad, alpha=group["lr"])
        spectrum = self._transform.encode(momentum)
        index, value = topk_compress(spectrum, group["topk"])
        if self._error_feedback:
            kept = torch.zeros_like(spectrum).scatter_(-1, index, value)
            momentum.sub_(self._transform.decode(kept, p.shape))
        return index, value

    def _exchange(self, sent: list[tuple[Tensor, Tensor]], world: int) -> list[list[tuple[Tensor, Tensor]]]:
        """Step 6, the all-gather: for each parameter the (index, value) of every rank, in rank order."""
        self.bytes_sent = sum(
            index.numel() * self._index_dtype.itemsize + value.numel() * value.element_size()
            for index, value in sent
        )
        self.bytes_received = self.bytes_sent * (world - 1)
        if world == 1 or not sent:
            return [[pair] for pair in sent]
        indices = self._gather(torch.cat([i.flatten().to(self._index_dtype) for i, _ in sent]), world)
        values = self._gather(torch.cat([v.flatten() for _, v in sent]), world)
        sizes = [index.numel() for index, _ in sent]
        per_rank = [
            list(zip(i.long().split(sizes), v.split(sizes), strict=True))
            for i, v in zip(indices, values, strict=True)
        ]
        return [
            [(rank[n][0].view_as(index), rank[n][1].view_as(index)) for rank in per_rank]
            for n, (index, _) in enumerate(sent)
        ]

    def _gather(self, flat: Tensor, world: int) -> list[Tensor]:
        parts = [torch.empty_like(flat) for _ in range(world)]
        dist.all_gather(parts, flat, group=self._group)
        return parts

    def _apply(self, p: Tensor, group: dict[str, Any], senders: list[tuple[Tensor, Tensor]]) -> None:
        """Step 7 for one parameter."""
        chunks = p.numel() // math.prod(self._transform.block(p.shape))
        shape = (chunks, p.numel() // chunks)
        mean = scatter_mean([i for i, _ in senders], [v for _, v in senders], shape)
        update = self._transform.decode(mean, p.shape)
        if group["sign"]:
            p.sub_(update.sign_().to(p.dtype), alpha=group["lr"])
        else:
            p.sub_(update.to(p.dtype))  # the step size is in the momentum already
