"""Turns: lets the writers of one SQLite file wait in line, threads and processes alike, for as long as it takes.

SQLite itself lets a writer look again now and then and gives up after a while: under many writers the unlucky one is
refused ("database is locked"), though each of the others holds the lock for a millisecond. Here each is woken when the
one before has ended. The kernel ends the turn of a process that dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from assay.records.errors import StorageError, explain


@contextmanager
def turn(database: str) -> Iterator[None]:
    """Wait for one's turn to write this file, and keep it to the end of the block.

    Raises StorageError where the line, a file beside the database, cannot be opened.
    """
    try:
        line = os.open(f"{database}.line", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        todo = "mend the rights of the folder, or copy the database to one that you may write to"
        raise StorageError(explain(expected=f"to write beside {database}", got=str(error), do=todo)) from error
    try:
        fcntl.flock(line, fcntl.LOCK_EX)
        yield
    finally:
        os.close(line)
