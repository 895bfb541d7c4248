"""Several ranks on one machine over gloo, with the bytes that really cross the wire."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import socket
import struct
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_private: bool | None = None  # whether this process's fork server lives in a network of its own


@dataclass(frozen=True)
class Ranks:
    """What a rank knows of its group.

    ``private`` says that nobody else uses the group's loopback device, so that `wire_bytes` means something.
    """

    rank: int
    world: int
    private: bool


def wire_bytes() -> int:
    """Bytes that the loopback device of this network has sent so far: payload, headers, acknowledgements."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    raise RuntimeError("there is no loopback device")


@contextlib.contextmanager
def _own_network() -> Iterator[bool]:
    """Start what is started inside in a new network with nothing but a loopback device, where that is allowed."""
    try:
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    except OSError:
        yield False
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        private = libc.unshare(_CLONE_NEWNET) == 0
        if private:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                request = struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING)
                fcntl.ioctl(control, _SIOCSIFFLAGS, request)
        yield private
    finally:
        libc.setns(before, 0)
        os.close(before)


def _context(preload: list[str]) -> Any:
    """A fork server that has imported the framework once, in a network of its own if possible."""
    global _private
    context = multiprocessing.get_context("forkserver")
    if _private is None:
        from multiprocessing import forkserver

        context.set_forkserver_preload(preload)
        with _own_network() as private:
            forkserver.ensure_running()
            _private = private
    return context


def _rank(
    target: Callable[..., Any],
    ranks: Ranks,
    store: str,
    seconds: float,
    answer: Connection,
    args: tuple[Any, ...],
) -> None:
    import torch
    import torch.distributed as dist

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=ranks.rank,
            world_size=ranks.world,
            timeout=timedelta(seconds=seconds),
        )
        answer.send(("result", target(ranks, *args)))
        dist.destroy_process_group()
    except BaseException as error:
        traceback.print_exc()
        answer.send(("error", f"{type(error).__name__}: {error}"))


def launch(target: Callable[..., Any], world: int, *args: Any, seconds: float = 1800.0) -> list[Any]:
    """Run ``target(ranks, *args)`` in ``world`` processes that form a gloo group; results in rank order.

    Args:
        target: a function of a module (it is pickled by name); its first argument is a `Ranks`.
        world: number of processes, each with one thread.
        seconds: how long all of it may take.

    Raises:
        ValueError: ``world`` below 1.
        RuntimeError: a rank raised, died or took too long; the others are killed.
    """
    if world < 1:
        raise ValueError(f"world must be at least 1, not {world}")
    context = _context(["torch", "torch.distributed", target.__module__])
    with tempfile.TemporaryDirectory(prefix="sillok-ranks-") as folder:
        store = str(Path(folder) / "store")
        processes, answers = [], []
        for rank in range(world):
            mine, theirs = context.Pipe(duplex=False)
            ranks = Ranks(rank, world, bool(_private))
            process = context.Process(target=_rank, args=(target, ranks, store, seconds, theirs, args))
            process.start()
            theirs.close()
            processes.append(process)
            answers.append(mine)
        try:
            return _collect(answers, seconds)
        finally:
            for process in processes:
                process.join(timeout=2)
                if process.is_alive():
                    process.kill()
                    process.join()


def _collect(answers: list[Connection], seconds: float) -> list[Any]:
    results: dict[int, Any] = {}
    waiting = {id(answer): rank for rank, answer in enumerate(answers)}
    while waiting:
        ready = wait([a for a in answers if id(a) in waiting], timeout=seconds)
        if not ready:
            raise RuntimeError(f"ranks {sorted(waiting.values())} did not end within {seconds:.0f} s")
        for answer in ready:
            rank = waiting.pop(id(answer))
            assert isinstance(answer, Connection)
            try:
                kind, value = answer.recv()
            except EOFError:
                raise RuntimeError(f"rank {rank} died") from None
            if kind == "error":
                raise RuntimeError(f"rank {rank}: {value}")
            results[rank] = value
    return [results[rank] for rank in range(len(answers))]
