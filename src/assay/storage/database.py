"""Record store: keeps records in SQLite (WAL) or PostgreSQL, append-only, found by kind, split and subject."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from assay.records.errors import StorageError, explain
from assay.records.record import Record
from assay.storage.wal import use_wal

R = TypeVar("R", bound=Record)

SCHEMA_VERSION = 1

metadata = MetaData()
record_table = Table(
    "record",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("split", String(20), nullable=True),
    Column("subject", String(200), nullable=True),
    Column("body", Text, nullable=False),
    Index("record_identity", "kind", "id", unique=True),
    Index("record_by_split", "kind", "split", "seq"),
    Index("record_by_subject", "kind", "subject", "seq"),
)
schema_table = Table("schema_version", metadata, Column("version", Integer, primary_key=True))


class RecordStore:
    """Append-only store of records. Putting the same record twice is the same as putting it once.

    `engine` is for this room's other tables, which must change in one transaction with records.

    Raises StorageError when the database cannot be opened or written, or was made by another schema version.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        with storage_errors(url):
            self._prepare(url)

    def put(self, record: Record, *, split: str | None = None, subject: str | None = None) -> str:
        """Store one record and return its identity."""
        self.put_all([(record, split, subject)])
        return record.id

    def put_all(self, rows: Iterable[tuple[Record, str | None, str | None]]) -> int:
        """Store (record, split, subject) rows in one transaction, all or nothing; returns how many were new."""
        values = [row_of(record, split, subject) for record, split, subject in rows]
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        added = 0
        with storage_errors("the database"), self.engine.begin() as connection:
            for start in range(0, len(values), 500):
                statement = dialect.insert(record_table).values(values[start : start + 500]).on_conflict_do_nothing()
                added += connection.execute(statement).rowcount
            if added < len(values):
                _refuse_moves(connection, values)
        return added

    def get(self, kind: type[R], record_id: str) -> R:
        """The record of this kind with this identity, or the only one that starts with these digits."""
        query = select(record_table.c.body).where(record_table.c.kind == kind.kind)
        if not record_id:
            todo = "name one; `assay init --show` says what there is"
            raise StorageError(explain(expected=f"the id of a {kind.kind}", got="an empty one", do=todo))
        query = query.where(record_table.c.id.startswith(record_id, autoescape=True)).limit(2)
        with storage_errors("the database"), self.engine.connect() as connection:
            bodies = [row.body for row in connection.execute(query)]
        if len(bodies) != 1:
            got = "none" if not bodies else "several"
            todo = "list what there is with `assay init --show`, or check the id"
            raise StorageError(explain(expected=f"one {kind.kind} {record_id[:12]!r}", got=got, do=todo))
        record = _parse(kind, bodies[0])
        if not record.id.startswith(record_id):
            todo = "restore the database from a backup; somebody changed the row"
            got = f"content {record.short_id}"
            raise StorageError(explain(expected=f"{kind.kind} {record_id[:12]!r} unchanged", got=got, do=todo))
        return record

    def all(self, kind: type[R], *, split: str | None = None, subject: str | None = None) -> list[R]:
        """Records of one kind in the order they were stored, of one split or subject where given."""
        query = select(record_table.c.body).where(record_table.c.kind == kind.kind).order_by(record_table.c.seq)
        if split is not None:
            query = query.where(record_table.c.split == split)
        if subject is not None:
            query = query.where(record_table.c.subject == subject)
        with storage_errors("the database"), self.engine.connect() as connection:
            return [_parse(kind, row.body) for row in connection.execute(query)]

    def latest(self, kind: type[R], *, subject: str | None = None) -> R | None:
        """The record of this kind that was stored last, or None."""
        query = select(record_table.c.body).where(record_table.c.kind == kind.kind)
        if subject is not None:
            query = query.where(record_table.c.subject == subject)
        with storage_errors("the database"), self.engine.connect() as connection:
            row = connection.execute(query.order_by(record_table.c.seq.desc()).limit(1)).first()
        return None if row is None else _parse(kind, row.body)

    def count(self, kind: type[Record], *, split: str | None = None, subject: str | None = None) -> int:
        """How many records of one kind there are."""
        query = select(func.count()).select_from(record_table).where(record_table.c.kind == kind.kind)
        if split is not None:
            query = query.where(record_table.c.split == split)
        if subject is not None:
            query = query.where(record_table.c.subject == subject)
        with storage_errors("the database"), self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def kinds(self) -> dict[str, int]:
        """How many records of each kind there are."""
        query = select(record_table.c.kind, func.count()).group_by(record_table.c.kind).order_by(record_table.c.kind)
        with storage_errors("the database"), self.engine.connect() as connection:
            return {kind: int(count) for kind, count in connection.execute(query)}

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

    def _prepare(self, url: str) -> None:
        """Make the tables of a new database, or refuse one of another schema before touching it."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            tables = inspect(connection)
            found: Sequence[int] = ()
            if tables.has_table(schema_table.name):
                found = connection.execute(select(schema_table.c.version)).scalars().all()
            if found not in ([], (), [SCHEMA_VERSION]):
                message = explain(
                    expected=f"a database of schema version {SCHEMA_VERSION}",
                    got=f"version {found[0]} at {url}",
                    do="open it with the Assay version that wrote it, or choose another directory",
                )
                raise StorageError(message)
            metadata.create_all(connection)
            if not found:
                connection.execute(schema_table.insert().values(version=SCHEMA_VERSION))
            connection.commit()


def row_of(record: Record, split: str | None, subject: str | None) -> dict[str, str | None]:
    """A record as a row of `record_table`. Raises StorageError when it cannot be written as JSON."""
    try:
        body = record.model_dump_json()
        return {"id": record.id, "kind": record.kind, "split": split, "subject": subject, "body": body}
    except ValueError as error:
        todo = "take half characters and numbers that are not finite out of it"
        raise StorageError(
            explain(expected=f"a {record.kind} that can be written as JSON", got=str(error), do=todo)
        ) from error


def _refuse_moves(connection: Connection, values: Sequence[dict[str, str | None]]) -> None:
    """Raise StorageError when a record that was here already lies in another split than the one asked for."""
    wanted = {(row["kind"], row["id"]): row["split"] for row in values if row["split"] is not None}
    for start in range(0, len(values), 500):
        ids = [row["id"] for row in values[start : start + 500]]
        query = select(record_table.c.kind, record_table.c.id, record_table.c.split).where(record_table.c.id.in_(ids))
        for kind, record_id, split in connection.execute(query):
            asked = wanted.get((kind, record_id), split)
            if asked != split:
                todo = "a record belongs to one split for ever; leave it there"
                got = f"it in split {split!r} already"
                raise StorageError(explain(expected=f"to put {kind} {record_id[:12]} in {asked!r}", got=got, do=todo))


def _parse(kind: type[R], body: str) -> R:
    try:
        return kind.model_validate(json.loads(body))
    except (ValueError, ValidationError) as error:
        todo = "restore the database from a backup"
        raise StorageError(
            explain(expected=f"a stored {kind.kind}", got=f"an unreadable row ({error})", do=todo)
        ) from error


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (SQLAlchemyError, ImportError) as error:
        todo = "use sqlite:///FILE or postgresql+psycopg://…"
        raise StorageError(explain(expected="a database URL", got=f"{url!r} ({error})", do=todo)) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _use_wal)
    return engine


def _use_wal(connection: Any, _record: object) -> None:
    use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn the database's errors into a StorageError that says what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        todo = "free disk space or mend the file's rights, then run again with --resume; nothing was half-written"
        raise StorageError(explain(expected=f"to read and write {where}", got=str(cause), do=todo)) from error
