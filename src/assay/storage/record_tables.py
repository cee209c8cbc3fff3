"""Record tables: the rows of records, and the schema version, as `storage.database` reads and writes them.

All tables of the database are in `metadata`, those of `storage.lease_tables` too.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()
record_table = Table(
    "record",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # compared by bytes, as SQLite does, so that a server's language does not matter to a prefix
    Column("id", String(64).with_variant(String(64, collation="C"), "postgresql"), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("split", String(20), nullable=True),
    Column("subject", String(200), nullable=True),
    Column("body", Text, nullable=False),
    Index("record_identity", "kind", "id", unique=True),
    Index("record_by_split", "kind", "split", "seq"),
    Index("record_by_subject", "kind", "subject", "seq"),
)
# The number of the revision, for an Assay of before there were revisions: it opens version 1 alone.
schema_table = Table("schema_version", metadata, Column("version", Integer, primary_key=True))
