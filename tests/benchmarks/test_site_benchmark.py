"""The site's benchmark in a short form: it builds, asks, counts and exports; nothing is said of times."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sillok.record import Record

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_benchmark_of_the_site_asks_without_an_error(tmp_path: Path) -> None:
    short = ("--papers", "60", "--runs", "40", "--rate", "10", "--seconds", "1.2", "--export", "0")
    out = subprocess.run(
        [sys.executable, str(BENCHMARKS / "site.py"), *short],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"SILLOK_BENCH": str(tmp_path)},
    )
    assert out.returncode == 0, out.stderr
    assert "built 60 papers and 40 runs" in out.stdout
    (kept,) = tmp_path.glob("*.sqlite")
    with Record.open(kept) as record:
        paper = record.paper("1001.00059")
        assert paper is not None and len(record.runs()) == 40
        assert paper.id in [hit.id for hit in record.search(paper.title)], "the index was made at the end"
        record.add_paper("1", title="Xylophone", authors=[])
        assert [hit.id for hit in record.search("xylophone")] == ["1"], "and is kept from then on"
    for kind in ("today", "paper", "search"):
        assert re.search(rf"^{kind}: 4 requests at 10/s: p50 [\d.]+ ms, p95 [\d.]+ ms", out.stdout, re.M)
    assert "errors: 0" in out.stdout
    sent = re.search(r"first page without pictures: ([\d.]+) KB sent, ([\d.]+) KB unpacked", out.stdout)
    assert sent is not None and 1 < float(sent[1]) < float(sent[2]) < 100
    assert '"site",' in (BENCHMARKS / "all.py").read_text(encoding="utf-8"), "`make bench` runs it"
