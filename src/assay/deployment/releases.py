"""Releases: binds a policy to the layers it is served behind and to the decision that allows it, as one record.

Rolling out and rolling back go by releases, so that a model never comes back without what surrounded it.
"""

from datetime import datetime

from assay.records.decision import Decision
from assay.records.errors import DeploymentError, explain
from assay.records.policy import PolicyVersion
from assay.records.release import Release
from assay.storage import Workspace


def make_release(
    workspace: Workspace,
    policy: PolicyVersion,
    *,
    layers_digest: str,
    decision: Decision | None,
    label: str,
    now: datetime,
) -> Release:
    """Store a release of a policy and enter it in the ledger.

    Raises DeploymentError when the decision is not an approval of this very policy. Only the reference policy, which a
    project starts from, needs none.
    """
    _check_decision(policy, decision)
    release = Release(
        created_at=now,
        policy=policy.id,
        base_model=policy.base_model,
        adapter=policy.adapter,
        layers_digest=layers_digest,
        decision=None if decision is None else decision.id,
        label=label,
    )
    workspace.records.put(release, subject=policy.id)
    workspace.ledger.append("release_made", release=release.id, policy=policy.id, decision=release.decision)
    return release


def _check_decision(policy: PolicyVersion, decision: Decision | None) -> None:
    if decision is None:
        if policy.method == "reference":
            return
        got, expected = "none", f"an approved decision for policy {policy.short_id}"
    elif decision.policy != policy.id:
        got, expected = f"a decision on policy {decision.policy[:12]}", f"a decision on policy {policy.short_id}"
    elif decision.outcome != "approved":
        got, expected = f"outcome {decision.outcome!r} ({decision.reason})", f"policy {policy.short_id} to be approved"
    else:
        return
    raise DeploymentError(explain(expected=expected, got=got, do="ask for the change and have it approved first"))
