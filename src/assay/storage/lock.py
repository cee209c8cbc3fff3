"""Run lock: lets one process at a time into a directory, and frees it when that process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from assay.records.errors import BusyError, StorageError, explain


@contextmanager
def run_lock(directory: Path) -> Iterator[None]:
    """Hold the directory for the length of the block. Raises BusyError when another process holds it,
    StorageError where nothing can be written.

    The kernel drops the lock with the process, so a killed run leaves nothing to clean up.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / ".lock").open("a+")
    except OSError as error:
        todo = "choose a directory you may write to"
        raise StorageError(explain(expected=f"a writable directory {directory}", got=str(error), do=todo)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            todo = "wait for it to end, or choose another directory with --out"
            raise BusyError(
                explain(expected=f"{directory} to be free", got=f"a run in process {holder}", do=todo)
            ) from error
        _sign(file, directory)
        yield


def _sign(file: TextIO, directory: Path) -> None:
    try:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
    except OSError as error:
        todo = "free disk space; nothing was started"
        raise StorageError(explain(expected=f"to write in {directory}", got=str(error), do=todo)) from error
