"""Revision 0001: the tables as they were before there were revisions.

In a database of then it makes the tables and indexes that are not there yet, for each was made when first needed.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
)

from assay.records.errors import StorageError, explain

revision = "0001"
down_revision = None

tables = MetaData()
Table(
    "record",
    tables,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64).with_variant(String(64, collation="C"), "postgresql"), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("split", String(20), nullable=True),
    Column("subject", String(200), nullable=True),
    Column("body", Text, nullable=False),
    Index("record_identity", "kind", "id", unique=True),
    Index("record_by_split", "kind", "split", "seq"),
    Index("record_by_subject", "kind", "subject", "seq"),
)
Table("schema_version", tables, Column("version", Integer, primary_key=True))
Table(
    "work",
    tables,
    Column("queue", String(80), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("split", String(20), nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("wanted", Integer, nullable=True),
    Column("taken", Integer, nullable=False),
    Column("is_full", Boolean, nullable=False),
    Column("is_check", Boolean, nullable=False),
    Index("work_in_order", "queue", "is_check", "is_full", "place"),
)
Table(
    "lease",
    tables,
    Column("queue", String(80), primary_key=True),
    Column("annotator", String(200), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("state", String(10), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("done", Integer, nullable=True),
    Column("until", Float, nullable=True),
    Column("answer", String(64), nullable=True),
    Index("lease_by_item", "queue", "item"),
    Index("lease_by_end", "queue", "state", "until"),
    Index("lease_by_turn", "queue", "annotator", "turn"),
    Index("lease_by_done", "queue", "annotator", "done"),
    Index("lease_by_state", "queue", "annotator", "state", "turn"),
)
Table(
    "work_level",
    tables,
    Column("queue", String(80), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("is_check", Boolean, nullable=False),
    Column("level", Integer, nullable=False),
    Column("is_full", Boolean, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("level_in_order", "queue", "is_check", "level", "is_full", "place"),
)
Table(
    "level_tally",
    tables,
    Column("queue", String(80), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("items", Integer, nullable=False),
    Column("full", Integer, nullable=False),
)
Table(
    "queue_tally",
    tables,
    Column("queue", String(80), primary_key=True),
    Column("items", Integer, nullable=False),
    Column("full", Integer, nullable=False),
)


def upgrade() -> None:
    """Make what is not there. Raises StorageError where a table of one of these names has other columns."""
    connection = op.get_bind()
    tables.create_all(connection)
    for table in tables.tables.values():
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    inspector = inspect(connection)
    faults = [
        f"{table.name} with {', '.join(sorted(found))}"
        for table in tables.tables.values()
        if (found := {column["name"] for column in inspector.get_columns(table.name)}) != set(table.columns.keys())
    ]
    if faults:
        todo = "give Assay a database of its own, or open this one with the Assay version that wrote it"
        expected = f"the tables of schema version {int(revision)}"
        raise StorageError(explain(expected=expected, got="; ".join(faults), do=todo))
