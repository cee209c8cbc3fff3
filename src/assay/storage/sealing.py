"""Sealing: what a person wrote, kept under a key of theirs. Takes a record's fields, yields them encrypted, and back.

A key belongs to one person within one scope (a campaign). Keys lie in a file of their own, `keys.db`, and nowhere else:
destroy one, and nobody reads what it sealed, in the database, in its copies or in any backup, unless a copy of the key
file is left. A record's identity is the hash of its plain content, taken before it is sealed; of an erased record the
identity that was stored stands for it, since it cannot be reckoned again.

Catches: a box that was changed, or moved to another record (AES-256-GCM, bound to kind and identity). Does not catch: a
copy of the key file, text that stood elsewhere before (exports, what was stored before there were keys), and somebody
who guesses an erased record in full: its identity says whether they are right.
"""

import base64
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from assay.records.errors import StorageError, explain
from assay.records.record import Record, digest

KEYS_FILE = "keys.db"
SEALED = "sealed"
_NONCE, _KEY = 12, 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seal_key (
    id TEXT PRIMARY KEY,
    person TEXT,
    scope TEXT,
    key BLOB,
    UNIQUE (person, scope)
)
"""
_DESTROY = """
UPDATE seal_key SET key = NULL, person = NULL, scope = NULL
WHERE person = :person AND (:scope IS NULL OR scope = :scope)
"""


class Box(NamedTuple):
    """What stands in a row in place of the fields: the name of the key, and the encrypted JSON of them."""

    key: str
    box: str


class Seals:
    """The keys of one workspace. Raises StorageError when their file cannot be read or written.

    `random` yields so many bytes that nobody can foresee.
    """

    def __init__(self, path: Path, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._path, self._random = path, random
        self._local = threading.local()

    def seal(self, person: str, scope: str, fields: Mapping[str, Any], *, bound: str) -> Box:
        """Encrypt fields under a person's key in a scope, made where there is none; `bound` names the record."""
        name, key = self._key_of(_hidden(person), scope)
        nonce = self._random(_NONCE)
        data = AESGCM(key).encrypt(nonce, json.dumps(fields).encode(), bound.encode())
        return Box(name, base64.b64encode(nonce + data).decode())

    def open(self, box: Box, *, bound: str) -> dict[str, Any] | None:
        """The fields, or None where their key was destroyed. Raises StorageError for a changed box, or a lost key."""
        with self._open() as connection:
            row = connection.execute("SELECT key FROM seal_key WHERE id = ?", (box.key,)).fetchone()
        if row is None:
            do = f"restore {self._path.name} beside the database"
            raise StorageError(explain(expected=f"the key {box.key[:12]}", got="none, not even a destroyed one", do=do))
        if row[0] is None:
            return None
        data = base64.b64decode(box.box)
        try:
            plain = AESGCM(row[0]).decrypt(data[:_NONCE], data[_NONCE:], bound.encode())
        except InvalidTag as error:
            do = "restore the database from a backup; somebody changed the row"
            raise StorageError(explain(expected="sealed text as it was stored", got="another", do=do)) from error
        fields: dict[str, Any] = json.loads(plain)
        return fields

    def destroy(self, person: str, scope: str | None = None) -> int:
        """Destroy a person's keys, of one scope or all, and with them whose they were; returns how many there were."""
        with self._open() as connection:
            return connection.execute(_DESTROY, {"person": _hidden(person), "scope": scope}).rowcount

    def _key_of(self, person: str, scope: str) -> tuple[str, bytes]:
        find = "SELECT id, key FROM seal_key WHERE person = ? AND scope = ?"
        with self._open() as connection:
            row = connection.execute(find, (person, scope)).fetchone()
            if row is None:
                new = (self._random(16).hex(), person, scope, self._random(_KEY))
                connection.execute("INSERT OR IGNORE INTO seal_key VALUES (?, ?, ?, ?)", new)
                row = connection.execute(find, (person, scope)).fetchone()  # another process may have been faster
        return row[0], row[1]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread; keys are read anew at each step, for somebody may have destroyed one."""
        try:
            if not self._path.exists():
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            made_for = os.getpid(), self._path.stat().st_ino  # neither a forked process nor a restored file has it
            if getattr(self._local, "made_for", None) != made_for:
                self._local.connection, self._local.made_for = self._connect(), made_for
            yield self._local.connection
        except (OSError, sqlite3.Error) as error:
            do = "check the path and its permissions"
            raise StorageError(explain(expected=f"keys in {self._path.name}", got=str(error), do=do)) from error

    def _connect(self) -> sqlite3.Connection:
        """A new connection, to which a table is there. Deleted bytes are overwritten, and no journal is left behind."""
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(_SCHEMA)
        return connection


def sealed_body(record: Record, subject: str, seals: Seals, *, scope: str) -> str:
    """The body of a row, what is personal of it in a box; as it is where nothing is."""
    fields = json.loads(record.model_dump_json())
    personal = {name: fields.pop(name) for name in type(record).personal if fields[name]}
    if not personal:
        return record.model_dump_json()
    box = seals.seal(subject, scope, personal, bound=f"{record.kind}/{record.id}")
    return json.dumps({**fields, SEALED: box._asdict()}, ensure_ascii=False)


def opened_body(kind: type[Record], body: str, identity: str, seals: Seals | None) -> tuple[str, bool]:
    """The plain body of a row, and whether it was erased: then what was personal is empty."""
    fields = json.loads(body)
    box = fields.pop(SEALED, None)
    if box is None:
        return body, False
    if seals is None:
        do = "open it as a workspace, with its keys"
        raise StorageError(explain(expected="the keys of sealed text", got="a database alone", do=do))
    plain = seals.open(Box(**box), bound=f"{kind.kind}/{identity}")
    nothing = {name: "" for name in kind.personal if kind.model_fields[name].is_required()}
    return json.dumps({**fields, **(nothing if plain is None else plain)}), plain is None


def is_sealed(body: str) -> bool:
    """Whether something of a row lies in a box."""
    return f'"{SEALED}"' in body and SEALED in json.loads(body)


def remnant(body: str) -> str:
    """Hash of what stands open in a row, for what is left of a record when its identity cannot be reckoned again."""
    return digest({name: value for name, value in json.loads(body).items() if name != SEALED})


def _hidden(person: str) -> str:
    return sha256(f"seal\x00{person}".encode()).hexdigest()
