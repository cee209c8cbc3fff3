"""Run records: the finished stages of a walk, what each made, what it took, what it skipped."""

from typing import ClassVar

from pydantic import Field

from assay.records.record import Record


class StageRecord(Record):
    """One finished stage of a run; a resumed run skips it when the config hash is the same."""

    kind: ClassVar[str] = "stage"
    run: str
    stage: str
    config_hash: str
    outputs: dict[str, str] = Field(default_factory=dict)
    seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    tokens: int = 0
    """Tokens generated in this stage."""
    skipped: tuple[str, ...] = ()
    """What was left out, and why, in sentences for people."""
