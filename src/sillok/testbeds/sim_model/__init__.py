"""A simulated language model and judge with stated error rates, as an ordinary Inspect model without any network.

It answers questions, takes choices, compares, scores and verifies, each rightly with a stated probability:
what an algorithm over language models does to known rates can then be held against theory. The provider is
registered as ``sillok/simulated``; `simulated_model` makes one in Python and describes every argument.
"""

from sillok.testbeds.sim_model.provider import SimulatedAPI, sillok, simulated_model
from sillok.testbeds.sim_model.rates import describe, exhibits, measured_rates

__all__ = ["SimulatedAPI", "describe", "exhibits", "measured_rates", "sillok", "simulated_model"]
