"""Sillok: Daily Papers digests made executable, their claims measured on your machine."""

__version__ = "0.1.0"
