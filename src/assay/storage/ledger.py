"""Ledger: an append-only hash chain in SQLite that shows when somebody changed, dropped or swapped an entry.

entry(seq primary key, prev unique, hash, body); hash = SHA-256(0x00 || seq as 8 bytes || prev || body), the body being
the exact stored bytes (canonical JSON, no floats). Writers read the head and insert in one `BEGIN IMMEDIATE`, so two of
them can never chain to one parent; `UNIQUE(prev)` makes a fork impossible to store.

Catches: any changed, removed, inserted or reordered entry, and a truncated tail when the caller holds a checkpoint.
Does not catch: an administrator who rewrites the whole chain and every checkpoint outside. It is evidence, not proof.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from assay.records.errors import LedgerError, explain
from assay.records.record import canonical_json
from assay.storage.wal import use_wal

GENESIS = "0" * 64

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY,
    prev TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL
)
"""

LedgerValue = str | int | bool | None | Sequence["LedgerValue"] | dict[str, "LedgerValue"]


class Entry(NamedTuple):
    """One entry: its number from 1, the hash before it, its own hash, its body as stored bytes."""

    seq: int
    prev: str
    hash: str
    body: bytes

    @property
    def value(self) -> dict[str, LedgerValue]:
        """The body as data."""
        data: dict[str, LedgerValue] = json.loads(self.body)
        if not isinstance(data, dict):
            raise ValueError(f"entry {self.seq} holds no fields")
        return data


class Checkpoint(NamedTuple):
    """The head of the chain at one moment: how many entries, and the last hash. Keep it outside the host."""

    size: int
    head: str


class Ledger:
    """The chain in one SQLite file. Knows no meaning: bodies are flat data with an `event` name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _ledger_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._connect() as connection:
                connection.execute(_SCHEMA)

    def append(self, event: str, **fields: LedgerValue) -> Entry:
        """Add one durable entry. Raises LedgerError when it cannot be written, or a field is a float."""
        with _ledger_errors(self.path), self._connect() as connection:
            body = canonical_json({"event": event, **_without_floats(fields)})
            connection.execute("BEGIN IMMEDIATE")
            last = connection.execute("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
            seq, prev = (last[0] + 1, last[1]) if last else (1, GENESIS)
            entry = Entry(seq, prev, entry_hash(seq, prev, body), body)
            connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", entry)
            connection.execute("COMMIT")
        return entry

    def entries(self, event: str | None = None) -> list[Entry]:
        """All entries in order, or those of one event."""
        with _ledger_errors(self.path), self._connect() as connection:
            rows = connection.execute("SELECT seq, prev, hash, body FROM entry ORDER BY seq").fetchall()
            for row in rows:
                if not isinstance(row[3], bytes):
                    raise _broken(self.path, row[0], f"a body of type {type(row[3]).__name__}, not bytes")
            entries = [Entry(*row) for row in rows]
            return entries if event is None else [entry for entry in entries if entry.value.get("event") == event]

    def checkpoint(self) -> Checkpoint:
        """The head of the chain now."""
        entries = self.entries()
        return Checkpoint(len(entries), entries[-1].hash if entries else GENESIS)

    def verify(self, witness: Checkpoint | None = None) -> Checkpoint:
        """Recompute every hash; with a `witness`, also that the chain still contains it.

        Raises LedgerError that names the first bad entry.
        """
        entries = self.entries()
        prev = GENESIS
        for number, entry in enumerate(entries, start=1):
            if entry.seq != number:
                raise _broken(self.path, number, f"entry {entry.seq} in its place")
            if entry.prev != prev:
                raise _broken(self.path, number, "a parent hash that is not the entry before it")
            if entry.hash != entry_hash(entry.seq, entry.prev, entry.body):
                raise _broken(self.path, number, "content that does not match its hash")
            prev = entry.hash
        if witness is not None and witness.size > 0:
            if len(entries) < witness.size:
                raise _broken(
                    self.path, len(entries) + 1, f"the end of the chain, {witness.size} entries were witnessed"
                )
            if entries[witness.size - 1].hash != witness.head:
                raise _broken(self.path, witness.size, "another hash than the witnessed one")
        return Checkpoint(len(entries), prev)

    def _connect(self) -> "_Connection":
        connection = sqlite3.connect(self.path, isolation_level=None)
        use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        return _Connection(connection)


class _Connection:
    """Closes the connection at the end of a block; an open transaction is rolled back by closing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def entry_hash(seq: int, prev: str, body: bytes) -> str:
    """SHA-256(0x00 || seq || prev || body) in hex."""
    return sha256(b"\x00" + seq.to_bytes(8, "big") + prev.encode() + body).hexdigest()


def _without_floats(fields: dict[str, LedgerValue]) -> dict[str, LedgerValue]:
    def walk(value: object) -> None:
        if isinstance(value, float):
            todo = "write it as text; a float's text may change on the way through storage"
            raise LedgerError(
                explain(expected="text, whole numbers, lists or flags in a ledger body", got=repr(value), do=todo)
            )
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                walk(item)

    walk(fields)
    return fields


def _broken(path: Path, seq: int, found: str) -> LedgerError:
    todo = "stop releases, keep the file as evidence, and compare it with the last checkpoint kept elsewhere"
    return LedgerError(explain(expected=f"an unbroken chain at entry {seq} of {path.name}", got=found, do=todo))


@contextmanager
def _ledger_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        todo = "nothing was written; free disk space or restore the file, then try again"
        raise LedgerError(
            explain(expected=f"to read and write the ledger {path.name}", got=str(error), do=todo)
        ) from error
