"""Run by Alembic: migrates on the connection that it was handed, inside the transaction open there."""

from alembic import context

from sillok.record.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
