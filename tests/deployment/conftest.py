"""Fixtures of the deployment room: a line of releases, and a gateway with its client."""

import pytest
from deployment_parts import Gateway, Line


@pytest.fixture
def line(workspace, now):
    return Line(workspace, now)


@pytest.fixture
def gateway(line, now):
    line.rollout.start(line.reference, now=now)
    return Gateway(line, now)


@pytest.fixture
def rolling(gateway, now):
    """The same with a candidate at full share."""
    gateway.line.decisions.approved.add(gateway.line.tuned.policy)
    gateway.line.rollout.propose(gateway.line.tuned, share_percent=100, now=now)
    return gateway
