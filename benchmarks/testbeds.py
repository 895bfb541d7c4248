"""Seconds and memory of `testbeds.load`, in a fresh process each (files already in the system's cache).

Run: python benchmarks/testbeds.py
"""

from __future__ import annotations

import json
import subprocess
import sys

from sillok import testbeds

PROBE = """
import json, resource, sys, time
name, size = sys.argv[1:]
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
import torch
start = peak()
begin = time.perf_counter()
from sillok import testbeds
testbeds.load(name, size)
first = time.perf_counter() - begin
begin = time.perf_counter()
testbeds.load(name, size)
print(json.dumps({"first": first, "again": time.perf_counter() - begin, "torch": start, "peak": peak()}))
"""


def main() -> None:
    print(
        f"{'testbed':18s} {'first load':>12s} {'again':>9s} {'memory':>10s}   (targets: 2 s, 300 MB beyond torch)"
    )
    for name, sizes in testbeds.available().items():
        for size in sizes:
            command = [sys.executable, "-c", PROBE, name, size]
            subprocess.run(command, check=True, capture_output=True)  # fills the system's cache
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            grown = found["peak"] - found["torch"]
            print(f"{name + ' ' + size:18s} {found['first']:10.2f} s {found['again']:7.3f} s {grown:7.0f} MB")


if __name__ == "__main__":
    main()
