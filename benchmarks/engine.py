"""Seconds that the engine adds to a run beyond the trial's own work, and beyond its process start and imports.

Runs a trial whose body does nothing, 60 runs in one warm worker, and divides what the verification took, less what
the same verification with the fewest runs (6) took, by the runs between them.

Run: python benchmarks/engine.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

CARD = """
id = "2401.0000{n}"
title = "Nothing"
authors = ["Nobody"]
published = "2024-01"
family = "nothing"
kind = "toy"
host = "none"
[[claims]]
id = "idle"
text = "Nothing."
trial = "nothing_trials.idle{n}"
scope = "Nothing."
"""
TRIALS = """
from sillok.verify import trial
def declare(n, seeds):
    @trial(paper=f"2401.0000{n}", claim="idle", arms=("a", "b"), measures={"x": ""}, minutes={"smoke": 1},
           fault="none", seeds=seeds)
    def body(run):
        return {"x": 1.0}
    body.name = f"nothing_trials.idle{n}"
    body.upheld_if(lambda paired: paired.ratio("x").at_most(0.5))
    return body
idle1, idle2 = declare(1, 3), declare(2, 33)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "nothing_cards").mkdir()
        (folder / "nothing_cards" / "__init__.py").write_text("")
        for n in (1, 2):
            (folder / "nothing_cards" / f"2401.0000{n}.toml").write_text(CARD.format(n=n))
        (folder / "nothing_trials.py").write_text(TRIALS)
        info = folder / "nothing-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[sillok.papers]\nnothing = nothing_cards\n")
        os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        sys.path.insert(0, name)
        import sillok

        seconds = []
        for n in (1, 2):
            best = float("inf")
            for turn in range(3):
                begin = time.perf_counter()
                sillok.verify(f"2401.0000{n}", scale="smoke", jobs=1, record=folder / f"{n}{turn}.sqlite")
                best = min(best, time.perf_counter() - begin)
            seconds.append(best)
    print(f"engine: 6 runs {seconds[0]:.2f} s, 66 runs {seconds[1]:.2f} s")
    print(f"engine: {(seconds[1] - seconds[0]) / 60 * 1e3:.0f} ms a run   (target 300)")


if __name__ == "__main__":
    main()
