"""History: what the ledger says of change requests, each record and signature checked. Takes ids, yields standings.

The ledger holds identities and times; the records hold the words. A record counts only when its content still hashes to
the identity in the ledger, and a time only when the ledger holds it (`created_at` is outside a record's identity).
"""

from collections.abc import Sequence
from datetime import datetime
from logging import getLogger
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from assay.governance.enrolment import people, same_name
from assay.governance.gates import Gate, check_gates
from assay.governance.signing import is_signed
from assay.records.decision import Approval, ChangeRequest, Decision
from assay.records.errors import GovernanceError, LedgerError, StorageError, explain
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion
from assay.records.record import Record
from assay.storage import Workspace
from assay.storage.ledger import Entry

log = getLogger(__name__)

R = TypeVar("R", bound=Record)

OPENED = "change_request_opened"
APPROVAL = "approval"
DECISION = "decision"

APPROVALS_NEEDED = 2


class Given(NamedTuple):
    """An approval with the ledger entry that holds it."""

    approval: Approval
    seq: int


class Made(NamedTuple):
    """A decision with the ledger entry that holds it, and when that was."""

    decision: Decision
    seq: int
    at: datetime


class Standing(NamedTuple):
    """A change request as the ledger knows it: its approvals in order, the decision if there is one, and what is wrong.

    `faults` are signs of tampering: forged, doubled or late approvals, results that the evidence does not bear out.
    """

    request: ChangeRequest
    seq: int
    approvals: tuple[Given, ...]
    made: Made | None
    faults: tuple[str, ...]


class Obstacles(NamedTuple):
    """What stands against approval: `final` can never change, `missing` may still come."""

    final: tuple[str, ...]
    missing: tuple[str, ...]


def verified_entries(workspace: Workspace) -> list[Entry]:
    """All ledger entries. Raises GovernanceError when the chain does not verify."""
    try:
        workspace.ledger.verify()
        return workspace.ledger.entries()
    except LedgerError as error:
        raise GovernanceError(f"nothing is released on a broken ledger: {error}") from error


def stored(workspace: Workspace, kind: type[R], record_id: str) -> R:
    """The record of this identity, its content checked against it. Raises GovernanceError otherwise."""
    try:
        record = workspace.records.get(kind, record_id)
    except StorageError as error:
        raise GovernanceError(f"the ledger names a {kind.kind} that cannot be read: {error}") from error
    if record.id != record_id:
        expected = f"the {kind.kind} {record_id[:12]!r} that the ledger names"
        todo = "restore the database from a backup, keep this one as evidence"
        raise GovernanceError(explain(expected=expected, got=f"content {record.short_id}", do=todo))
    return record


def standing(workspace: Workspace, request_id: str, entries: Sequence[Entry]) -> Standing:
    """One change request read back from verified entries. Raises GovernanceError when it was never opened."""
    opened = next((entry for entry in entries if _is(entry, OPENED, "id", request_id)), None)
    if opened is None:
        todo = "open one with `assay release request`"
        raise GovernanceError(
            explain(expected=f"change request {request_id[:12]!r} in the ledger", got="none", do=todo)
        )
    request = stored(workspace, ChangeRequest, request_id)
    decided = next((entry for entry in entries if _is(entry, DECISION, "change_request", request_id)), None)
    faults = _gate_faults(workspace, request, opened)
    given: list[Given] = []
    for entry in entries:
        if not _is(entry, APPROVAL, "change_request", request_id) or (decided and entry.seq > decided.seq):
            continue
        approval = stored(workspace, Approval, str(entry.value.get("id")))
        found = _approval_faults(approval, entry, request, opened, entries)
        if any(same_name(approval.approver, other.approval.approver) for other in given):
            found.append(f"{approval.approver!r} answered twice")
        faults += found
        if not found:
            given.append(Given(approval, entry.seq))
    made = None
    if decided is not None:
        decision = stored(workspace, Decision, str(decided.value.get("id")))
        made = Made(decision, decided.seq, _time(decided, "at"))
        faults += _decision_faults(made, decided, request, given, entries)
    return Standing(request, opened.seq, tuple(given), made, tuple(faults))


def standings(workspace: Workspace) -> list[Standing]:
    """Every change request ever opened, in order; one that cannot be read back is left out and logged."""
    entries = verified_entries(workspace)
    opened = dict.fromkeys(str(entry.value.get("id")) for entry in entries if entry.value.get("event") == OPENED)
    found = []
    for request_id in opened:
        try:
            found.append(standing(workspace, request_id, entries))
        except GovernanceError as error:
            log.warning("change request %s left out: %s", request_id[:12], error)
    return found


def obstacles(found: Standing, *, now: datetime) -> Obstacles:
    """What stands between a change request and its approval at `now`."""
    request = found.request
    failed = [
        f"gate {gate.gate!r} failed on {gate.metric}: {gate.measured}, required {gate.required}"
        for gate in request.gates
        if not gate.passed
    ]
    refused = [f"{given.approval.approver!r} rejected it" for given in found.approvals if not given.approval.approves]
    late = [f"the request expired at {request.expires_at.isoformat()}"] if now > request.expires_at else []
    approving = [given.approval for given in found.approvals if given.approval.approves]
    needed = max(request.approvals_needed, APPROVALS_NEEDED)
    count = min(len({one.approver.casefold() for one in approving}), len({one.public_key for one in approving}))
    missing = [f"{count} of {needed} approvals by different people with different keys"] if count < needed else []
    return Obstacles(tuple(failed + refused + late), tuple(missing))


def evidence_faults(workspace: Workspace, policy: PolicyVersion, evidence: Evidence) -> list[str]:
    """Why this evidence does not speak for this policy: of another, blind to its training, or overtaken by worse."""
    if evidence.policy != policy.id:
        return [f"evidence {evidence.short_id} is about policy {evidence.policy[:12]}, not {policy.short_id}"]
    faults = []
    known = {identity.content_hash for identity in evidence.firewall.training}
    unknown = sorted({signal.name for signal in policy.training_signals if signal.content_hash not in known})
    if unknown:
        faults.append(f"the evidence's firewall report does not know what trained the policy: {', '.join(unknown)}")
    about = [one for one in workspace.records.all(Evidence) if one.policy == policy.id]
    ids = [one.id for one in about]
    if evidence.id not in ids:
        return [*faults, f"evidence {evidence.short_id} is not in the records"]
    worse = [one.short_id for one in about[ids.index(evidence.id) + 1 :] if one.verdict != "SHIP"]
    if worse and evidence.verdict == "SHIP":
        faults.append(f"later evidence on the policy says otherwise: {', '.join(worse)}")
    return faults


def approval_statement(request_id: str, approver: str, approves: bool, comment: str) -> dict[str, object]:
    """What an approver signs."""
    return {"change_request": request_id, "approver": approver, "approves": approves, "comment": comment}


def decision_statement(
    request: ChangeRequest, outcome: str, approvals: Sequence[str], reason: str
) -> dict[str, object]:
    """What an owner signs."""
    return {
        "change_request": request.id,
        "policy": request.policy,
        "evidence": request.evidence,
        "outcome": outcome,
        "approvals": list(approvals),
        "reason": reason,
    }


def _gate_faults(workspace: Workspace, request: ChangeRequest, opened: Entry) -> list[str]:
    """The results in the request are the ones that its evidence gives under the gates in the ledger."""
    texts = opened.value.get("gates")
    try:
        gates = [Gate.model_validate_json(str(text)) for text in texts] if isinstance(texts, list) else None
    except ValidationError:
        gates = None
    if gates is None:
        return [f"entry {opened.seq} holds no readable gates"]
    if check_gates(gates, stored(workspace, Evidence, request.evidence)) != request.gates:
        return ["the gates' results are not the ones that the evidence gives"]
    return []


def _approval_faults(
    approval: Approval, entry: Entry, request: ChangeRequest, opened: Entry, entries: Sequence[Entry]
) -> list[str]:
    name = approval.approver
    faults = []
    person = people(entries).get(name)
    if person is None or person.seq > entry.seq:
        faults.append(f"{name!r} was not enrolled when answering")
    elif person.public_key != approval.public_key:
        faults.append(f"{name!r} answered with a key of somebody else")
    if same_name(name, request.requested_by):
        faults.append(f"{name!r} answered a request of their own")
    if approval.change_request != request.id or entry.seq < opened.seq:
        faults.append(f"the answer of {name!r} belongs to another request")
    if _time(entry, "at") > request.expires_at:
        faults.append(f"{name!r} answered after the request expired")
    statement = approval_statement(request.id, name, approval.approves, approval.comment)
    if not is_signed(approval.public_key, approval.signature, purpose=APPROVAL, statement=statement):
        faults.append(f"the signature of {name!r} does not verify")
    return faults


def _decision_faults(
    made: Made, entry: Entry, request: ChangeRequest, given: Sequence[Given], entries: Sequence[Entry]
) -> list[str]:
    decision = made.decision
    faults = []
    owners = {one.public_key for one in people(entries).values() if one.role == "owner" and one.seq < entry.seq}
    if decision.public_key not in owners:
        faults.append("the decision was not signed by an owner enrolled at the time")
    statement = decision_statement(request, decision.outcome, decision.approvals, decision.reason)
    if not is_signed(decision.public_key, decision.signature, purpose=DECISION, statement=statement):
        faults.append("the decision's signature does not verify")
    says = (decision.change_request, decision.policy, decision.evidence)
    if says != (request.id, request.policy, request.evidence) or entry.value.get("policy") != request.policy:
        faults.append("the decision speaks of another request, policy or evidence")
    if decision.approvals != tuple(one.approval.id for one in given):
        faults.append("the decision names other approvals than the ledger holds")
    return faults


def _is(entry: Entry, event: str, field: str, value: str) -> bool:
    fields = entry.value
    return fields.get("event") == event and fields.get(field) == value


def _time(entry: Entry, field: str) -> datetime:
    text = str(entry.value.get(field))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        todo = "keep the ledger as evidence; its entry was not written by this program"
        raise GovernanceError(explain(expected=f"a time in UTC in entry {entry.seq}", got=repr(text), do=todo))
    return moment
