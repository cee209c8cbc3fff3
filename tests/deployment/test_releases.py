"""Releases: only the reference needs no decision, and a decision speaks of one policy."""

import pytest
from deployment_parts import decision_on, policy_named

from assay.deployment import make_release
from assay.records.errors import DeploymentError
from assay.records.release import Release


def made(workspace, policy, decision, now):
    return make_release(workspace, policy, layers_digest="l", decision=decision, label="x", now=now)


def test_the_reference_policy_is_released_without_a_decision(workspace, now):
    release = made(workspace, policy_named(workspace, "base", now, method="reference"), None, now)
    assert release.decision is None
    assert workspace.records.get(Release, release.id) == release
    assert workspace.ledger.entries()[-1].value["event"] == "release_made"


def test_a_tuned_policy_is_released_with_its_approval(workspace, now):
    policy = policy_named(workspace, "tuned", now)
    decision = decision_on(policy.id, now)
    release = made(workspace, policy, decision, now)
    assert (release.decision, release.adapter, release.layers_digest) == (decision.id, policy.adapter, "l")


@pytest.mark.parametrize("outcome", ["none", "rejected", "another policy"])
def test_anything_but_an_approval_of_this_policy_is_refused(workspace, now, outcome):
    policy = policy_named(workspace, "tuned", now)
    decision = {
        "none": None,
        "rejected": decision_on(policy.id, now, outcome="rejected"),
        "another policy": decision_on("p" * 64, now),
    }[outcome]
    with pytest.raises(DeploymentError, match="approved"):
        made(workspace, policy, decision, now)
    assert workspace.records.count(Release) == 0
