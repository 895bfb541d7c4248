"""The trial contract, planning, workers, statistics, verdicts, reports."""
