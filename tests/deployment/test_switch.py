"""Switch: off works for anybody and without a ledger, on needs the candidate's decision to stand."""

import pytest

from assay.deployment import flag_client, may_serve_candidate, switch_off, switch_on
from assay.records.errors import AssayError, GovernanceError


@pytest.fixture
def flags(line, now):
    line.rollout.start(line.reference, now=now)
    line.decisions.approved.add(line.tuned.policy)
    line.rollout.propose(line.tuned, share_percent=50, now=now)
    return line.workspace.directory / "flags.json"


def test_on_reads_the_decision_and_enters_it_in_the_ledger_first(line, flags, now):
    switch_on(line.workspace, line.rollout, flags, now=now)
    assert may_serve_candidate(flag_client(flags))
    assert line.workspace.ledger.entries("switched_on")[0].value["decision"] is not None


def test_on_is_refused_where_the_decision_no_longer_stands(line, flags, now):
    switch_off(line.workspace, flags, now=now)
    line.decisions.approved.clear()
    with pytest.raises(GovernanceError):
        switch_on(line.workspace, line.rollout, flags, now=now)
    assert not may_serve_candidate(flag_client(flags))


def test_without_a_ledger_off_works_and_says_so_while_on_is_refused(line, flags, now):
    switch_on(line.workspace, line.rollout, flags, now=now)
    line.workspace.ledger.path.rename(line.workspace.ledger.path.with_name("away.db"))
    line.workspace.ledger.path.mkdir()
    assert "the ledger could not be told" in switch_off(line.workspace, flags, now=now)
    assert not may_serve_candidate(flag_client(flags))
    with pytest.raises(AssayError):
        switch_on(line.workspace, line.rollout, flags, now=now)
    assert not may_serve_candidate(flag_client(flags))
