"""Record store: keeps records in SQLite (WAL) or PostgreSQL, append-only, found by kind, split and subject."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache, lru_cache
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection, Select, bindparam, func, select

from assay.records.errors import StorageError, explain
from assay.records.record import Record
from assay.storage.dialect import insert_absent, number_of, open_engine, storage_errors, without_password, writing
from assay.storage.record_tables import record_table
from assay.storage.schema import prepare
from assay.storage.sealing import Seals, is_sealed, opened_body, remnant, sealed_body
from assay.storage.statements import read

R = TypeVar("R", bound=Record)
Which = Literal["all", "newest", "count"]
BATCH = 500
KEPT, LONGEST_KEPT = 4096, 8192
"""Records that a process keeps parsed, and the longest of them in characters: a row is read each time, but what its
text says is looked up. What was opened with a person's key is never kept."""

RECORDS_LOCK = number_of("records")
"""Held alone by whoever stores many records, and shared by whoever stores some in a transaction that holds more: two
who store the same records in another order would wait for each other."""

_PREFIX = re.compile(r"[0-9a-f]{1,64}")
_AFTER_HEX = "g"  # sorts after every digit of an identity

_COLUMNS = record_table.c
_THIS = (_COLUMNS.kind == bindparam("kind_")) & (_COLUMNS.id == bindparam("id_"))
_BODY = select(_COLUMNS.body).where(_THIS)
_THESE = select(_COLUMNS.id, _COLUMNS.body).where(
    _COLUMNS.kind == bindparam("kind"), _COLUMNS.id.in_(bindparam("ids", expanding=True))
)
_SPLITS = select(_COLUMNS.id, _COLUMNS.split).where(
    _COLUMNS.kind == bindparam("kind"), _COLUMNS.id.in_(bindparam("ids", expanding=True))
)
_RESEAL = record_table.update().where(_THIS).values(body=bindparam("new"))
_PREFIXED = (
    select(_COLUMNS.id, _COLUMNS.body)
    .where(_COLUMNS.kind == bindparam("kind"), _COLUMNS.id >= bindparam("first"), _COLUMNS.id < bindparam("after"))
    .limit(2)
)


class RecordStore:
    """Append-only store of records. Putting the same record twice is the same as putting it once.

    `engine` is for this room's other tables, which must change in one transaction with records. With `seals`, what
    people wrote is kept under their keys; a record whose key was destroyed comes without it, under its old identity.

    Raises StorageError when the database cannot be opened or written, or is at another revision of
    the schema.
    """

    def __init__(self, url: str, *, seals: Seals | None = None) -> None:
        self.engine, self.seals = open_engine(url), seals
        with ExitStack() as unless_ready, storage_errors(without_password(url)):
            unless_ready.callback(self.engine.dispose)
            prepare(self.engine, without_password(url))
            unless_ready.pop_all()

    @property
    def is_file(self) -> bool:
        """Whether it lies in a file or in memory: both answer sooner than a thread could be asked to."""
        return self.engine.dialect.name == "sqlite"

    def put(self, record: Record, *, split: str | None = None, subject: str | None = None) -> str:
        """Store one record and return its identity."""
        self.put_all([(record, split, subject)])
        return record.id

    def put_all(self, rows: Iterable[tuple[Record, str | None, str | None]]) -> int:
        """Store (record, split, subject) rows in one transaction, all or nothing; returns how many were new."""
        values = [self.row_of(record, split, subject) for record, split, subject in rows]
        if not values:
            return 0
        locks = [RECORDS_LOCK] if len(values) > 1 else []
        with storage_errors("the database"), writing(self.engine, *locks) as connection:
            added = insert_absent(connection, record_table, values)
            if added < len(values):
                _refuse_moves(connection, values)
        return added

    def get(self, kind: type[R], record_id: str) -> R:
        """The record of this kind with this identity, or the only one that starts with these digits."""
        if not record_id:
            todo = "name one; `assay init --show` says what there is"
            raise StorageError(explain(expected=f"the id of a {kind.kind}", got="an empty one", do=todo))
        rows: Sequence[Any] = []
        if _PREFIX.fullmatch(record_id):
            these = {"kind": kind.kind, "first": record_id, "after": record_id + _AFTER_HEX}
            rows = self._rows(_PREFIXED, these)
        if len(rows) != 1:
            got = "none" if not rows else "several"
            todo = "list what there is with `assay init --show`, or check the id"
            raise StorageError(explain(expected=f"one {kind.kind} {record_id[:12]!r}", got=got, do=todo))
        record = self._parse(kind, rows[0])
        if not record.id.startswith(record_id):
            todo = "restore the database from a backup; somebody changed the row"
            got = f"content {record.short_id}"
            raise StorageError(explain(expected=f"{kind.kind} {record_id[:12]!r} unchanged", got=got, do=todo))
        return record

    def known(self, kind: type[R], ids: Collection[str]) -> dict[str, R]:
        """By identity, those of these records of this kind that are there."""
        rows = self._rows(_THESE, {"kind": kind.kind, "ids": list(ids)})
        return {row.id: self._parse(kind, row) for row in rows}

    def some(self, kind: type[R], ids: Sequence[str]) -> list[R]:
        """The records of this kind with these identities, in their order; quicker than one by one.

        Raises StorageError where one is missing.
        """
        found = self.known(kind, ids)
        if missing := [one for one in ids if one not in found]:
            todo = "restore the database from a backup"
            got = f"{len(missing)} missing, such as {missing[0][:12]!r}"
            raise StorageError(explain(expected=f"{len(ids)} stored records of {kind.kind}", got=got, do=todo))
        return [found[one] for one in ids]

    def all(
        self, kind: type[R], *, split: str | None = None, subject: str | None = None, newest: int | None = None
    ) -> list[R]:
        """Records of one kind in the order they were stored, of one split or subject where given.

        `newest` leaves out all but so many that were stored last.
        """
        if newest is None:
            rows = self._find("all", kind, split=split, subject=subject)
        else:
            rows = self._find("newest", kind, split=split, subject=subject, most=newest)[::-1]
        return [self._parse(kind, row) for row in rows]

    def latest(self, kind: type[R], *, subject: str | None = None) -> R | None:
        """The record of this kind that was stored last, or None."""
        return next(iter(self.all(kind, subject=subject, newest=1)), None)

    def count(self, kind: type[Record], *, split: str | None = None, subject: str | None = None) -> int:
        """How many records of one kind there are."""
        return int(self._find("count", kind, split=split, subject=subject)[0][0])

    def kinds(self) -> dict[str, int]:
        """How many records of each kind there are."""
        query = select(_COLUMNS.kind, func.count()).group_by(_COLUMNS.kind).order_by(_COLUMNS.kind)
        with storage_errors("the database"), self.engine.connect() as connection:
            return {kind: int(count) for kind, count in connection.execute(query)}

    def row_of(self, record: Record, split: str | None, subject: str | None) -> dict[str, str | None]:
        """A record as a row of `record_table`. Raises StorageError when it cannot be written as JSON."""
        scope = record.seal_scope if self.seals and subject and record.personal else None
        try:
            body = (
                record.model_dump_json()
                if scope is None or self.seals is None or subject is None
                else sealed_body(record, subject, self.seals, scope=scope)
            )
            return {"id": record.id, "kind": record.kind, "split": split, "subject": subject, "body": body}
        except ValueError as error:
            todo = "take half characters and numbers that are not finite out of it"
            expected = f"a {record.kind} that can be written as JSON"
            raise StorageError(explain(expected=expected, got=str(error), do=todo)) from error

    def seal(self, records: Iterable[Record], *, subject: str) -> dict[tuple[str, str], str]:
        """Put what a person wrote under their keys where it lies open, as in rows of before there were keys.

        Yields the hash of what stays open of each, by kind and identity. What has no scope of its own becomes one.
        Raises StorageError in a store without keys.
        """
        if self.seals is None:
            do = "open it as a workspace, with its keys"
            raise StorageError(explain(expected="keys to seal with", got="a database alone", do=do))
        remnants = {}
        with storage_errors("the database"), writing(self.engine, RECORDS_LOCK) as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            for record in records:
                this = {"kind_": record.kind, "id_": record.id}
                body = connection.execute(_BODY, this).scalar_one()
                if not is_sealed(body):
                    scope = record.seal_scope or record.id
                    body = sealed_body(record, subject, self.seals, scope=scope)
                    connection.execute(_RESEAL, {**this, "new": body})
                remnants[record.kind, record.id] = remnant(body)
        self._forget_pages()
        return remnants

    def remnant(self, kind: str, identity: str) -> str | None:
        """Hash of what stands open in a row, or None where there is no such row."""
        rows = self._rows(_BODY, {"kind_": kind, "id_": identity})
        return remnant(rows[0].body) if rows else None

    def _forget_pages(self) -> None:
        """Write SQLite's log into the file and empty it: it holds rows as they were."""
        if self.engine.dialect.name == "sqlite":
            with storage_errors("the database"), self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Release the connections."""
        self.engine.dispose()

    def _parse(self, kind: type[R], row: Any) -> R:
        try:
            if not kind.personal or not is_sealed(row.body):
                parsed: R = _kept(kind, row.body) if len(row.body) <= LONGEST_KEPT else _parsed(kind, row.body)
                return parsed
            body, is_erased = opened_body(kind, row.body, row.id, self.seals)
            record = kind.model_validate_json(body)
        except (ValueError, ValidationError) as error:
            todo = "restore the database from a backup"
            raise StorageError(
                explain(expected=f"a stored {kind.kind}", got=f"an unreadable row ({error})", do=todo)
            ) from error
        if is_erased:
            record.__dict__["id"] = row.id  # what it was reckoned from is gone
        return record

    def _find(
        self, which: Which, kind: type[Record], *, split: str | None, subject: str | None, most: int | None = None
    ) -> Sequence[Any]:
        query = _query(which, by_split=split is not None, by_subject=subject is not None)
        return self._rows(query, {"kind": kind.kind, "split": split, "subject": subject, "most": most})

    def _rows(self, query: Select[Any], values: Mapping[str, object]) -> Sequence[Any]:
        with storage_errors("the database"):
            return read(self.engine, query, values)


@cache
def _query(which: Which, *, by_split: bool, by_subject: bool) -> Select[Any]:
    """A query by kind, and by split and subject where asked; built once, for that takes longer than to run it."""
    query = select(*([func.count()] if which == "count" else [_COLUMNS.id, _COLUMNS.body])).where(
        _COLUMNS.kind == bindparam("kind")
    )
    if by_split:
        query = query.where(_COLUMNS.split == bindparam("split"))
    if by_subject:
        query = query.where(_COLUMNS.subject == bindparam("subject"))
    if which == "newest":
        return query.order_by(_COLUMNS.seq.desc()).limit(bindparam("most"))
    return query if which == "count" else query.order_by(_COLUMNS.seq)


def _parsed(kind: type[R], body: str) -> R:
    return kind.model_validate_json(body)


_kept = lru_cache(maxsize=KEPT)(_parsed)  # records are frozen: the same text may be the same record to all who read it


def _refuse_moves(connection: Connection, values: Sequence[dict[str, str | None]]) -> None:
    """Raise StorageError when a record that was here already lies in another split than the one asked for."""
    wanted: dict[str | None, dict[str | None, str]] = {}
    for row in values:
        if row["split"] is not None:
            wanted.setdefault(row["kind"], {})[row["id"]] = row["split"]
    for kind, splits in wanted.items():
        ids = list(splits)
        for start in range(0, len(ids), BATCH):
            these = {"kind": kind, "ids": ids[start : start + BATCH]}
            for record_id, split in connection.execute(_SPLITS, these):
                if splits[record_id] != split:
                    todo = "a record belongs to one split for ever; leave it there"
                    got = f"it in split {split!r} already"
                    expected = f"to put {kind} {record_id[:12]} in {splits[record_id]!r}"
                    raise StorageError(explain(expected=expected, got=got, do=todo))
