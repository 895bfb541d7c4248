"""Helper modules of the attention tests lie here, where other processes find them too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
