"""Change control: opens, approves and decides change requests. Takes evidence and keys, yields signed records.

Each step is a durable ledger entry first and a record second: no entry, no record. A record without its entry counts
for nothing, and an entry whose record is gone refuses the release.

Catches: approval by the requester, twice, too late, under another name, or by one key for two people; a decision
without every gate and two approvals; evidence about another policy.
Does not catch: a requester who gives somebody else's name (a request is not signed), or people who approve unread.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from assay.governance.enrolment import person_of, same_name, utc_text
from assay.governance.gates import Gate, check_gates
from assay.governance.history import (
    APPROVAL,
    APPROVALS_NEEDED,
    DECISION,
    OPENED,
    Standing,
    approval_statement,
    decision_statement,
    evidence_faults,
    obstacles,
    standing,
    verified_entries,
)
from assay.governance.signing import SigningKey, check_name, sign
from assay.records.decision import Approval, ChangeRequest, Decision, Outcome
from assay.records.errors import GovernanceError, StorageError, explain
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion
from assay.storage import Workspace


def open_change_request(
    workspace: Workspace,
    policy: PolicyVersion,
    *,
    evidence: Evidence,
    requested_by: str,
    reason: str,
    gates: Sequence[Gate],
    now: datetime,
    expires_in: timedelta,
) -> ChangeRequest:
    """Propose a policy for release. The gates' results are in the request, failed ones too, for people to see.

    Raises GovernanceError, with all that is wrong, when the evidence does not speak for the policy, a part is not in
    the records, no reason is given, or the request would be expired at birth.
    """
    verified_entries(workspace)
    faults = evidence_faults(workspace, policy, evidence)
    try:
        workspace.records.get(PolicyVersion, policy.id)
    except StorageError:
        faults.append(f"policy {policy.short_id} is not in the records")
    if not reason.strip():
        faults.append("no reason")
    if expires_in <= timedelta(0):
        faults.append(f"a life of {expires_in}")
    _refuse("a policy with its own evidence, a reason and a life", faults)
    request = ChangeRequest(
        policy=policy.id,
        evidence=evidence.id,
        requested_by=check_name(requested_by),
        reason=reason,
        gates=check_gates(gates, evidence),
        approvals_needed=APPROVALS_NEEDED,
        expires_at=now + expires_in,
        created_at=now,
    )
    workspace.ledger.append(
        OPENED,
        id=request.id,
        policy=request.policy,
        evidence=request.evidence,
        requested_by=request.requested_by,
        gates=[gate.model_dump_json() for gate in gates],
        approvals_needed=request.approvals_needed,
        expires_at=utc_text(request.expires_at),
        at=utc_text(now),
    )
    workspace.records.put(request, subject=request.policy)
    return request


def approve(
    workspace: Workspace,
    change_request: ChangeRequest,
    *,
    key: SigningKey,
    comment: str,
    approves: bool,
    now: datetime,
) -> Approval:
    """One enrolled person's signed yes or no, for good. Raises GovernanceError, with all that is wrong, otherwise."""
    entries = verified_entries(workspace)
    found = standing(workspace, change_request.id, entries)
    person = person_of(entries, key)
    faults = [*found.faults, *_decided(found)]
    if same_name(person.name, found.request.requested_by):
        faults.append(f"{person.name!r} made the request; another person must answer it")
    if any(same_name(person.name, given.approval.approver) for given in found.approvals):
        faults.append(f"{person.name!r} has answered already")
    if now > found.request.expires_at:
        faults.append(f"the request expired at {found.request.expires_at.isoformat()}")
    _refuse(f"an open request that {person.name!r} may answer", faults)
    statement = approval_statement(found.request.id, person.name, approves, comment)
    approval = Approval(
        change_request=found.request.id,
        approver=person.name,
        approves=approves,
        comment=comment,
        public_key=key.public_key,
        signature=sign(key, APPROVAL, statement),
        created_at=now,
    )
    workspace.ledger.append(
        APPROVAL,
        id=approval.id,
        change_request=approval.change_request,
        approver=approval.approver,
        approves=approval.approves,
        public_key=approval.public_key,
        signature=approval.signature,
        at=utc_text(now),
    )
    workspace.records.put(approval, subject=approval.change_request)
    return approval


def decide(workspace: Workspace, change_request: ChangeRequest, *, key: SigningKey, now: datetime) -> Decision:
    """An owner's signed decision: approved when every gate passed and two people approve, rejected when none can be.

    Raises GovernanceError, with all that is missing, while approvals may still come, and when the history does not
    verify or a decision was made already.
    """
    entries = verified_entries(workspace)
    found = standing(workspace, change_request.id, entries)
    person = person_of(entries, key)
    faults = [*found.faults, *_decided(found)]
    if person.role != "owner":
        faults.append(f"{person.name!r} is enrolled as {person.role}, and an owner signs decisions")
    against = obstacles(found, now=now)
    overtaken = _overtaken(workspace, found.request)
    if not (against.final or overtaken):
        faults += against.missing
    _refuse(f"an undecided request {found.request.short_id} with all gates and approvals", faults)
    refusals = [*against.final, *overtaken]
    names = ", ".join(given.approval.approver for given in found.approvals)
    reason = "; ".join([*refusals, *against.missing]) if refusals else f"every gate passed; approved by {names}"
    return _record(workspace, found, key=key, outcome="rejected" if refusals else "approved", reason=reason, now=now)


def _record(
    workspace: Workspace, found: Standing, *, key: SigningKey, outcome: Outcome, reason: str, now: datetime
) -> Decision:
    request = found.request
    approvals = tuple(given.approval.id for given in found.approvals)
    decision = Decision(
        change_request=request.id,
        policy=request.policy,
        evidence=request.evidence,
        outcome=outcome,
        approvals=approvals,
        reason=reason,
        public_key=key.public_key,
        signature=sign(key, DECISION, decision_statement(request, outcome, approvals, reason)),
        created_at=now,
    )
    workspace.ledger.append(
        DECISION,
        id=decision.id,
        change_request=decision.change_request,
        policy=decision.policy,
        evidence=decision.evidence,
        outcome=decision.outcome,
        approvals=list(decision.approvals),
        decided_by=key.name,
        public_key=decision.public_key,
        signature=decision.signature,
        at=utc_text(now),
    )
    workspace.records.put(decision, subject=decision.policy)
    return decision


def _decided(found: Standing) -> list[str]:
    return [f"it was {found.made.decision.outcome} already, in entry {found.made.seq}"] if found.made else []


def _overtaken(workspace: Workspace, request: ChangeRequest) -> list[str]:
    policy = workspace.records.get(PolicyVersion, request.policy)
    return evidence_faults(workspace, policy, workspace.records.get(Evidence, request.evidence))


def _refuse(expected: str, faults: Sequence[str]) -> None:
    if faults:
        do = "mend what is listed; `assay release show` tells where each request stands"
        raise GovernanceError(explain(expected=expected, got="; ".join(faults), do=do))
