"""Alembic's entry: runs the migrations on the connection that it is handed, in that connection's transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
