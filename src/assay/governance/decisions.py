"""Decisions: read an approval back from the ledger before anything is exposed. Takes a policy, yields its decision.

Catches: a decision, approval, request or evidence that was changed, forged or removed since; signatures of people who
were not enrolled; gates that the evidence does not bear out; a later rejection, or later evidence against the policy.
Does not catch: a ledger that was rewritten whole, unless the caller gives a `witness` kept outside the host.
"""

from datetime import datetime

from assay.governance.history import DECISION, evidence_faults, obstacles, standing, stored, verified_entries
from assay.records.decision import Decision
from assay.records.errors import GovernanceError, LedgerError, explain
from assay.records.evidence import Evidence
from assay.records.policy import PolicyVersion
from assay.storage import Workspace
from assay.storage.ledger import Checkpoint


def approved_decision(
    workspace: Workspace, policy_id: str, *, now: datetime, witness: Checkpoint | None = None
) -> Decision:
    """The approving decision on a policy, verified from the ledger up. Only this may raise exposure.

    Raises GovernanceError, with all that is wrong, when the last decision on the policy does not allow its release.
    """
    entries = verified_entries(workspace)
    _check_witness(workspace, witness)
    about = [entry for entry in entries if entry.value.get("event") == DECISION]
    last = next((entry for entry in reversed(about) if entry.value.get("policy") == policy_id), None)
    if last is None:
        raise _refused(policy_id, ["no decision in the ledger"])
    found = standing(workspace, str(last.value.get("change_request")), entries)
    if found.made is None or found.made.seq != last.seq:
        raise _refused(policy_id, [f"entry {last.seq} is a second decision on one request"])
    decision, at = found.made.decision, found.made.at
    faults = list(found.faults)
    if decision.outcome != "approved":
        faults.append(f"the last decision is {decision.outcome}: {decision.reason}")
    else:
        faults += [fault for part in obstacles(found, now=at) for fault in part]
    if at > now:
        faults.append(f"it was decided in the future, at {at.isoformat()}")
    policy = stored(workspace, PolicyVersion, found.request.policy)
    evidence = stored(workspace, Evidence, found.request.evidence)
    faults += evidence_faults(workspace, policy, evidence)
    if faults:
        raise _refused(policy_id, faults)
    return decision


def _check_witness(workspace: Workspace, witness: Checkpoint | None) -> None:
    try:
        workspace.ledger.verify(witness)
    except LedgerError as error:
        raise GovernanceError(f"nothing is released on a ledger that lost what was witnessed: {error}") from error


def _refused(policy_id: str, faults: list[str]) -> GovernanceError:
    todo = "go through `assay release request`, `approve` and `decide`; exposure stays as it is"
    return GovernanceError(
        explain(expected=f"an approved decision on policy {policy_id[:12]!r}", got="; ".join(faults), do=todo)
    )
