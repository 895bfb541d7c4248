"""Trials of the `optim` family."""
