"""Workspace: one directory with everything of a project: records, artifacts, ledger, keys and reports."""

from pathlib import Path

from assay.storage.artifacts import ArtifactStore
from assay.storage.database import RecordStore
from assay.storage.firewall import Firewall
from assay.storage.ledger import Ledger
from assay.storage.splits import EvaluationView, TrainingView


class Workspace:
    """Opens (and makes, where absent) the parts of a project directory.

    `database` is a URL; the default is SQLite in `assay.db` inside the directory.
    """

    def __init__(self, directory: Path, *, database: str | None = None) -> None:
        self.directory = directory
        self.artifacts = ArtifactStore(directory / "artifacts")
        self.records = RecordStore(database or f"sqlite:///{directory / 'assay.db'}")
        self.ledger = Ledger(directory / "ledger.db")
        self.firewall = Firewall(self.records)
        self.training = TrainingView(self.records)
        self.evaluation = EvaluationView(self.records)

    def close(self) -> None:
        """Release the database connections."""
        self.records.close()
