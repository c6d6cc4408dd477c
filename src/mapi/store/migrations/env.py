"""What Alembic runs: the connection is handed over by `mapi.store.migrate`."""

from alembic import context

from mapi.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
