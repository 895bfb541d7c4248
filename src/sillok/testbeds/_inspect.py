"""What Inspect AI loads through its entry point: the provider ``sillok``."""

from sillok.testbeds.sim_model import sillok

__all__ = ["sillok"]
