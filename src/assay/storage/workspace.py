"""Workspace: one directory with everything of a project: records, artifacts, ledger, keys and reports."""

from pathlib import Path
from typing import TYPE_CHECKING

from assay.records.errors import StorageError, explain
from assay.storage.artifacts import ArtifactStore, write_atomically
from assay.storage.database import RecordStore
from assay.storage.dialect import without_password
from assay.storage.firewall import Firewall
from assay.storage.ledger import Ledger
from assay.storage.lock import run_lock
from assay.storage.sealing import KEYS_FILE, Seals
from assay.storage.splits import EvaluationView, TrainingView

if TYPE_CHECKING:
    from assay.storage.migrating import Migration

FILE, ADDRESS = "assay.db", "database.url"


class Workspace:
    """Opens (and makes, where absent) the parts of a project directory.

    `database` is the URL of the database that a new workspace keeps its records in, for ever; the default is SQLite in
    `assay.db` inside the directory. Raises StorageError where a workspace keeps them elsewhere already.
    """

    def __init__(self, directory: Path, *, database: str | None = None) -> None:
        self.directory = directory
        self.artifacts = ArtifactStore(directory / "artifacts")
        self.records = RecordStore(_address(directory, database), seals=Seals(directory / KEYS_FILE))
        if database is not None and not (directory / ADDRESS).exists():
            write_atomically(directory / ADDRESS, f"{database}\n".encode())  # for its owner's eyes only
        self.ledger = Ledger(directory / "ledger.db")
        self.firewall = Firewall(self.records)
        self.training = TrainingView(self.records)
        self.evaluation = EvaluationView(self.records)

    def close(self) -> None:
        """Release the database connections."""
        self.records.close()


def is_workspace(directory: Path) -> bool:
    """Whether a workspace was made in this directory."""
    return (directory / FILE).exists() or (directory / ADDRESS).exists()


def migrate_workspace(directory: Path) -> "Migration":
    """Bring the database of a workspace to the newest revision, while no run and no other migration is going on.

    Raises BusyError where one is, StorageError where the database stays as it was.
    """
    from assay.storage.migrating import migrate  # Alembic takes longer to import than a workspace to open

    with run_lock(directory):
        return migrate(_address(directory, None))


def _address(directory: Path, wanted: str | None) -> str:
    """Where the records are, or shall be."""
    here = f"sqlite:///{directory / FILE}"
    if (directory / ADDRESS).exists():
        kept: str | None = (directory / ADDRESS).read_text(encoding="utf-8").strip()
    else:
        kept = here if (directory / FILE).exists() else None
    if wanted is not None and kept not in (None, wanted):
        do = "choose another directory, or leave the database out"
        got = f"one that keeps its records in {without_password(str(kept))}"
        expected = f"a new workspace for {without_password(wanted)}"
        raise StorageError(explain(expected=expected, got=got, do=do))
    return kept or wanted or here
