"""Release: what is served, where its rollout stands, what came back from it, and what a person must look at."""

from typing import ClassVar, Literal

from pydantic import Field

from assay.records.record import Record, Value

RolloutState = Literal["idle", "running", "held", "promoted", "aborted", "rolled_back"]


class Release(Record):
    """An immutable bundle: a policy with the digest of its layers and the decision that allows it."""

    kind: ClassVar[str] = "release"
    policy: str
    base_model: str
    adapter: str | None
    layers_digest: str
    decision: str | None
    """None only for the reference release that a project starts from."""
    label: str


class RolloutStatus(Value):
    """Which releases are `stable` and `candidate`, the candidate's share in percent, and why it stands there."""

    stable: str
    candidate: str | None
    share_percent: int = Field(ge=0, le=100)
    state: RolloutState
    reason: str


class Signal(Record):
    """One thing seen live: a request's verdict, a thumb, a latency, an error. `value` is a number for detectors."""

    kind: ClassVar[str] = "signal"
    release: str
    name: str
    value: float
    bucket: str
    detail: dict[str, str] = Field(default_factory=dict)


class ReviewTask(Record):
    """Something that a person must look at: opened by an alarm, closed by a decision."""

    kind: ClassVar[str] = "review_task"
    title: str
    reason: str
    opened_by: str
    subject: str
    evidence: dict[str, float] = Field(default_factory=dict)
