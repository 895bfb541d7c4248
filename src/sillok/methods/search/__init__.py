"""Test-time compute, tree search, planning: host Inspect AI."""
