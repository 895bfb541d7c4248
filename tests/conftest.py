"""Shared by all tests: where helper modules lie, and shapes in signatures checked at run time."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from jaxtyping import install_import_hook

HERE = Path(__file__).parent
for folder in (HERE, HERE / "verify", HERE / "methods" / "optim", HERE / "methods" / "diffusion"):
    sys.path.insert(0, str(folder))

# Started in the background by a shell, the suite would hand an ignored Ctrl-C on to the commands that it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

install_import_hook("sillok.methods", "typecheck.check")
