"""Optimizers, federated training, scaling laws: hosts `torch.optim` and `torch.distributed`."""
