"""Environment: runs the revisions on the connection that it is handed, inside that connection's transaction.

Alembic runs this file by its path, and under a name of its own.
"""

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

from assay.storage.record_tables import schema_table


def run() -> None:
    """Take the steps that Alembic was asked for."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, transactional_ddl=True, on_version_apply=_state_version)
    context.run_migrations()


def _state_version(ctx: MigrationContext, step: MigrationInfo, heads: object, run_args: object) -> None:
    """State the revision's number where an Assay of before there were revisions looks: it opens no later one."""
    if ctx.connection is not None and step.up_revision_id is not None:
        ctx.connection.execute(schema_table.delete())
        ctx.connection.execute(schema_table.insert().values(version=int(step.up_revision_id)))


if __name__ == "env_py":
    run()
