"""Artifact store: keeps directories of files by content, each written whole or not at all."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from assay.records.errors import InputError, StorageError, explain

_NAME = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    """Directories named by the hash of their files. `add` writes beside, then renames: a reader never sees half of one.

    Raises StorageError when the disk is full or a stored artifact no longer matches its name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        with _disk_errors(root):
            root.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Remove what a killed writer left behind. Call it while holding the run lock."""
        for leftover in self._root.glob(".new-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def add(self, write: Callable[[Path], object]) -> str:
        """Let `write(directory)` fill an empty directory, keep it, and return its hash (hex)."""
        with _disk_errors(self._root):
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))
            try:
                write(new)
                name = directory_hash(new)
                if not (self._root / name).exists():
                    _flush(new)
                    _move(new, self._root / name)
                return name
            finally:
                shutil.rmtree(new, ignore_errors=True)

    def add_json(self, value: object) -> str:
        """Keep one JSON value as the artifact's `data.json`."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        return self.add(lambda directory: (directory / "data.json").write_text(text, encoding="utf-8"))

    def read_json(self, name: str) -> object:
        """The JSON value that `add_json` kept."""
        try:
            return json.loads((self.path(name) / "data.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            todo = "ask for an artifact that holds a JSON value, or restore it from a backup"
            raise StorageError(explain(expected=f"JSON in artifact {name[:12]}", got=str(error), do=todo)) from error

    def path(self, name: str) -> Path:
        """Directory of an artifact. Raises StorageError when there is none."""
        path = self._root / name
        if not _NAME.fullmatch(name) or not path.is_dir():
            todo = "restore the artifacts folder from a backup or run the stage again"
            raise StorageError(
                explain(expected=f"artifact {name[:12]!r} in {self._root}", got="no such directory", do=todo)
            )
        return path

    def verify(self, name: str) -> None:
        """Raise StorageError when the files of an artifact no longer match its name."""
        found = directory_hash(self.path(name))
        if found != name:
            todo = "restore it from a backup; do not use it"
            raise StorageError(
                explain(expected=f"artifact {name[:12]} unchanged", got=f"content {found[:12]}", do=todo)
            )


def directory_hash(directory: Path) -> str:
    """SHA-256 (hex) over the sorted relative paths and contents of all files below a directory.

    Raises StorageError when there is a link: what it points to may change or lie outside.
    """
    sha = hashlib.sha256()
    paths = sorted(directory.rglob("*"))
    links = [path.name for path in paths if path.is_symlink()]
    if links:
        todo = "copy what they point to"
        raise StorageError(explain(expected="files and folders in an artifact", got=f"a link: {links}", do=todo))
    for path in (path for path in paths if path.is_file()):
        name = path.relative_to(directory).as_posix().encode()
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
        sha.update(len(name).to_bytes(4, "big") + name + content)
    return sha.hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: beside, flushed, then renamed. Raises StorageError when the disk refuses."""
    with _disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_directory(directory: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` write into a new directory, which appears whole or not at all.

    Raises InputError where there is something already, StorageError when the disk refuses.
    """
    if directory.exists():
        do = "name another directory, or move that one away"
        raise InputError(explain(expected=f"no {directory} yet", got="one that is there", do=do))
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=directory.parent))
        try:
            fill(new)
            new.chmod(0o755)
            os.replace(new, directory)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        do = "free disk space or name another directory; nothing was written"
        raise StorageError(explain(expected=f"to write {directory}", got=str(error), do=do)) from error


def write_once(path: Path, data: bytes) -> bytes:
    """Write a file unless there is one, and return what it holds: the same to everybody, also where many write at once.

    Raises StorageError when the disk refuses.
    """
    if not path.exists():
        own = path.with_name(f".new-{os.getpid()}-{get_ident()}-{path.name}")
        write_atomically(own, data)
        with _disk_errors(path.parent):
            try:
                os.link(own, path)
            except FileExistsError:
                pass  # somebody else was first
            finally:
                own.unlink()
    with _disk_errors(path.parent):
        return path.read_bytes()


def _move(new: Path, target: Path) -> None:
    """Put a whole directory in its place, unless another process has put the same one there meanwhile."""
    try:
        os.replace(new, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _flush(directory: Path) -> None:
    for path in directory.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


@contextmanager
def _disk_errors(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        todo = "free disk space or mend the folder's rights, then run again with --resume; nothing was half-written"
        raise StorageError(explain(expected=f"to write below {where}", got=str(error), do=todo)) from error
