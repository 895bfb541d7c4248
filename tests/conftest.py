"""Shared by all tests: where helper modules lie, and shapes in signatures checked at run time."""

from __future__ import annotations

import sys
from pathlib import Path

from jaxtyping import install_import_hook

HERE = Path(__file__).parent
for folder in (HERE, HERE / "verify", HERE / "methods" / "optim", HERE / "methods" / "diffusion"):
    sys.path.insert(0, str(folder))

install_import_hook("sillok.methods", "typecheck.check")
