"""Run a function in a process of its own, with Triton's interpreter or without, and get its tensors back.

``TRITON_INTERPRET`` counts when Triton is first imported, which another test may have done long ago.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path(__file__).parent
SOURCES = FOLDER.parents[2] / "src"


def in_process(function: str, folder: Path, *, interpret: bool, seconds: float = 300) -> dict[str, Tensor]:
    """What ``function`` ("module:name", without arguments, of this folder) returns: a mapping to tensors."""
    out = folder / "out.safetensors"
    env = dict(os.environ, OMP_NUM_THREADS="1", TRITON_CACHE_DIR=str(folder / "cache"))
    env["PYTHONPATH"] = os.pathsep.join([str(SOURCES), str(FOLDER), env.get("PYTHONPATH", "")])
    env.pop("TRITON_INTERPRET", None)
    if interpret:
        env["TRITON_INTERPRET"] = "1"
    command = [sys.executable, str(Path(__file__)), function, str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return load_file(out)


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    found = getattr(importlib.import_module(module), name)()
    save_file({key: value.contiguous() for key, value in found.items()}, sys.argv[2])
