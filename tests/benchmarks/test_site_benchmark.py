"""The site's benchmark in a short form: it builds, asks, counts and exports; nothing is said of times."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_benchmark_of_the_site_asks_without_an_error() -> None:
    short = ("--papers", "60", "--runs", "40", "--rate", "10", "--seconds", "1.2", "--export", "0")
    out = subprocess.run(
        [sys.executable, str(BENCHMARKS / "site.py"), *short], capture_output=True, text=True, timeout=300
    )
    assert out.returncode == 0, out.stderr
    assert "built 60 papers and 40 runs" in out.stdout
    for kind in ("today", "paper", "search"):
        assert re.search(rf"^{kind}: 4 requests at 10/s: p50 [\d.]+ ms, p95 [\d.]+ ms", out.stdout, re.M)
    assert "errors: 0" in out.stdout
    sent = re.search(r"first page without pictures: ([\d.]+) KB sent, ([\d.]+) KB unpacked", out.stdout)
    assert sent is not None and 1 < float(sent[1]) < float(sent[2]) < 100
    assert '"site",' in (BENCHMARKS / "all.py").read_text(encoding="utf-8"), "`make bench` runs it"
