"""Write-ahead log: puts an SQLite connection into WAL mode, also while other processes do the same.

SQLite does not wait for a lock when it changes the journal's mode, whatever the busy timeout says, so that two
processes which open a new database at once could refuse each other.
"""

import sqlite3
import time

WAIT_S = 5.0
PAUSE_S = 0.02


def use_wal(connection: sqlite3.Connection) -> None:
    """Change to WAL and wait for locks from then on. Raises sqlite3.OperationalError when others hold it too long."""
    connection.execute(f"PRAGMA busy_timeout={int(WAIT_S * 1000)}")
    patience = int(WAIT_S / PAUSE_S)
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            patience -= 1
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or patience == 0:
                raise
            time.sleep(PAUSE_S)
