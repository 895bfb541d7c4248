"""Trials of benchmarks: do they do what their papers say?"""
