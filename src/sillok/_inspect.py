"""What Inspect AI loads through its entry point: the provider ``sillok``, and the benchmarks' tasks ``sillok/<name>``."""

from sillok.methods.evals.omnidoc import omnidocbench
from sillok.methods.evals.video_arena import video_auto_arena
from sillok.testbeds.sim_model import sillok

__all__ = ["omnidocbench", "sillok", "video_auto_arena"]
