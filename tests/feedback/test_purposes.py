"""Purposes: what a person says no to never gets there, whenever they say it; receipts tell what was agreed."""

import json

import pytest

from assay.feedback import (
    TEXTS,
    Imported,
    Said,
    consent_version,
    find_campaign,
    give_consent,
    import_judgements,
    next_turn,
    open_campaign,
    queue_of,
    record_answer,
)
from assay.feedback.consent import ConsentText, agreed_version, decide, questions, receipt
from assay.feedback.demonstrations import gather_demonstrations
from assay.feedback.exporting import Wanted, export
from assay.feedback.folds import Folds
from assay.feedback.schemes import Scheme
from assay.feedback.withdrawal import made_from, withdraw
from assay.preferences import aggregate_split
from assay.records.consent import Consent
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, InputError
from assay.records.judgement import Demonstration, Item, Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance
from assay.records.record import digest
from assay.storage import SplitName
from assay.storage.permission import TRAIN_AND_TEST, permission

PURPOSES = ("train", "evaluate", "publish", "research")


@pytest.fixture
def campaign(workspace, now):
    items = [
        Item(campaign="k", prompt=user_prompt(f"p{n}"), first="a b", second="c d", created_at=now) for n in range(12)
    ]
    folds = Folds(shares={"train": 1, "watch": 0, "held_out": 0, "sealed": 0}, held_out_annotators="none")
    scheme = Scheme(name="edits", created_at=now)
    open_campaign(workspace.records, "k", items, now=now, folds=folds, scheme=scheme)
    return queue_of(workspace.records), find_campaign(workspace.records, "k")


def _judge(campaign, name, now, count=12, **said):
    leases, found = campaign
    for _ in range(count):
        item = next_turn(leases, found, name, now=now).item
        record_answer(leases, found, name, item, Said(overall="left", **said), now=now)


def _people(records):
    return {one.annotator for one in records}


def test_who_agrees_to_tests_only_never_reaches_training(campaign, workspace, now):
    records = workspace.records
    decide(records, "ada", ["train", "evaluate"], now=now)
    decide(records, "eve", ["evaluate"], now=now)
    for name in ("ada", "eve"):
        _judge(campaign, name, now, edit="better words")
    assert _people(records.all(Judgement, split="train")) == {"ada", "eve"}
    assert _people(workspace.training.all(Judgement, SplitName.TRAIN)) == {"ada"}
    assert _people(gather_demonstrations(records, "k")) == {"ada"}
    assert _people(workspace.training.all(Demonstration, SplitName.TRAIN)) == {"ada"}
    fitted = aggregate_split(records, SplitName.TRAIN, method="majority", now=now)
    assert {name for one in fitted.preferences for name in one.annotators} == {"ada"}


def test_a_no_said_later_reaches_what_was_said_and_fitted_before(campaign, workspace, now):
    records = workspace.records
    for name in ("ada", "bob"):
        decide(records, name, ["train"], now=now)
        _judge(campaign, name, now, edit=f"as {name} would say")
    gather_demonstrations(records, "k")
    aggregate_split(records, SplitName.TRAIN, method="majority", now=now)
    assert len(workspace.training.all(Preference, SplitName.TRAIN)) > 0
    decide(records, "bob", ["evaluate"], now=now)
    assert _people(workspace.training.all(Demonstration, SplitName.TRAIN)) == {"ada"}
    assert workspace.training.all(Preference, SplitName.TRAIN) == []
    decide(records, "bob", ["train"], now=now)
    assert _people(workspace.training.all(Demonstration, SplitName.TRAIN)) == {"ada", "bob"}
    assert len(workspace.training.all(Preference, SplitName.TRAIN)) > 0


def test_demonstrations_gathered_before_a_withdrawal_are_open_to_nobody(campaign, workspace, now):
    records = workspace.records
    for name in ("ada", "bob"):
        give_consent(records, name, "train", now=now)
        _judge(campaign, name, now, count=2, edit=f"as {name} would say")
    gather_demonstrations(records, "k")
    policy = PolicyVersion(
        name="sft",
        base_model="m",
        adapter=None,
        ref_policy=None,
        method="sft",
        provenance=Provenance(seed=0, data_hash="", code_version="", config_hash=""),
        created_at=now,
    )
    records.put(policy)
    done = withdraw(campaign[0], "ada", now=now)
    assert len(done.demonstrations) == 2
    assert _people(workspace.training.all(Demonstration, SplitName.TRAIN)) == {"bob"}
    assert made_from(records, done.judgements, done.demonstrations).policies == (policy.id,)
    assert made_from(records, done.judgements).policies == ()


def test_an_export_holds_what_its_purpose_allows(campaign, workspace, now, tmp_path):
    records = workspace.records
    for name, purposes in (("ada", ["train", "publish"]), ("bob", ["research"]), ("eve", ["evaluate"])):
        decide(records, name, purposes, now=now)
        _judge(campaign, name, now, count=3)
    for purpose, written in (("train", 3), ("publish", 3), ("research", 3), ("evaluate", 3)):
        wanted = Wanted(purpose=purpose, pseudonym_key=b"key")
        assert export(records, tmp_path / f"{purpose}.jsonl", wanted) == (written, written, 6)
    assert (tmp_path / "train.jsonl").read_text() == (tmp_path / "publish.jsonl").read_text()
    for purpose in ("publish", "research"):
        with pytest.raises(ConfigError, match=f"pseudonyms for the purpose {purpose}"):
            export(records, tmp_path / "named.jsonl", Wanted(purpose=purpose))


def test_no_name_and_no_hash_over_a_name_leaves_under_pseudonyms(campaign, workspace, now, tmp_path):
    records, (leases, found) = workspace.records, campaign
    decide(records, "ada", PURPOSES, now=now)
    item = next_turn(leases, found, "ada", now=now).item
    first = record_answer(leases, found, "ada", item, Said(overall="left"), now=now)
    record_answer(leases, found, "ada", item, Said(overall="right", reason="ask me@x.org"), now=now)
    export(records, tmp_path / "out.jsonl", Wanted(purpose="publish", pseudonym_key=b"key"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    text = (tmp_path / "out.jsonl").read_text()
    assert len(rows) == 2
    assert "ada" not in text
    assert first.id not in text
    assert rows[1]["reason"] == "ask [e-mail]"
    shown = Judgement.model_validate(rows[0])
    assert rows[1]["supersedes"] == shown.id
    assert rows[0]["annotator"] == rows[1]["annotator"]
    export(records, tmp_path / "other.jsonl", Wanted(purpose="publish", pseudonym_key=b"other"))
    assert rows[0]["annotator"] not in (tmp_path / "other.jsonl").read_text()


def test_counts_name_nobody_and_count_a_person_once(workspace, now, tmp_path):
    rows = [
        ("ada", "a", "b", "first"),
        ("ada", "b", "a", "first"),
        ("bob", "b", "a", "second"),
        ("cem", "a", "b", "tie"),
    ]
    judgements = [
        Judgement(
            campaign="c",
            annotator=name,
            prompt=user_prompt("p"),
            first=first,
            second=second,
            choice=choice,
            first_shown="left",
            created_at=now,
        )
        for name, first, second, choice in rows
    ]
    import_judgements(workspace.records, Imported("assay", judgements, [], []), folds=Folds())
    export(workspace.records, tmp_path / "out.jsonl", Wanted(view="aggregate"))
    (row,) = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert (row["first"], row["second"], row["people"]) == ("a", "b", 3)
    assert [row[name] for name in ("first_better", "second_better", "tie", "both_bad", "cannot_judge")] == [
        1,
        1,
        1,
        0,
        0,
    ]
    assert row["share_first"] == 0.5


def test_whoever_was_never_asked_here_is_for_the_importer_to_answer(workspace, now):
    given = Judgement(
        campaign="c", annotator="eve", prompt=user_prompt("p"), first="a", second="b", choice="tie", first_shown="left",
        created_at=now,
    )  # fmt: skip
    assert permission(workspace.records, "train").allows(given)
    decide(workspace.records, "eve", ["research"], now=now)
    assert not permission(workspace.records, "train").allows(given)
    assert permission(workspace.records, "research").allows(given)


def test_what_came_through_the_gateway_is_for_training_alone(workspace, now):
    live = Judgement(
        campaign="live", annotator="x", prompt=user_prompt("p"), first="a", second="b", choice="tie",
        first_shown="left", source="live", created_at=now,
    )  # fmt: skip
    assert [purpose for purpose in PURPOSES if permission(workspace.records, purpose).allows(live)] == ["train"]


def test_the_one_text_of_before_covered_training_and_tests_and_nothing_else(workspace, now):
    before = Consent(annotator="ada", purpose="train", version=TRAIN_AND_TEST, created_at=now)
    workspace.records.put(before, subject="ada")
    refusing = {purpose: permission(workspace.records, purpose).refusing for purpose in PURPOSES}
    assert refusing == {"train": set(), "evaluate": set(), "publish": {"ada"}, "research": {"ada"}}
    assert agreed_version(workspace.records, "ada") is None


def test_a_person_is_asked_while_they_agree_to_nothing_and_when_a_text_has_changed(workspace, now, monkeypatch):
    records = workspace.records
    assert agreed_version(records, "ada") is None
    decide(records, "ada", [], now=now)
    assert agreed_version(records, "ada") is None
    decide(records, "ada", ["research", "evaluate"], now=now)
    assert agreed_version(records, "ada") == TEXTS["evaluate"].version
    assert [(one.text.purpose, one.is_given) for one in questions(records, "ada")] == [
        ("train", False),
        ("evaluate", True),
        ("publish", False),
        ("research", True),
    ]
    changed = ConsentText(purpose="publish", title="New", paragraphs=("Other words.",))
    monkeypatch.setitem(TEXTS, "publish", changed)
    assert agreed_version(records, "ada") is None
    assert consent_version(records, "ada", "evaluate") is not None


def test_changing_ones_mind_back_and_forth_is_kept_word_by_word(workspace, now):
    records = workspace.records
    for purposes in (["train"], [], ["train"], ["train"]):
        decide(records, "ada", purposes, now=now)
    words = [one for one in records.all(Consent, subject="ada") if one.purpose == "train"]
    assert [one.is_refused for one in words] == [None, True, None]
    assert [one.previous for one in words] == [None, words[0].id, words[1].id]
    assert give_consent(records, "ada", "train", now=now) == words[-1]


def test_a_receipt_shows_the_text_of_then_and_its_digest(workspace, now, monkeypatch):
    records = workspace.records
    decide(records, "ada", ["train"], now=now)
    then = TEXTS["train"]
    monkeypatch.setitem(TEXTS, "train", ConsentText(purpose="train", title="New", paragraphs=("Other words.",)))
    found = receipt(records, "ada")
    entries = {entry.purpose: entry for entry in found.entries}
    assert entries["train"].text == then
    assert [entries[purpose].is_given for purpose in PURPOSES] == [True, False, False, False]
    assert found.digest == digest(["ada", *(entry.model_dump(mode="json") for entry in found.entries)])
    assert receipt(records, "bob").entries == ()


def test_after_a_withdrawal_no_word_of_before_counts(campaign, workspace, now):
    records = workspace.records
    decide(records, "ada", PURPOSES, now=now)
    withdraw(campaign[0], "ada", now=now)
    assert all("ada" in permission(records, purpose).refusing for purpose in PURPOSES)
    assert receipt(records, "ada").withdrawn_at == now
    with pytest.raises(InputError, match="no consent to the current text"):
        _judge(campaign, "ada", now, count=1)
    decide(records, "ada", ["train"], now=now)
    assert "ada" not in permission(records, "train").refusing
    assert "ada" in permission(records, "evaluate").refusing
