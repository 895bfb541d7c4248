"""What machine this is, and with which versions a run was made."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import sillok

_REPORTED = (
    *("numpy", "scipy", "torch", "triton", "diffusers", "transformers", "trl", "peft"),
    *("inspect-ai", "scikit-learn", "safetensors", "ray"),
)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith(("model name", "Model", "cpu model")):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """Names of the CUDA devices, from the driver's own tool, so that no framework is imported."""
    try:
        out = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in out.stdout.splitlines() if line.strip()] if out.returncode == 0 else []


@functools.lru_cache
def machine(device: str = "cpu") -> dict[str, Any]:
    """The hardware and the operating system; ``id`` stands for the hardware and the device that is used.

    Runs on the processor and on the GPU of one computer are runs of two machines: nothing pairs them.
    """
    import psutil

    hardware = {
        "cpu": _processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": _gpus(),
        "arch": platform.machine(),
        "system": platform.system(),
    }
    digest = hashlib.sha256(json.dumps(hardware, sort_keys=True).encode()).hexdigest()
    name = f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gb']} GB"
    if hardware["gpu"]:
        name += ", " + ", ".join(gpu.split(",")[0] for gpu in _gpus())
    if device != "cpu":
        name += f" (runs on {device})"
    id = digest[:12] + ("" if device == "cpu" else f"-{device.partition(':')[0]}")
    return {"id": id, "name": name, **hardware, "device": device, "release": platform.release()}


@functools.lru_cache
def commit() -> str | None:
    """The commit of the checkout that Sillok runs from, with ``+`` when it was changed; None elsewhere."""
    root = Path(sillok.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        out = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.stdout.strip() or None


def versions(device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """Versions of what a run stands on, for the run's own fingerprint."""
    found: dict[str, Any] = {"sillok": sillok.__version__, "python": platform.python_version()}
    for name in _REPORTED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"commit": commit(), "device": device, "threads": threads}
