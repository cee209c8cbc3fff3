"""Observation and alarm: what a monitor sees of one checkpoint of a run, and what it says when it has seen enough."""

from typing import ClassVar, Literal

from pydantic import Field

from assay.records.record import Record, Value

Action = Literal["stop", "roll_back_to_checkpoint", "raise_kl_coef", "ask_a_person"]


class Observation(Value):
    """One checkpoint as numbers. `values` are named as in `docs/metrics.md`; a monitor reads those it knows."""

    step: int
    values: dict[str, float]


class Alarm(Record):
    """A monitor's word that something is wrong: which, when, why, and what the run should do about it."""

    kind: ClassVar[str] = "alarm"
    monitor: str
    step: int
    message: str
    action: Action
    value: float
    threshold: float
    evidence: dict[str, float] = Field(default_factory=dict)
