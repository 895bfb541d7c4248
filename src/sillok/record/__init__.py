"""The record: runs, verdicts, papers and digests in SQLite or PostgreSQL."""
