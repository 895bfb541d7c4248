"""Seconds to `import sillok` and to `sillok --help`, medians over fresh processes, beside an empty Python.

Run: python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def median(command: list[str], repeats: int = 15) -> float:
    """Median wall seconds of a command, after one warm-up."""
    seconds = []
    for turn in range(repeats + 1):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        if turn:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def main() -> None:
    empty = median([sys.executable, "-c", "pass"])
    imported = median([sys.executable, "-c", "import sillok"])
    helped = median([sys.executable, "-m", "sillok.cli", "--help"])
    print(f"python -c pass         {empty * 1e3:6.0f} ms")
    print(f"import sillok          {(imported - empty) * 1e3:6.0f} ms beyond that   (target 100)")
    print(f"sillok --help          {helped * 1e3:6.0f} ms in all         (target 400)")


if __name__ == "__main__":
    main()
