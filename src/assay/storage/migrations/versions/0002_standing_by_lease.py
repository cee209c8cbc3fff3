"""Revision 0002: a lease tells by itself whether it checks its person and whether its item is full.

How far a person has come is then read off one index; it took a look at the work of each of their leases.
"""

from alembic import op
from sqlalchemy import Boolean, Column, column, false, func, select, table, update

revision = "0002"
down_revision = "0001"

lease = table("lease", column("queue"), column("item"), column("is_check"), column("is_full"))
work = table("work", column("queue"), column("item"), column("is_check"), column("is_full"))


def upgrade() -> None:
    """Add the two columns, take them over from the works, and put them into the index of a person's leases."""
    op.drop_index("lease_by_state", "lease")
    op.add_column("lease", Column("is_check", Boolean, nullable=False, server_default=false()))
    op.add_column("lease", Column("is_full", Boolean, nullable=False, server_default=false()))
    for name in ("is_check", "is_full"):
        of_the_work = select(work.c[name]).where(work.c.queue == lease.c.queue, work.c.item == lease.c.item)
        op.execute(update(lease).values({name: func.coalesce(of_the_work.scalar_subquery(), lease.c[name])}))
    with op.batch_alter_table("lease", recreate="auto") as rebuilt:
        for name in ("is_check", "is_full"):
            rebuilt.alter_column(name, existing_type=Boolean(), existing_nullable=False, server_default=None)
    columns = ["queue", "annotator", "state", "turn", "round", "is_check", "is_full"]
    op.create_index("lease_by_state", "lease", columns)
