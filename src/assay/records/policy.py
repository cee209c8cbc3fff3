"""Policy version: a tuned language model, how it was made, what was measured on the way and which alarms rang."""

from typing import ClassVar, Literal

from pydantic import Field

from assay.records.identity import ScorerIdentity
from assay.records.observation import Alarm, Observation
from assay.records.provenance import Provenance
from assay.records.record import Record, Value

Method = Literal["reference", "sft", "dpo", "online_dpo", "grpo", "best_of_n", "best_of_n_sft", "gkd", "ppo"]


class CheckpointRecord(Value):
    """One measured checkpoint of a run: its adapter, and the samples drawn from it."""

    step: int
    adapter: str | None
    observation: Observation
    samples: str | None = None
    """Artifact with the completions sampled at this checkpoint, so that evaluation can judge them later."""
    audit: str | None = None
    """Artifact with what a panel was shown at this checkpoint and what it said; None where none was asked."""


class PolicyVersion(Record):
    """A policy: base model, adapter on top (artifact), method, checkpoints, trail of alarms, why the run ended."""

    kind: ClassVar[str] = "policy"
    name: str
    base_model: str
    adapter: str | None
    ref_policy: str | None
    method: Method
    settings: dict[str, float | int | str | bool] = Field(default_factory=dict)
    step: int = 0
    """The step of the checkpoint that this version is."""
    steps_run: int = 0
    checkpoints: tuple[CheckpointRecord, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    monitors: tuple[str, ...] = ()
    stop_reason: str = ""
    training_signals: tuple[ScorerIdentity, ...] = ()
    """What was optimised, then what only watched."""
    provenance: Provenance
