"""Change control: who may answer, when, how often; what a decision needs; no ledger entry, no record."""

from datetime import timedelta

import pytest
from governance_cases import GATES, LATER, NOW, REWARD, WEEK, Office, a_policy, some_evidence
from sqlalchemy import create_engine, text

from assay.governance import approve, create_key, decide, open_change_request, standings
from assay.governance.signing import SigningKey
from assay.records.decision import Approval, ChangeRequest, Decision
from assay.records.errors import GovernanceError, LedgerError
from assay.records.evidence import FirewallReport
from assay.storage import Ledger


def test_two_people_and_every_gate_make_an_approved_decision(office: Office) -> None:
    decision = office.release()
    assert decision.outcome == "approved"
    assert decision.reason == "every gate passed; approved by anna, ben"
    assert len(decision.approvals) == 2
    events = [entry.value["event"] for entry in office.workspace.ledger.entries()]
    assert events == ["key_enrolled"] * 3 + ["change_request_opened", "approval", "approval", "decision"]


def test_evidence_about_another_policy_is_refused(office: Office) -> None:
    other = a_policy(name="other")
    with pytest.raises(GovernanceError, match="is about policy"):
        open_change_request(
            office.workspace,
            other,
            evidence=office.evidence,
            requested_by="rita",
            reason="r",
            gates=GATES,
            now=NOW,
            expires_in=WEEK,
        )


def test_a_request_that_is_wrong_in_many_ways_is_told_all_of_them(office: Office) -> None:
    policy = a_policy(name="unstored", training_signals=(REWARD.model_copy(update={"content_hash": "9" * 64}),))
    with pytest.raises(GovernanceError) as caught:
        open_change_request(
            office.workspace,
            policy,
            evidence=some_evidence(policy),
            requested_by="rita",
            reason=" ",
            gates=GATES,
            now=NOW,
            expires_in=timedelta(0),
        )
    for part in ("does not know what trained the policy: helpful", "evidence", "policy", "no reason", "a life of"):
        assert part in str(caught.value)
    assert office.workspace.records.count(ChangeRequest) == 0


def test_evidence_that_later_evidence_contradicts_is_refused(office: Office) -> None:
    worse = some_evidence(office.policy, verdict="HOLD", reason="not sure any more")
    office.workspace.records.put(worse)
    with pytest.raises(GovernanceError, match=worse.short_id):
        office.request()


def test_a_request_with_failed_gates_is_open_for_people_to_see_and_can_only_be_rejected(tmp_path) -> None:
    office = Office(tmp_path, verdict="HOLD", regressions=())
    request = office.request()
    assert [gate.gate for gate in request.gates if not gate.passed] == ["verdict", "regressions"]
    office.answer(request, office.anna)
    office.answer(request, office.ben)
    decision = decide(office.workspace, request, key=office.olga, now=LATER)
    assert decision.outcome == "rejected"
    assert "'verdict' failed" in decision.reason
    assert "'regressions' failed" in decision.reason


def test_only_an_enrolled_person_with_their_own_key_may_answer(office: Office) -> None:
    request = office.request()
    stranger = create_key(office.keys, "carla")
    with pytest.raises(GovernanceError, match="not enrolled"):
        office.answer(request, stranger)
    with pytest.raises(GovernanceError, match="was enrolled with"):
        office.answer(request, SigningKey("anna", office.ben.private))
    assert office.workspace.records.count(Approval) == 0


@pytest.mark.parametrize("name", ["anna", "Anna"])
def test_the_requester_may_not_answer(office: Office, name: str) -> None:
    request = office.request(requested_by=name)
    with pytest.raises(GovernanceError, match="another person must answer"):
        office.answer(request, office.anna)


def test_nobody_answers_twice_not_even_to_change_their_mind(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    for approves in (True, False):
        with pytest.raises(GovernanceError, match="has answered already"):
            office.answer(request, office.anna, approves=approves)


def test_an_answer_counts_until_the_moment_of_expiry_and_not_after(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna, now=NOW + WEEK)
    with pytest.raises(GovernanceError, match="expired at"):
        office.answer(request, office.ben, now=NOW + WEEK + timedelta(seconds=1))


def test_a_request_without_enough_approvals_is_not_decided_and_all_that_is_missing_is_listed(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    with pytest.raises(GovernanceError, match=r"'ben' is enrolled as approver.*1 of 2 approvals"):
        decide(office.workspace, request, key=office.ben, now=LATER)
    assert office.workspace.records.count(Decision) == 0


def test_one_rejection_rejects(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    office.answer(request, office.ben)
    office.answer(request, office.hire("carla", "approver"), approves=False)
    decision = decide(office.workspace, request, key=office.olga, now=LATER)
    assert (decision.outcome, decision.reason) == ("rejected", "'carla' rejected it")


def test_an_expired_request_is_rejected_even_with_its_approvals(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    office.answer(request, office.ben)
    decision = decide(office.workspace, request, key=office.olga, now=NOW + 2 * WEEK)
    assert decision.outcome == "rejected"
    assert "expired" in decision.reason


def test_evidence_that_turns_bad_before_the_decision_rejects(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    office.answer(request, office.ben)
    office.workspace.records.put(some_evidence(office.policy, verdict="DO NOT SHIP", reason="worse after all"))
    assert decide(office.workspace, request, key=office.olga, now=LATER).outcome == "rejected"


def test_a_decided_request_takes_neither_answers_nor_a_second_decision(office: Office) -> None:
    office.release()
    [found] = standings(office.workspace)
    with pytest.raises(GovernanceError, match="approved already, in entry 7"):
        decide(office.workspace, found.request, key=office.olga, now=LATER)
    with pytest.raises(GovernanceError, match="approved already"):
        office.answer(found.request, office.olga)


def test_a_request_that_the_ledger_does_not_hold_cannot_be_approved(office: Office) -> None:
    request = office.request()
    aside = request.model_copy(update={"reason": "written into the database by hand"})
    aside = ChangeRequest.model_validate(aside.model_dump())
    office.workspace.records.put(aside)
    with pytest.raises(GovernanceError, match="in the ledger"):
        office.answer(aside, office.anna)


def test_without_a_durable_ledger_entry_there_is_no_record(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    request = office.request()
    office.answer(request, office.anna)

    def refuse(*_: object, **__: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(Ledger, "append", refuse)
    kinds = office.workspace.records.kinds()
    with pytest.raises(LedgerError):
        office.request(requested_by="zoe")
    with pytest.raises(LedgerError):
        office.answer(request, office.ben)
    with pytest.raises(LedgerError):
        approve(office.workspace, request, key=office.ben, comment="", approves=False, now=NOW)
    assert office.workspace.records.kinds() == kinds


def test_the_ledger_bodies_hold_text_whole_numbers_flags_and_lists_only(office: Office) -> None:
    office.release()
    for entry in office.workspace.ledger.entries():
        for value in entry.value.values():
            assert isinstance(value, str | int | bool) or all(isinstance(item, str) for item in value)


def test_a_policy_whose_signals_the_firewall_never_saw_is_refused(office: Office) -> None:
    evidence = some_evidence(office.policy, firewall=FirewallReport(training=(), evaluation=(), is_clean=True))
    office.workspace.records.put(evidence)
    office.evidence = evidence
    with pytest.raises(GovernanceError, match="does not know what trained the policy: helpful"):
        office.request()


def test_a_request_whose_record_is_gone_is_left_out_of_the_list_and_logged(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    request = office.request()
    engine = create_engine(f"sqlite:///{office.workspace.directory / 'assay.db'}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM record WHERE id = :id"), {"id": request.id})
    engine.dispose()
    assert standings(office.workspace) == []
    assert request.short_id in caplog.text
