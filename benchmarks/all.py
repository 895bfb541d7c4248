"""Every figure that the project holds itself to, one after the other: `make bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    for name in (
        "startup",
        "reading",
        "digest_texts",
        "runs",
        "engine",
        "testbeds",
        "shapes",
        "arith",
        "search",
        "digest_check",
        "evals",
        "omnidoc",
        "site",
    ):
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=True)


if __name__ == "__main__":
    main()
