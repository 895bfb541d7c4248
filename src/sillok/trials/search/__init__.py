"""Trials of the `search` family."""
