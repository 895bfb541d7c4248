"""Reading digests: entries per second, and peak memory over the size of the file.

    python benchmarks/reading.py [--megabytes 60]

Writes a synthetic archive of that size (invented text in the form and the proportions of a real one: Korean
summaries, about 1.6 kB an entry), then reads it in a fresh process per measurement. Memory is the process's
peak resident set less what it held after importing Sillok: the bytes, the text, the objects, all counted.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("What's New", "Technical Details", "Performance Highlights")


def synthetic(megabytes: float, seed: int = 0) -> str:
    """Return an archive of about that size in UTF-8: many digests of fifty entries."""
    draw = random.Random(seed)
    words = [
        "".join(chr(draw.randrange(0xAC00, 0xD7A3)) for _ in range(draw.randint(1, 5))) for _ in range(3000)
    ]
    words += ["Transformer", "(LoRA)", "<3B>", "`torch`", "1.", "85%"]
    pieces, size, index = [], 0, 0
    while size < megabytes * 1e6:
        day = index // 50
        if index % 50 == 0:
            date = f"{2020 + day // 336}-{day // 28 % 12 + 1:02d}-{day % 28 + 1:02d}"
            pieces.append(f"## Daily Papers ({date})\n\n")
        id = f"{2001 + index // 90000:04d}.{index % 90000 + 10000:05d}"
        lines = [f"### [Paper {index} on {draw.choice(words)}](https://arxiv.org/abs/{id})", ""]
        lines += [
            f"![](https://cdn.example.org/papers/{id}.png)",
            "",
            f"Vote: {draw.choice(['-', 3, 41])}",
            "",
        ]
        lines += ["Authors: " + ", ".join(f"Author {draw.randrange(9999)}" for _ in range(8)), ""]
        lines += [f"- ***{name}***: {' '.join(draw.choices(words, k=42))}." for name in NAMES]
        pieces.append("\n".join(lines) + "\n\n")
        size += len(pieces[-1].encode())
        index += 1
    return "".join(pieces)


def measure(path: Path) -> None:
    """Read a file and print entries, seconds, and peak memory in bytes (run in a process of its own)."""
    from sillok import digest

    digest.read_text("## Daily Papers (2020-01-01)\n\n### [A](https://arxiv.org/abs/2001.00001)\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    read = digest.read(path, max_bytes=2**31)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    entries = sum(len(d.entries) for d in (read if isinstance(read, list) else [read]))
    print(entries, seconds, (after - before) * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        measure(options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.md"
        path.write_text(synthetic(options.megabytes), "utf-8")
        size = path.stat().st_size
        rates, peaks, entries = [], [], 0
        for _ in range(options.repeat):
            command = [sys.executable, __file__, "--child", str(path)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            entries = int(output[0])
            rates.append(entries / float(output[1]))
            peaks.append(float(output[2]) / size)
    print(f"file: {size / 1e6:.1f} MB, {entries:,} entries")
    print(
        f"reading: {statistics.median(rates):,.0f} entries/s (median of {options.repeat}; wanted: over 2,000)"
    )
    print(f"memory: {statistics.median(peaks):.1f} times the file at the peak (wanted: below 20)")


if __name__ == "__main__":
    main()
