"""Pointer: the one small file that says what is served. Takes a whole new pointer, replaces the file in one step.

A reader sees the old pointer or the new one, never a mixture. A change happens under a file lock, so that an operator
and a gateway's alarm, in different processes, cannot overwrite each other. Events that could not be entered in the
ledger wait in the pointer itself (`queued`), so they survive a crash; each has the number of its change, so an event
that was entered twice by a crash in between is recognisable.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path

from pydantic import ValidationError

from assay.records.errors import DeploymentError, LedgerError, StorageError, explain
from assay.records.record import Value
from assay.records.release import RolloutStatus
from assay.storage.artifacts import write_atomically
from assay.storage.ledger import Ledger

Event = dict[str, str | int | None]

_log = getLogger(__name__)


class Pointer(Value):
    """What is served, what was served before the last promotion, and what the ledger has yet to hear."""

    status: RolloutStatus
    previous_stable: str | None = None
    salt: str
    """Salt of the release line, kept over all its rollouts: a restarted rollout meets the same people."""
    change: int = 1
    """Number of the last change."""
    queued: tuple[Event, ...] = ()


class PointerFile:
    """`serving.json` of one workspace."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "serving.json"
        self._seen: tuple[tuple[int, int, int], Pointer] | None = None

    def read(self) -> Pointer | None:
        """The pointer, or None before the first start. Parsed once for each version of the file."""
        try:
            stat = self.path.stat()
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            seen = self._seen
            if seen is None or seen[0] != version:
                seen = (version, Pointer.model_validate_json(self.path.read_bytes()))
                self._seen = seen
            return seen[1]
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            todo = "restore the file from a backup, or write the stable release's id back into it"
            raise DeploymentError(explain(expected=f"a pointer in {self.path}", got=str(error), do=todo)) from error

    def write(self, pointer: Pointer) -> None:
        """Replace the file in one step. Raises StorageError when the disk refuses."""
        write_atomically(self.path, pointer.model_dump_json(indent=1).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the pointer for one change; other changes wait, readers do not."""
        try:
            file = self.path.with_suffix(".lock").open("a")
        except OSError as error:
            todo = "mend the workspace's rights"
            raise StorageError(explain(expected=f"to lock {self.path}", got=str(error), do=todo)) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def drain(self, ledger: Ledger) -> int:
        """Enter the queued events in the ledger, oldest first; returns how many are left because it cannot be written.

        The ledger is written outside the lock: a ledger that hangs must not stand in the way of a roll-back.
        """
        pointer = self.read()
        while pointer is not None and pointer.queued:
            event = pointer.queued[0]
            try:
                enter(ledger, event)
            except LedgerError as error:
                _log.warning("the ledger cannot be written, %d events wait: %s", len(pointer.queued), error)
                return len(pointer.queued)
            with self.locked():
                current = self.read()
                if current is not None and current.queued[:1] == (event,):
                    self.write(current.model_copy(update={"queued": current.queued[1:]}))
            pointer = self.read()
        return 0


def enter(ledger: Ledger, event: Event) -> None:
    """Enter one event in the ledger, durably. Raises LedgerError when it cannot be written."""
    ledger.append(str(event["event"]), **{key: value for key, value in event.items() if key != "event"})
