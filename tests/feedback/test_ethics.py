"""Ethics review: a draft opens by a second person's signature over all that people are put through, or not at all."""

import json
from datetime import timedelta

import pytest
import yaml
from feedback_cases import feedback

from assay.cli.feedback_ethics import require_open
from assay.feedback import TEXTS, open_campaign, queue_of
from assay.feedback.campaign import CampaignState, Run, state_of
from assay.feedback.consent import ConsentText
from assay.feedback.ethics import Plan, answer, close, dossier_of, read_plan, submit, waiting
from assay.governance import create_key, enroll
from assay.governance.ethics import SIGNED, record_submission, sign_dossier, signer_of
from assay.records.conversation import user_prompt
from assay.records.errors import GovernanceError, InputError, LedgerError
from assay.records.judgement import Item

PLAN = {
    "risk": "more_than_minimal",
    "harms": "Some completions are rude; people may skip them.",
    "people": "Staff of the kitchen.",
    "minutes_an_item": 1.5,
    "pay_an_hour": 20,
    "currency": "EUR",
    "retention_days": 365,
    "contact": "ethics@kitchen.example",
}


def _items(now, count, start=0, campaign="k"):
    return [
        Item(campaign=campaign, prompt=user_prompt(f"p{n}"), first="a", second="b", created_at=now)
        for n in range(start, start + count)
    ]


@pytest.fixture
def plan(now):
    return Plan(**PLAN, created_at=now)


@pytest.fixture
def leases(workspace, now):
    open_campaign(workspace.records, "k", _items(now, 40), now=now, run=Run(overlap=3, needs_review=True))
    return queue_of(workspace.records)


@pytest.fixture
def keys(workspace, now):
    made = {name: create_key(workspace.directory / "keys", name) for name in ("ada", "bob")}
    for key in made.values():
        enroll(workspace, key, role="approver", now=now)
    return made


def _sign(workspace, key, dossier, now, *, approves=True, comment="read all of it"):
    return sign_dossier(workspace, "k", dossier, key=key, comment=comment, approves=approves, now=now)


def test_a_dossier_says_what_it_costs_and_changes_with_anything_in_it(leases, plan, now, monkeypatch):
    dossier = dossier_of(leases, "k", plan)
    assert (dossier.items, dossier.people_an_item) == (40, 3)
    assert (dossier.hours, dossier.cost) == (3.0, 60.0)
    later = plan.model_copy(update={"created_at": now + timedelta(days=1)})
    assert dossier_of(leases, "k", later).id == dossier.id
    others = {dossier_of(leases, "k", plan.model_copy(update={"retention_days": 366})).id}
    open_campaign(leases.records, "k", _items(now, 1, 40), now=now, run=Run(overlap=3))
    others.add(dossier_of(leases, "k", plan).id)
    monkeypatch.setitem(TEXTS, "train", ConsentText(purpose="train", title="New", paragraphs=("Other.",)))
    others.add(dossier_of(leases, "k", plan).id)
    assert len(others | {dossier.id}) == 4


def test_a_campaign_goes_from_draft_through_review_to_open_and_closed(leases, plan, now):
    records = leases.records
    assert state_of(records, "k") == "draft"
    with pytest.raises(InputError, match="in state review; got draft"):
        waiting(leases, "k")
    submit(leases, "k", plan, by="ada", now=now)
    assert state_of(records, "k") == "review"
    answer(leases, "k", approves=False, by="bob", now=now)
    assert state_of(records, "k") == "draft"
    submit(leases, "k", plan, by="ada", now=now)
    answer(leases, "k", approves=True, by="bob", now=now)
    assert state_of(records, "k") == "open"
    close(records, "k", by="ada", now=now)
    assert state_of(records, "k") == "closed"
    with pytest.raises(InputError, match="not closed"):
        close(records, "k", by="ada", now=now)
    with pytest.raises(InputError, match="closed for good"):
        open_campaign(records, "k", _items(now, 1, 50), now=now)
    states = [one.state for one in records.all(CampaignState, subject="k")]
    assert states == ["draft", "review", "draft", "review", "open", "closed"]


def test_what_changes_after_signing_needs_another_signature(leases, plan, now, monkeypatch):
    submit(leases, "k", plan, by="ada", now=now)
    answer(leases, "k", approves=True, by="bob", now=now)
    with monkeypatch.context() as patch:
        patch.setitem(TEXTS, "train", ConsentText(purpose="train", title="New", paragraphs=("Other.",)))
        assert state_of(leases.records, "k") == "review"
        with pytest.raises(InputError, match="something has changed since"):
            waiting(leases, "k")
    assert state_of(leases.records, "k") == "open"
    open_campaign(leases.records, "k", _items(now, 1, 60), now=now, run=Run(overlap=3))
    assert state_of(leases.records, "k") == "draft"


def test_a_workspace_that_reviews_once_reviews_always_and_others_never(leases, workspace, now):
    open_campaign(workspace.records, "later", _items(now, 1, campaign="later"), now=now)
    assert state_of(workspace.records, "later") == "draft"
    assert state_of(workspace.records, "never opened") == "open"


def test_only_a_second_enrolled_person_signs_what_was_submitted(workspace, keys, now):
    with pytest.raises(GovernanceError, match="never submitted"):
        _sign(workspace, keys["bob"], "d", now)
    record_submission(workspace, "k", "d", by="Ada", now=now)
    with pytest.raises(GovernanceError, match="'ada' submitted it; .*; no word on what"):
        _sign(workspace, keys["ada"], "d", now, comment=" ")
    stranger = create_key(workspace.directory / "keys", "eve")
    with pytest.raises(GovernanceError, match="'eve', not enrolled"):
        _sign(workspace, stranger, "d", now)
    assert signer_of(workspace, "k", "d") is None
    _sign(workspace, keys["bob"], "d", now)
    assert signer_of(workspace, "k", "d") == "bob"
    assert signer_of(workspace, "k", "other") is None
    _sign(workspace, keys["bob"], "d", now, approves=False)
    assert signer_of(workspace, "k", "d") is None


@pytest.mark.parametrize("change", [{"comment": "other"}, {"by": "ada"}, {"by": "eve"}, {"signature": "00"}])
def test_a_forged_entry_signs_nothing(workspace, keys, now, change):
    record_submission(workspace, "k", "d", by="cem", now=now)
    body = dict(_sign(workspace, keys["bob"], "d", now, approves=False).value)
    body.pop("event")
    workspace.ledger.append(SIGNED, **{**body, "approves": True, **change})
    assert signer_of(workspace, "k", "d") is None


def test_a_plan_with_faults_tells_all_of_them(tmp_path, now):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**PLAN, "risk": "none", "pay_an_hour": -1, "currency": "euro"}))
    with pytest.raises(InputError) as caught:
        read_plan(path, now=now)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["risk", "pay_an_hour", "currency"]


def test_a_review_goes_by_commands_and_stands_in_the_ledger(workspace, keys, tmp_path, now):
    at = ("-w", workspace.directory)
    (tmp_path / "items.jsonl").write_text(json.dumps({"prompt": "p", "first": "a", "second": "b"}))
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    assert "submit k" in feedback("campaign", "k", tmp_path / "items.jsonl", "--draft", *at)
    with pytest.raises(GovernanceError, match="open and signed; got draft"):
        feedback("serve", "--campaign", "k", *at)
    feedback("submit", "k", "--plan", tmp_path / "plan.yaml", "--by", "ada", *at)
    shown = feedback("dossier", "k", *at)
    assert "Some completions are rude" in shown
    assert "used to train a language model" in shown.replace("\n", " ").replace("      ", "")
    with pytest.raises(GovernanceError, match="another person must sign"):
        feedback("sign", "k", "--as", "ada", "--comment", "fine", *at)
    assert state_of(workspace.records, "k") == "review"
    feedback("sign", "k", "--as", "bob", "--comment", "read it", *at)
    require_open(workspace, "k")
    feedback("close", "k", "--by", "ada", *at)
    with pytest.raises(GovernanceError, match="got closed"):
        require_open(workspace, "k")
    events = [entry.value["event"] for entry in workspace.ledger.entries()]
    assert events[-3:] == ["campaign_submitted", "campaign_signed", "campaign_closed"]


def test_a_state_without_its_signature_in_the_ledger_serves_nothing(workspace, leases, plan, now):
    submit(leases, "k", plan, by="ada", now=now)
    answer(leases, "k", approves=True, by="bob", now=now)
    assert state_of(workspace.records, "k") == "open"
    with pytest.raises(GovernanceError, match="open without a signature in the ledger"):
        require_open(workspace, "k")


def test_a_submission_without_a_whole_ledger_is_refused(workspace, monkeypatch, now):
    def broken(_):
        raise LedgerError("broken")

    monkeypatch.setattr(type(workspace.ledger), "verify", broken)
    with pytest.raises(GovernanceError, match="broken ledger"):
        record_submission(workspace, "k", "d", by="ada", now=now)
