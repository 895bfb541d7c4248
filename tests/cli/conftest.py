"""The toys of the engine's tests, for the command line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_path = Path(__file__).parents[1] / "verify" / "conftest.py"
_spec = importlib.util.spec_from_file_location("toy_conftest", _path)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["toy_conftest"] = _module
_spec.loader.exec_module(_module)
toy_package, toys = _module.toy_package, _module.toys
