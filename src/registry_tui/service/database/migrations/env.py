"""Alembic's environment: runs the migrations on the connection of `upgrade`."""

from alembic import context

from registry_tui.service.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
