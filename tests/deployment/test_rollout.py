"""Rollout: no sequence of events raises exposure without a decision; lowering needs nobody, not even a ledger."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from deployment_parts import decision_on
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.deployment import Rollout
from assay.deployment.pointer import Pointer, PointerFile
from assay.deployment.rollout import bucket_of, release_for
from assay.governance import approved_decision
from assay.records.errors import AssayError, DeploymentError, GovernanceError, LedgerError
from assay.records.release import RolloutStatus

AT = datetime(2026, 1, 1, tzinfo=UTC)


def break_ledger(workspace):
    """Put a directory where the ledger's file was: every read and write of it fails from now on."""
    path = workspace.ledger.path
    for file in path.parent.glob("ledger.db*"):
        file.rename(file.with_name(f"saved-{file.name}"))
    path.mkdir()


def mend_ledger(workspace):
    path = workspace.ledger.path
    path.rmdir()
    for file in path.parent.glob("saved-ledger.db*"):
        file.rename(file.with_name(file.name.removeprefix("saved-")))


@pytest.fixture
def started(line, now):
    line.rollout.start(line.reference, now=now)
    return line


@pytest.fixture
def running(started, now):
    started.decisions.approved.add(started.tuned.policy)
    started.rollout.propose(started.tuned, share_percent=10, now=now)
    return started


def stands(line):
    status = line.rollout.status
    return status.stable, status.candidate, status.share_percent, status.state


def test_the_reference_starts_the_line_and_only_once(line, now):
    line.rollout.start(line.reference, now=now)
    assert stands(line) == (line.reference.id, None, 0, "idle")
    assert line.decisions.asked == 0
    with pytest.raises(DeploymentError, match="propose the new one"):
        line.rollout.start(line.reference, now=now)


def test_a_tuned_policy_starts_a_line_only_with_a_decision(line, now):
    with pytest.raises(GovernanceError):
        line.rollout.start(line.tuned, now=now)
    with pytest.raises(DeploymentError, match="start one"):
        _ = line.rollout.status
    line.decisions.approved.add(line.tuned.policy)
    line.rollout.start(line.tuned, now=now)
    assert stands(line)[0] == line.tuned.id


def test_a_whole_walk_from_proposal_to_promotion_and_back(running, now):
    line, rollout = running, running.rollout
    assert stands(line) == (line.reference.id, line.tuned.id, 10, "running")
    rollout.raise_share(50, now=now)
    rollout.hold("odd numbers", now=now)
    rollout.resume(now=now)
    rollout.promote(now=now)
    assert stands(line) == (line.tuned.id, None, 0, "promoted")
    rollout.roll_back("it went wrong", now=now)
    assert stands(line) == (line.reference.id, None, 0, "rolled_back")
    walk = ["rollout_started", "rollout_proposed", "share_raised", "rollout_held", "rollout_resumed", "promoted"]
    assert [event for event in line.events() if event != "release_made"] == [*walk, "rolled_back"]
    line.workspace.ledger.verify()


def test_each_raise_asks_for_the_decision_again(running, now):
    running.decisions.approved.clear()
    for raises in (lambda: running.rollout.raise_share(20, now=now), lambda: running.rollout.promote(now=now)):
        with pytest.raises(GovernanceError):
            raises()
    running.rollout.hold("wait", now=now)
    with pytest.raises(GovernanceError):
        running.rollout.resume(now=now)
    assert stands(running) == (running.reference.id, running.tuned.id, 10, "held")


@pytest.mark.parametrize("answer", ["another policy", "rejected"])
def test_a_decision_that_does_not_fit_is_refused(line, now, answer):
    def read(workspace, policy_id, *, now):
        fits = answer != "another policy"
        return decision_on(policy_id if fits else "p" * 64, now, "rejected" if fits else "approved")

    line.rollout.start(line.reference, now=now)
    with pytest.raises(GovernanceError, match="an approval of policy"):
        Rollout(line.workspace, read_decision=read).propose(line.tuned, share_percent=1, now=now)


def test_without_a_stand_in_the_ledger_itself_is_asked(started, now):
    with pytest.raises(GovernanceError):
        Rollout(started.workspace).propose(started.tuned, share_percent=1, now=now)
    assert Rollout.__init__.__kwdefaults__["read_decision"] is approved_decision


def test_a_release_that_names_other_weights_than_its_policy_is_refused(started, now):
    forged = started.tuned.model_copy(update={"adapter": "c" * 64})
    forged = type(forged).model_validate(forged.model_dump())
    started.workspace.records.put(forged)
    started.decisions.approved.add(forged.policy)
    with pytest.raises(DeploymentError, match="other weights"):
        started.rollout.propose(forged, share_percent=1, now=now)


@pytest.mark.parametrize("share", [-1, 0, 101])
def test_a_share_outside_its_range_is_refused(started, now, share):
    started.decisions.approved.add(started.tuned.policy)
    with pytest.raises(DeploymentError, match="up to 100 %"):
        started.rollout.propose(started.tuned, share_percent=share, now=now)


def test_a_share_is_raised_only_upwards_and_only_while_running(running, now):
    with pytest.raises(DeploymentError, match="above 10"):
        running.rollout.raise_share(10, now=now)
    running.rollout.shrink("alarm", now=now)
    with pytest.raises(DeploymentError, match="resume or abort"):
        running.rollout.raise_share(50, now=now)


def test_a_second_candidate_waits_for_the_first(running, now):
    running.decisions.approved.add(running.other.policy)
    with pytest.raises(DeploymentError, match="promote or abort"):
        running.rollout.propose(running.other, share_percent=1, now=now)


def test_shrinking_halves_the_share_down_to_nothing_and_never_raises_it(running, now):
    shares = [running.rollout.shrink("alarm", now=now).status.share_percent for _ in range(5)]
    assert shares == [5, 2, 1, 0, 0]
    assert stands(running)[3] == "held"
    assert running.rollout.shrink("x", now=now, to_percent=90).status.share_percent == 0


def test_abort_takes_the_candidate_away(running, now):
    running.rollout.abort("no", now=now)
    assert stands(running) == (running.reference.id, None, 0, "aborted")
    with pytest.raises(DeploymentError, match="nothing to lower"):
        running.rollout.hold("x", now=now)


def test_rolling_back_twice_takes_the_candidate_and_then_the_promotion(running, now):
    running.rollout.promote(now=now)
    running.decisions.approved.add(running.other.policy)
    running.rollout.propose(running.other, share_percent=5, now=now)
    running.rollout.roll_back("one", now=now)
    assert stands(running) == (running.tuned.id, None, 0, "rolled_back")
    running.rollout.roll_back("two", now=now)
    assert stands(running) == (running.reference.id, None, 0, "rolled_back")
    with pytest.raises(DeploymentError, match="go back to"):
        running.rollout.roll_back("three", now=now)


def test_lowering_works_without_a_ledger_says_so_and_is_entered_later(running, now):
    line = running
    line.rollout.raise_share(50, now=now)
    break_ledger(line.workspace)
    first = line.rollout.shrink("alarm", now=now)
    second = line.rollout.roll_back("worse", now=now)
    assert (first.events_waiting, second.events_waiting) == (1, 2)
    assert "could not be written: 2 events wait" in second.note
    assert stands(line) == (line.reference.id, None, 0, "rolled_back")
    with pytest.raises(DeploymentError, match="mend the ledger"):
        line.rollout.propose(line.other, share_percent=1, now=now)
    mend_ledger(line.workspace)
    line.decisions.approved.add(line.other.policy)
    assert line.rollout.propose(line.other, share_percent=1, now=now).note == ""
    assert line.events()[-3:] == ["share_shrunk", "rolled_back", "rollout_proposed"]
    assert [entry.value["change"] for entry in line.workspace.ledger.entries()[-3:]] == [4, 5, 6]


def test_raising_without_a_ledger_does_nothing(running, now):
    break_ledger(running.workspace)
    before = running.rollout.pointer
    with pytest.raises(LedgerError):
        running.rollout.raise_share(50, now=now)
    assert running.rollout.pointer == before


def test_a_roll_back_during_a_raise_wins(running, now):
    line = running

    def slow(workspace, policy_id, *, now):
        line.rollout.roll_back("meanwhile", now=now)
        return decision_on(policy_id, now)

    with pytest.raises(DeploymentError, match="a change meanwhile"):
        Rollout(line.workspace, read_decision=slow).promote(now=now)
    assert stands(line) == (line.reference.id, None, 0, "rolled_back")
    assert line.events()[-1] == "raise_not_done"


def test_a_broken_pointer_is_an_error_and_never_a_guess(running):
    PointerFile(running.workspace.directory).path.write_text("{", encoding="utf-8")
    with pytest.raises(DeploymentError, match="restore the file"):
        _ = Rollout(running.workspace).status


def test_a_kill_between_swap_and_ledger_loses_no_event(running, now, monkeypatch):
    monkeypatch.setattr(PointerFile, "drain", lambda self, ledger: 1)
    running.rollout.abort("killed right after the swap", now=now)
    monkeypatch.undo()
    assert running.events()[-1] == "rollout_proposed"
    assert PointerFile(running.workspace.directory).drain(running.workspace.ledger) == 0
    assert running.events()[-1] == "rollout_aborted"


def pointer_at(share, candidate="c"):
    status = RolloutStatus(stable="s", candidate=candidate, share_percent=share, state="running", reason="")
    return Pointer(status=status, salt="salt")


@given(st.text(min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_who_has_the_candidate_keeps_it_when_the_share_grows(user, one, two):
    low, high = sorted((one, two))
    if release_for(pointer_at(low), user) == "c":
        assert release_for(pointer_at(high), user) == "c"
    assert release_for(pointer_at(0), user) == "s"
    assert release_for(pointer_at(100), user) == "c"
    assert release_for(pointer_at(100), None) == "s"


def test_buckets_are_even_and_differ_between_lines():
    users = [f"user-{number}" for number in range(4000)]
    shares = [bucket_of("one", user) < 25 for user in users]
    # Binomial(4000, 0.25): mean 1000, standard deviation 27.4; the bound is five of them.
    assert abs(sum(shares) - 1000) < 137
    assert [bucket_of("two", user) < 25 for user in users] != shares


STEPS = st.lists(
    st.sampled_from(
        ["approve tuned", "approve other", "revoke", "break", "mend", "start", "start tuned", "propose tuned"]
        + ["propose other", "raise", "resume", "promote", "shrink", "hold", "abort", "roll_back"]
    ),
    min_size=4,
    max_size=20,
)


def exposure(rollout):
    """Percent of the people that each release may reach."""
    try:
        status = rollout.status
    except DeploymentError:
        return {}
    shares = {status.stable: 100 - status.share_percent}
    return shares if status.candidate is None else {**shares, status.candidate: status.share_percent}


def take(step, line, share):
    rollout = line.rollout
    actions = {
        "approve tuned": lambda: line.decisions.approved.add(line.tuned.policy),
        "approve other": lambda: line.decisions.approved.add(line.other.policy),
        "revoke": line.decisions.approved.clear,
        "break": lambda: break_ledger(line.workspace),
        "mend": lambda: mend_ledger(line.workspace),
        "start": lambda: rollout.start(line.reference, now=AT),
        "start tuned": lambda: rollout.start(line.tuned, now=AT),
        "propose tuned": lambda: rollout.propose(line.tuned, share_percent=share, now=AT),
        "propose other": lambda: rollout.propose(line.other, share_percent=share, now=AT),
        "raise": lambda: rollout.raise_share(share, now=AT),
        "resume": lambda: rollout.resume(now=AT),
        "promote": lambda: rollout.promote(now=AT),
        "shrink": lambda: rollout.shrink("x", now=AT),
        "hold": lambda: rollout.hold("x", now=AT),
        "abort": lambda: rollout.abort("x", now=AT),
        "roll_back": lambda: rollout.roll_back("x", now=AT),
    }
    with suppress(AssayError, OSError):
        actions[step]()


def start_afresh(line):
    line.decisions.approved = {line.tuned.policy}
    PointerFile(line.workspace.directory).path.unlink(missing_ok=True)
    if line.workspace.ledger.path.is_dir():
        mend_ledger(line.workspace)
    line.rollout = Rollout(line.workspace, read_decision=line.decisions)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, shares=st.randoms(use_true_random=False))
def test_no_sequence_of_events_raises_exposure_without_a_decision(line, steps, shares):
    start_afresh(line)
    policies = {r.id: r.policy for r in (line.reference, line.tuned, line.other)}
    has_been_stable = set()
    for step in ["start", *steps]:
        before, is_broken = exposure(line.rollout), line.workspace.ledger.path.is_dir()
        approved = set(line.decisions.approved)
        take(step, line, shares.randint(1, 100))
        after = exposure(line.rollout)
        has_been_stable |= {line.rollout.status.stable} if after else set()
        for release, share in after.items():
            if share <= before.get(release, 0):
                continue
            is_return = release in has_been_stable and step in ("shrink", "abort", "roll_back")
            is_reference = release == line.reference.id and step == "start"
            assert is_return or is_reference or (policies[release] in approved and not is_broken), (step, after)
