"""Trials of the `attention` family."""
