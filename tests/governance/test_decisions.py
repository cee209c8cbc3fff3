"""Decisions read back from the ledger: every forgery of a record, a signature or an entry refuses the release."""

import json
import sqlite3
from datetime import timedelta

import pytest
from governance_cases import LATER, NOW, WEEK, Office, some_evidence

from assay.governance import approve, approved_decision, create_key, decide, enroll
from assay.governance.history import (
    APPROVAL,
    DECISION,
    OPENED,
    approval_statement,
    decision_statement,
)
from assay.governance.signing import SigningKey, sign
from assay.records.decision import Approval, ChangeRequest, Decision
from assay.records.errors import GovernanceError
from assay.records.record import Record
from assay.storage.ledger import Checkpoint

AFTER = LATER + timedelta(hours=1)


def rewrite(office: Office, record: Record, **fields: object) -> None:
    """Change a stored body in place, as somebody with access to the database file could."""
    connection = sqlite3.connect(office.workspace.directory / "assay.db")
    body = json.loads(connection.execute("SELECT body FROM record WHERE id = ?", [record.id]).fetchone()[0])
    connection.execute("UPDATE record SET body = ? WHERE id = ?", [json.dumps({**body, **fields}), record.id])
    connection.commit()
    connection.close()


def forge_approval(office: Office, request: ChangeRequest, key: SigningKey, *, at: object = NOW, **changes) -> None:
    """An approval written past `approve`, with the entry that would go with it."""
    fields = {"approver": key.name, "public_key": key.public_key, "comment": "", **changes}
    statement = approval_statement(request.id, fields["approver"], True, "")
    fields.setdefault("signature", sign(key, APPROVAL, statement))
    approval = Approval(change_request=request.id, approves=True, created_at=NOW, **fields)
    office.workspace.records.put(approval)
    office.workspace.ledger.append(
        APPROVAL, id=approval.id, change_request=request.id, at=at if isinstance(at, str) else at.isoformat()
    )


def forge_decision(office: Office, request: ChangeRequest, key: SigningKey, approvals: tuple[str, ...] = ()) -> None:
    statement = decision_statement(request, "approved", approvals, "said so")
    decision = Decision(
        change_request=request.id,
        policy=request.policy,
        evidence=request.evidence,
        outcome="approved",
        approvals=approvals,
        reason="said so",
        public_key=key.public_key,
        signature=sign(key, DECISION, statement),
        created_at=NOW,
    )
    office.workspace.records.put(decision)
    office.workspace.ledger.append(
        DECISION, id=decision.id, change_request=request.id, policy=request.policy, at=LATER.isoformat()
    )


def refused(office: Office, match: str) -> None:
    with pytest.raises(GovernanceError, match=match):
        approved_decision(office.workspace, office.policy.id, now=AFTER)


def test_an_approved_decision_is_read_back(office: Office) -> None:
    decision = office.release()
    assert approved_decision(office.workspace, office.policy.id, now=AFTER) == decision


def test_without_a_decision_there_is_no_release(office: Office) -> None:
    refused(office, "no decision in the ledger")
    request = office.request()
    office.answer(request, office.anna)
    office.answer(request, office.ben)
    refused(office, "no decision in the ledger")


def test_a_rejected_decision_is_no_release_and_the_last_word_counts(office: Office) -> None:
    office.release()
    second = office.request(requested_by="zoe")
    approve(office.workspace, second, key=office.anna, comment="no", approves=False, now=LATER)
    decide(office.workspace, second, key=office.olga, now=LATER)
    refused(office, "the last decision is rejected: 'anna' rejected it")


def test_a_decision_record_without_its_ledger_entry_is_no_release(office: Office) -> None:
    request = office.request()
    office.workspace.records.put(
        Decision(
            change_request=request.id,
            policy=office.policy.id,
            evidence=office.evidence.id,
            outcome="approved",
            approvals=("x", "y"),
            reason="trust me",
            public_key="0" * 64,
            signature="0" * 128,
            created_at=NOW,
        )
    )
    refused(office, "no decision in the ledger")


def test_a_changed_record_of_any_kind_refuses_the_release(tmp_path) -> None:
    for number, (kind, fields) in enumerate(
        (
            (Decision, {"reason": "changed"}),
            (ChangeRequest, {"requested_by": "nobody"}),
            (Approval, {"comment": "changed"}),
            ("evidence", {"verdict": "SHIP", "reason": "changed"}),
            ("policy", {"adapter": "changed"}),
        )
    ):
        office = Office(tmp_path / str(number))
        office.release()
        named = {"evidence": office.evidence, "policy": office.policy}
        record = named[kind] if isinstance(kind, str) else office.workspace.records.latest(kind)
        rewrite(office, record, **fields)
        refused(office, "the ledger names.*got content")


def test_a_moved_created_at_does_not_bring_an_expired_approval_to_life(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    forge_approval(office, request, office.ben, at=NOW + WEEK + timedelta(days=1))
    with pytest.raises(GovernanceError, match="'ben' answered after the request expired"):
        decide(office.workspace, request, key=office.olga, now=LATER)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"signature": "0" * 128}, "signature of 'ben' does not verify"),
        ({"approver": "rita"}, "'rita' was not enrolled"),
        ({"approver": "olga"}, "'olga' answered with a key of somebody else"),
        ({"comment": "never signed"}, "signature of 'ben' does not verify"),
        ({"at": "once"}, "a time in UTC in entry 6"),
    ],
)
def test_a_forged_approval_stops_the_decision(office: Office, changes: dict[str, str], word: str) -> None:
    request = office.request()
    office.answer(request, office.anna)
    forge_approval(office, request, office.ben, **changes)
    with pytest.raises(GovernanceError, match=word):
        decide(office.workspace, request, key=office.olga, now=LATER)


def test_an_approval_moved_from_another_request_does_not_count(office: Office) -> None:
    first, second = office.request(), office.request(requested_by="zoe")
    moved = office.answer(first, office.anna)
    office.workspace.ledger.append(APPROVAL, id=moved, change_request=second.id, at=NOW.isoformat())
    with pytest.raises(GovernanceError, match="belongs to another request"):
        decide(office.workspace, second, key=office.olga, now=LATER)


def test_a_person_enrolled_after_answering_does_not_count(office: Office) -> None:
    request = office.request()
    office.answer(request, office.anna)
    carla = create_key(office.keys, "carla")
    forge_approval(office, request, carla)
    enroll(office.workspace, carla, role="approver", now=NOW)
    with pytest.raises(GovernanceError, match="'carla' was not enrolled when answering"):
        decide(office.workspace, request, key=office.olga, now=LATER)


def test_an_owner_alone_cannot_release_by_writing_past_the_rules(office: Office) -> None:
    request = office.request()
    forge_decision(office, request, office.olga)
    refused(office, "0 of 2 approvals")


def test_a_decision_signed_by_an_approver_is_no_release(office: Office) -> None:
    request = office.request()
    approvals = (office.answer(request, office.anna), office.answer(request, office.ben))
    forge_decision(office, request, office.ben, approvals)
    refused(office, "not signed by an owner")


def test_a_decision_that_hides_a_rejection_is_no_release(office: Office) -> None:
    request = office.request()
    approvals = (office.answer(request, office.anna), office.answer(request, office.ben))
    office.answer(request, office.hire("carla", "approver"), approves=False)
    forge_decision(office, request, office.olga, approvals)
    refused(office, r"names other approvals than the ledger holds; .*'carla' rejected it")


def test_a_request_that_asks_for_one_approval_still_needs_two(office: Office) -> None:
    fields = office.request().model_dump() | {"approvals_needed": 1, "reason": "cheaper"}
    request = ChangeRequest.model_validate(fields)
    office.workspace.records.put(request)
    opened = office.workspace.ledger.entries(OPENED)[0].value
    office.workspace.ledger.append(OPENED, id=request.id, gates=opened["gates"], at=NOW.isoformat())
    approvals = (office.answer(request, office.anna),)
    forge_decision(office, request, office.olga, approvals)
    refused(office, "1 of 2 approvals")


def test_results_that_the_evidence_does_not_bear_out_are_no_release(tmp_path) -> None:
    office = Office(tmp_path, verdict="HOLD")
    honest = office.request()
    glossed = tuple(gate.model_copy(update={"passed": True}) for gate in honest.gates)
    request = ChangeRequest.model_validate(honest.model_dump() | {"gates": glossed})
    office.workspace.records.put(request)
    opened = office.workspace.ledger.entries(OPENED)[0].value
    office.workspace.ledger.append(OPENED, id=request.id, gates=opened["gates"], at=NOW.isoformat())
    with pytest.raises(GovernanceError, match="not the ones that the evidence gives"):
        office.answer(request, office.anna)


@pytest.mark.parametrize("gates", [None, "text", ["{"], ['{"name": "x", "metric": "kl"}']])
def test_gates_that_cannot_be_read_back_stop_the_answers(office: Office, gates: object) -> None:
    request = ChangeRequest.model_validate(office.request().model_dump() | {"reason": "again"})
    office.workspace.records.put(request)
    office.workspace.ledger.append(OPENED, id=request.id, gates=gates, at=NOW.isoformat())
    with pytest.raises(GovernanceError, match="entry 5 holds no readable gates"):
        office.answer(request, office.anna)


def test_an_answer_after_the_decision_changes_nothing(office: Office) -> None:
    decision = office.release()
    request = office.workspace.records.get(ChangeRequest, decision.change_request)
    forge_approval(office, request, office.olga)
    assert approved_decision(office.workspace, office.policy.id, now=AFTER) == decision


def test_a_decision_with_a_signature_of_something_else_or_about_another_policy_is_no_release(office: Office) -> None:
    decision = office.release()
    forged = decision.model_copy(update={"reason": "other words", "policy": "f" * 64})
    forged = Decision.model_validate(forged.model_dump())
    office.workspace.records.put(forged)
    second = ChangeRequest.model_validate(
        office.workspace.records.get(ChangeRequest, decision.change_request).model_dump() | {"reason": "again"}
    )
    office.workspace.records.put(second)
    opened = office.workspace.ledger.entries(OPENED)[0].value
    office.workspace.ledger.append(OPENED, id=second.id, gates=opened["gates"], at=NOW.isoformat())
    office.workspace.ledger.append(
        DECISION, id=forged.id, change_request=second.id, policy=office.policy.id, at=LATER.isoformat()
    )
    refused(office, "signature does not verify; the decision speaks of another request, policy or evidence")


def test_a_second_decision_on_one_request_refuses_the_release(office: Office) -> None:
    decision = office.release()
    request = office.workspace.records.get(ChangeRequest, decision.change_request)
    forge_decision(office, request, office.olga, decision.approvals)
    refused(office, "entry 8 is a second decision on one request")


def test_later_evidence_against_the_policy_takes_the_release_back(office: Office) -> None:
    decision = office.release()
    office.workspace.records.put(some_evidence(office.policy, prompts=400))
    assert approved_decision(office.workspace, office.policy.id, now=AFTER) == decision
    office.workspace.records.put(some_evidence(office.policy, verdict="DO NOT SHIP", reason="found an exploit"))
    refused(office, "later evidence on the policy says otherwise")


def test_a_decision_from_the_future_is_no_release(office: Office) -> None:
    office.release()
    with pytest.raises(GovernanceError, match="in the future"):
        approved_decision(office.workspace, office.policy.id, now=NOW)


def test_a_broken_chain_releases_nothing(office: Office) -> None:
    office.release()
    connection = sqlite3.connect(office.workspace.directory / "ledger.db")
    connection.execute("UPDATE entry SET body = CAST(replace(body, 'anna', 'anne') AS BLOB) WHERE seq = 2")
    connection.commit()
    connection.close()
    refused(office, "broken ledger: .*entry 2")


def test_a_truncated_ledger_releases_nothing_against_a_witness(office: Office) -> None:
    office.release()
    witness = office.workspace.ledger.checkpoint()
    assert approved_decision(office.workspace, office.policy.id, now=AFTER, witness=witness)
    longer = Checkpoint(witness.size + 1, "0" * 64)
    with pytest.raises(GovernanceError, match="lost what was witnessed"):
        approved_decision(office.workspace, office.policy.id, now=AFTER, witness=longer)
