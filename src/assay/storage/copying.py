"""Copying: keeps a copy of an SQLite file beside it, whole or not at all."""

import os
import shutil
import sqlite3
from itertools import chain, count
from pathlib import Path

from assay.records.errors import StorageError, explain


def keep_copy(file: Path, *, before: str) -> Path:
    """Copy an SQLite file as it was committed last, with what its log holds, to `FILE.before-REVISION` and flush it.

    A copy that is there already is not written over: then the name gets a number. Call it while nobody else may write.
    Raises StorageError where it cannot be written. A killed process leaves `FILE.before-REVISION.part` at most, which
    the next one writes over.
    """
    wanted = file.with_name(f"{file.name}.before-{before}")
    part = wanted.with_name(f"{wanted.name}.part")
    try:
        try:
            _copy(file, part)
            copy = _free(wanted)
            os.replace(part, copy)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        todo = "free disk space or mend the folder's rights; nothing was changed"
        raise StorageError(explain(expected=f"to keep a copy of {file} beside it", got=str(error), do=todo)) from error
    return copy


def _copy(file: Path, part: Path) -> None:
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # SQLite would let others read it
    try:
        source, target = sqlite3.connect(file), sqlite3.connect(part)
        try:
            target.execute("PRAGMA journal_mode = OFF")  # a half-written copy is thrown away, not mended
            source.backup(target)
        finally:
            target.close()
            source.close()
        shutil.copymode(file, part)
        os.fsync(handle)
    finally:
        os.close(handle)


def _free(path: Path) -> Path:
    names = chain([path], (path.with_name(f"{path.name}.{number}") for number in count(2)))
    return next(name for name in names if not name.exists())
