"""Runs version 1.0 of OmniDocBench's evaluation, from a checkout of it, in the way of its neighbour for 1.5."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("omnidocbench.py")))
