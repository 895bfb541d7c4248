"""Daily Papers digests: read and write."""
