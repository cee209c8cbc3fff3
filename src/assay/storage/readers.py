"""Readers: connections to an SQLite file that are kept open to read from. Takes an engine, lends one at a time.

To lend a connection and take it back takes a pool longer than SQLite takes to answer. A reader is in no transaction
between two reads, so each sees all that any process has stored by then. There are as many as ever read at once. A
server's come from its pool: they are few, and one may have died.
"""

from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.pool import PoolProxiedConnection

_idle: WeakKeyDictionary[Engine, list[PoolProxiedConnection]] = WeakKeyDictionary()


def keep_readers(engine: Engine) -> None:
    """Keep readers of this engine's file open until the engine is disposed of."""
    _idle[engine] = []
    event.listen(engine, "engine_disposed", _close_readers)


def lend(engine: Engine) -> PoolProxiedConnection:
    """A connection that nobody else has. `take_back` it, or close it where a read failed."""
    idle = _idle.get(engine)
    if idle is None:
        return engine.raw_connection()
    try:
        return idle.pop()
    except IndexError:
        reader = engine.raw_connection()
        reader.detach()
        return reader


def take_back(engine: Engine, connection: PoolProxiedConnection) -> None:
    """Take back what was lent and has read all its rows."""
    idle = _idle.get(engine)
    if idle is None:
        connection.close()
    else:
        idle.append(connection)


def _close_readers(engine: Engine) -> None:
    idle = _idle[engine]
    while idle:
        idle.pop().close()
