"""Checkpoints: the head of the ledger in a small file, to be kept where the host cannot rewrite it.

A file is replaced only by a checkpoint of the same, longer chain; of a truncated or rewritten one it is kept as it is.
"""

import json
from pathlib import Path

from pydantic import Field, ValidationError

from assay.records.errors import LedgerError, explain
from assay.records.record import Value, canonical_json
from assay.storage import Ledger
from assay.storage.artifacts import write_atomically
from assay.storage.ledger import Checkpoint


class _Witness(Value):
    size: int = Field(ge=0, strict=True)
    head: str = Field(pattern=r"^[0-9a-f]{64}$")


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint from its file. Raises LedgerError when the file is missing or says something else."""
    try:
        found = _Witness.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        todo = "restore the file from where you keep checkpoints"
        raise LedgerError(explain(expected=f"a checkpoint in {path}", got=f"{error}", do=todo)) from error
    return Checkpoint(found.size, found.head)


def write_checkpoint(ledger: Ledger, path: Path) -> Checkpoint:
    """Verify the chain, against the file's last checkpoint where there is one, and write its head there.

    Raises LedgerError and leaves the file alone when the chain does not verify or no longer holds what was witnessed.
    """
    checkpoint = ledger.verify(read_checkpoint(path) if path.exists() else None)
    write_atomically(path, canonical_json(checkpoint._asdict()) + b"\n")
    return checkpoint
