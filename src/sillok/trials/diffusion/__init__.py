"""Trials of the `diffusion` family."""
