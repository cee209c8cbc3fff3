"""Retention and erasure: what is past its period is unreadable, choices stay, and the ledger still verifies."""

from datetime import timedelta

import pytest
from feedback_cases import feedback

from assay.cli import feedback_retention
from assay.feedback import Said, find_campaign, give_consent, next_turn, open_campaign, queue_of, record_answer
from assay.feedback.assignment import Pass, pass_over
from assay.feedback.campaign import CampaignState, Run
from assay.feedback.demonstrations import gather_demonstrations
from assay.feedback.erasure import Erasure, changed_since, erase, readable
from assay.feedback.ethics import Plan
from assay.feedback.retention import keep_to, periods
from assay.feedback.schemes import Scheme
from assay.records.conversation import user_prompt
from assay.records.errors import AssayError
from assay.records.judgement import Demonstration, Item, Judgement
from assay.storage.database import record_table

DAYS = 30


@pytest.fixture
def judged(workspace, now):
    """Two closed campaigns of thirty days, in which ada and bob wrote something."""
    records = workspace.records
    for name in ("ada", "bob"):
        give_consent(records, name, "train", now=now)
    for campaign in ("k", "m"):
        items = [
            Item(campaign=campaign, prompt=user_prompt(f"{campaign}{n}"), first="a b", second="c d", created_at=now)
            for n in range(3)
        ]
        scheme = Scheme(name="edits", created_at=now)
        open_campaign(records, campaign, items, now=now, run=Run(), scheme=scheme)
        leases, found = queue_of(records), find_campaign(records, campaign)
        for name in ("ada", "bob"):
            turn = next_turn(leases, found, name, now=now)
            said = Said(overall="left", edit=f"better, says {name}", reason=f"as {name} knows")
            record_answer(leases, found, name, turn.item, said, now=now)
            turn = next_turn(leases, found, name, now=now)
            pass_over(leases, turn.lease, reason="other", note=f"{name} is tired", now=now)
        gather_demonstrations(records, campaign)
    return workspace


def closed(workspace, now, *, campaign="k"):
    plan = Plan(
        risk="minimal",
        harms="none",
        people="staff",
        minutes_an_item=1,
        pay_an_hour=0,
        currency="EUR",
        retention_days=DAYS,
        contact="c@example.org",
        created_at=now,
    )
    workspace.records.put(plan, subject=campaign)
    state = CampaignState(campaign=campaign, state="closed", by="eve", plan=plan.id, created_at=now)
    workspace.records.put(state, subject=campaign)


def test_a_period_begins_when_a_campaign_with_a_plan_is_closed(judged, now):
    assert periods(judged.records) == []
    closed(judged, now)
    (period,) = periods(judged.records)
    assert (period.campaign, period.ends_at, period.people) == ("k", now + timedelta(days=DAYS), ("ada", "bob"))
    assert not period.is_over(period.ends_at - timedelta(seconds=1)) and period.is_over(period.ends_at)
    assert keep_to(judged.records, period, now=now) == []


def test_what_is_past_its_period_is_gone_in_that_campaign_and_choices_stay(judged, now):
    closed(judged, now)
    (period,) = periods(judged.records)
    before = {one.id: one.choice for one in judged.records.all(Judgement)}
    erased = keep_to(judged.records, period, now=period.ends_at)
    assert [one.annotator for one in erased] == ["ada", "bob"]
    assert {len(one.remnants) for one in erased} == {3}  # a judgement, a pass, and the demonstration made of it
    for one in judged.records.all(Judgement):
        assert (one.edit is None) == (one.campaign == "k") == (one.reason is None)
    assert {one.id: one.choice for one in judged.records.all(Judgement)} == before
    assert sorted(one.note for one in judged.records.all(Pass)) == ["", "", "ada is tired", "bob is tired"]
    shown = [one.completion for one in judged.records.all(Demonstration)]
    assert sorted(shown) == ["", "", "better, says ada", "better, says bob"]
    assert periods(judged.records)[0].people == ()
    assert keep_to(judged.records, periods(judged.records)[0], now=period.ends_at) == []


def test_an_erasure_that_was_cut_short_is_finished_when_it_is_asked_for_again(judged, now, monkeypatch):
    monkeypatch.setattr(judged.records.seals, "destroy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        erase(judged.records, "ada", campaign="k", why="request", now=now)
    assert list(readable(judged.records, "ada", "k"))
    monkeypatch.undo()
    erase(judged.records, "ada", campaign="k", why="request", now=now)
    assert not list(readable(judged.records, "ada", "k")) and list(readable(judged.records, "ada", "m"))
    assert judged.records.count(Erasure) == 1


def test_all_that_a_person_wrote_can_be_erased_and_nothing_of_others(judged, now):
    done = erase(judged.records, "ada", why="request", now=now)
    assert len(done.remnants) == 6 and done.campaign is None
    assert not list(readable(judged.records, "ada", None))
    assert len(list(readable(judged.records, "bob", None))) == 6
    assert erase(judged.records, "ada", why="request", now=now) is None


@pytest.mark.sqlite
def test_what_is_left_of_an_erased_record_cannot_be_changed_unseen(judged, now):
    done = erase(judged.records, "ada", why="request", now=now)
    assert changed_since(judged.records) == []
    one = next(remnant.record for remnant in done.remnants if remnant.kind_of == "judgement")
    with judged.records.engine.begin() as connection:
        row = record_table.c.id == one
        (body,) = connection.execute(record_table.select().with_only_columns(record_table.c.body).where(row)).one()
        changed = body.replace('"strength": 1', '"strength": 2')
        connection.execute(record_table.update().where(row).values(body=changed))
    assert changed_since(judged.records) == [one]


def test_the_commands_list_erase_and_write_it_down_and_the_chain_verifies(judged, now, monkeypatch):
    closed(judged, now)
    space = judged.directory
    later = now + timedelta(days=DAYS + 1)
    monkeypatch.setattr(feedback_retention, "now", lambda: later)
    said = feedback("retention", "-w", space, "--now", "2026-01-15")
    assert "k: until 2026-01-31, runs; 2 people's words" in said
    with pytest.raises(AssayError, match="which is to come"):
        feedback("retention", "-w", space, "--now", "2026-12-01", "--apply", "--by", "eve")
    with pytest.raises(AssayError, match="nobody named"):
        feedback("retention", "-w", space, "--apply")
    said = feedback("retention", "-w", space, "--apply", "--by", "eve")
    assert "k: until 2026-01-31, over" in said and "3 records of bob erased" in said
    assert "nothing left to erase" in feedback("retention", "-w", space)
    feedback("erase", "ada", "--by", "eve", "-w", space)
    judged.ledger.verify()
    entries = judged.ledger.entries()
    erased = [entry.value for entry in entries if entry.value["event"] == "words_erased"]
    assert [one["why"] for one in erased] == ["retention", "retention", "request"]
    assert all("ada" not in entry.body.decode() for entry in entries)
    assert "nothing of ada is there to read" in feedback("erase", "ada", "--by", "eve", "-w", space)
