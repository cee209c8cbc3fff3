"""Write-ahead log: a connection waits while another process changes the journal, and gives up in the end."""

import sqlite3
import threading
from pathlib import Path

import pytest

from assay.storage import wal


def holder(path: Path) -> sqlite3.Connection:
    """A connection that holds the database alone, as one does that is about to change its journal."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE thing (name TEXT)")
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def mode(connection: sqlite3.Connection) -> str:
    return connection.execute("PRAGMA journal_mode").fetchone()[0]


def test_a_lock_that_ends_is_waited_for(tmp_path: Path) -> None:
    other = holder(tmp_path / "a.db")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    connection = sqlite3.connect(tmp_path / "a.db")
    wal.use_wal(connection)
    assert mode(connection) == "wal"
    connection.close()
    other.close()


def test_a_lock_that_does_not_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "WAIT_S", 0.1)
    other = holder(tmp_path / "a.db")
    connection = sqlite3.connect(tmp_path / "a.db")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        wal.use_wal(connection)
    connection.close()
    other.close()
