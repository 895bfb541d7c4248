"""Benchmarks: published data, published scores reproduced and mended, and boards to stand on. Host: Inspect AI.

Every benchmark is one `benchmark.Benchmark` (what differs: its records, its prompt, how a reply is graded and how
grades are pooled) and one Inspect task made of it, ``sillok/<name>``. Scoring of saved predictions, policies for
missing ones, counts, leaderboards and parity with the authors' scripts are shared.
"""
