"""Alembic's migrations of the record, run by `sillok.record.migrate`."""
