"""Decision: gates, change requests, approvals and the signed word of a release."""

from typing import ClassVar, Literal

from assay.records.record import Record, UtcTime, Value

Outcome = Literal["approved", "rejected"]


class GateResult(Value):
    """What one gate said of the evidence."""

    gate: str
    metric: str
    passed: bool
    measured: str
    required: str


class ChangeRequest(Record):
    """A proposal to change what is served: which policy, on which evidence, by whom, with the gates' results."""

    kind: ClassVar[str] = "change_request"
    policy: str
    evidence: str
    requested_by: str
    reason: str
    gates: tuple[GateResult, ...]
    approvals_needed: int = 2
    expires_at: UtcTime


class Approval(Record):
    """One person's signed word on a change request."""

    kind: ClassVar[str] = "approval"
    change_request: str
    approver: str
    approves: bool
    comment: str
    public_key: str
    """Ed25519 public key (hex)."""
    signature: str
    """Ed25519 signature (hex) over the change request's identity, the approver's name and the word."""


class Decision(Record):
    """The outcome of a change request, signed; only one read back from the ledger may raise exposure."""

    kind: ClassVar[str] = "decision"
    change_request: str
    policy: str
    evidence: str
    outcome: Outcome
    approvals: tuple[str, ...]
    reason: str
    public_key: str
    signature: str
