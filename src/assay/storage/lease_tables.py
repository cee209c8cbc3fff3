"""Lease tables: the queues of items and who holds which, as `storage.leases` reads and writes them."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table

from assay.storage.record_tables import metadata

work_table = Table(
    "work",
    metadata,
    Column("queue", String(80), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("split", String(20), nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("wanted", Integer, nullable=True),  # None: as many as come
    Column("taken", Integer, nullable=False),
    Column("is_full", Boolean, nullable=False),
    Column("is_check", Boolean, nullable=False),
    Index("work_in_order", "queue", "is_check", "is_full", "place"),
)
lease_table = Table(
    "lease",
    metadata,
    Column("queue", String(80), primary_key=True),
    Column("annotator", String(200), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("state", String(10), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("done", Integer, nullable=True),
    Column("until", Float, nullable=True),
    Column("answer", String(64), nullable=True),
    # of the work, repeated here: to look both up for each of a person's leases takes longer than to serve an item
    Column("is_check", Boolean, nullable=False),
    Column("is_full", Boolean, nullable=False),
    Index("lease_by_item", "queue", "item"),
    Index("lease_by_end", "queue", "state", "until"),
    # what a person was given last and finished last, however much they have answered
    Index("lease_by_turn", "queue", "annotator", "turn"),
    Index("lease_by_done", "queue", "annotator", "done"),
    Index("lease_by_state", "queue", "annotator", "state", "turn", "round", "is_check", "is_full"),
)
# Queues whose works are of different levels have a row for each of their works here, and other queues none. It repeats
# what the order of a level is read from: to pass over a million works of other levels takes longer than to serve one.
level_table = Table(
    "work_level",
    metadata,
    Column("queue", String(80), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("is_check", Boolean, nullable=False),
    Column("level", Integer, nullable=False),
    Column("is_full", Boolean, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("level_in_order", "queue", "is_check", "level", "is_full", "place"),
)
level_tally_table = Table(
    "level_tally",
    metadata,
    Column("queue", String(80), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("items", Integer, nullable=False),
    Column("full", Integer, nullable=False),
)
tally_table = Table(  # counted as it changes: to count a million items takes longer than to serve one
    "queue_tally",
    metadata,
    Column("queue", String(80), primary_key=True),
    Column("items", Integer, nullable=False),
    Column("full", Integer, nullable=False),
)
