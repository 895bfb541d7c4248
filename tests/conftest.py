"""Shared by all tests: where helper modules lie."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
for folder in (HERE / "verify", HERE / "methods" / "optim", HERE / "methods" / "diffusion"):
    sys.path.insert(0, str(folder))
