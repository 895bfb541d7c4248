"""Helper modules of the attention tests lie here, where other processes find them too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def as_users_run_it() -> Iterator[None]:
    """Signatures are not checked, so that what is wrong reaches the function's own checks."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
