"""Optimizers, federated training, scaling laws: hosts `torch.optim` and `torch.distributed`."""

from sillok.methods.optim.demo import DeMo

__all__ = ["DeMo"]
