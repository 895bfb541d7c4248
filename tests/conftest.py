"""Shared by all tests: where helper modules lie, and shapes in signatures checked at run time."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

HERE = Path(__file__).parent
for folder in (HERE, HERE / "verify", HERE / "methods" / "optim", HERE / "methods" / "diffusion"):
    sys.path.insert(0, str(folder))

# Started in the background by a shell, the suite would hand an ignored Ctrl-C on to the commands that it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

install_import_hook("sillok.methods", "typecheck.check")


def pytest_configure(config: pytest.Config) -> None:
    """Processes that share the cores use one thread each: OpenBLAS's and OpenMP's wait by spinning.

    Two processes of two threads on two cores kept one test, of 2.5 s by itself, for 98 s here and for over 600 s in CI.
    """
    if config.getoption("numprocesses", None):
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")
