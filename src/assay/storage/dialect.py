"""Dialect: what SQLite and PostgreSQL do differently: opening, one writer at a time, insert where absent.

SQLite lets one transaction write at a time. PostgreSQL lets many, so that what must not happen at once takes an
advisory lock, which ends with its transaction or with the process that held it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    literal,
    make_url,
    select,
)
from sqlalchemy import func as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from assay.records.errors import StorageError, explain
from assay.storage.readers import keep_readers
from assay.storage.turns import turn
from assay.storage.wal import use_wal

KNOWN = ("sqlite", "postgresql")
CONNECTIONS = 10
"""Connections that a process keeps to a server; as many again may come when it is busy."""
LOG_PAGES = 4000
"""Pages of SQLite's log (16 MB) after which a writer puts them into the file, while all others wait: four times as many
as SQLite takes by itself, for most are of the same few pages."""
# Whoever has waited for a lock must see what its last holder stored, so no snapshot may be older than the statement.
_SERVER: dict[str, Any] = {"pool_size": CONNECTIONS, "pool_pre_ping": True, "isolation_level": "READ COMMITTED"}


def open_engine(url: str) -> Engine:
    """The engine of a database URL. Raises StorageError where it is none, or its driver is not installed."""
    try:
        if (dialect := make_url(url).get_backend_name()) not in KNOWN:
            raise SQLAlchemyError(f"{dialect} is not supported")
        engine = create_engine(url) if dialect == "sqlite" else create_engine(url, **_SERVER)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        todo = "use sqlite:///FILE, or postgresql+psycopg://USER@HOST/NAME with assay[postgresql] installed"
        got = f"{without_password(url)!r} ({error})"
        raise StorageError(explain(expected="a database URL", got=got, do=todo)) from error
    if dialect == "sqlite":
        event.listen(engine, "connect", _use_wal)
        if _file_of(engine):
            keep_readers(engine)
    return engine


def without_password(url: str) -> str:
    """A database URL for people; what is no URL comes back as it is, for it holds no password that could be found."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (SQLAlchemyError, ValueError):
        return url


@contextmanager
def writing(engine: Engine, *locks: int) -> Iterator[Connection]:
    """One transaction that holds these locks, or SQLite's one, to its end; it is kept when the block ends well."""
    # the connection comes before the turn and goes after it: others wait for what is between
    with engine.connect() as connection, _turn(engine), connection.begin():
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        for lock in locks:
            hold(connection, lock)
        yield connection


def _turn(engine: Engine) -> AbstractContextManager[None]:
    file = _file_of(engine)
    return turn(file) if file else nullcontext()


def _file_of(engine: Engine) -> str | None:
    """The file of an SQLite database; None where it lies in memory or on a server."""
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    return None if file in ("", ":memory:") else file


def hold(connection: Connection, lock: int, *, is_shared: bool = False) -> None:
    """Wait for a lock of 63 bits at most and keep it until the transaction ends; SQLite needs none."""
    if connection.dialect.name == "postgresql":
        take = sql.pg_advisory_xact_lock_shared if is_shared else sql.pg_advisory_xact_lock
        connection.execute(select(take(lock)))


def number_of(purpose: str, name: str = "") -> int:
    """A number for a name, such as a lock's, even over names: the first 62 bits of a hash."""
    return int.from_bytes(sha256(f"{purpose}\x00{name}".encode()).digest()[:8], "big") >> 2


def insert_absent(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> int:
    """Insert the rows whose key is not there yet, and return how many that were."""
    if not rows:
        return 0
    result = connection.execute(_insert_absent(table, connection.dialect.name), rows)
    return len(result.all()) if result.returns_rows else result.rowcount


@cache
def _insert_absent(table: Table, dialect: str) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # psycopg does not say how many of many rows it inserted
    return postgresql.insert(table).on_conflict_do_nothing().returning(literal(1))


def _use_wal(connection: Any, _record: object) -> None:
    use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn the database's errors into a StorageError that says what to do."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        todo = (
            "free disk space, mend the file's rights or see that the server answers, then run again with --resume; "
            "nothing was half-written"
        )
        raise StorageError(explain(expected=f"to read and write {where}", got=cause, do=todo)) from error
