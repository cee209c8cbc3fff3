"""Withdrawal: exports are empty, nothing stands, places are free, and all that was made from it is listed."""

import pytest

from assay.feedback import (
    Said,
    consent_version,
    current_judgements,
    export_judgements,
    find_campaign,
    give_consent,
    next_turn,
    open_campaign,
    progress,
    queue_of,
    record_answer,
    undo_last,
)
from assay.feedback.campaign import Run
from assay.feedback.demonstrations import gather_demonstrations, word_diff
from assay.feedback.schemes import Scheme
from assay.feedback.withdrawal import made_from, withdraw
from assay.records.conversation import user_prompt
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Demonstration, Item, Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance
from assay.records.release import Release


@pytest.fixture
def desk(workspace, now):
    items = [
        Item(campaign="k", prompt=user_prompt(f"p{n}"), first="a b", second="c d", created_at=now) for n in range(4)
    ]
    scheme = Scheme(name="edits", created_at=now)
    open_campaign(workspace.records, "k", items, now=now, run=Run(overlap=1), scheme=scheme)
    for name in ("ada", "bob"):
        give_consent(workspace.records, name, "train", now=now)
    return queue_of(workspace.records), find_campaign(workspace.records, "k")


def _judge(desk, name, count, now, **said):
    leases, campaign = desk
    for _ in range(count):
        item = next_turn(leases, campaign, name, now=now).item
        record_answer(leases, campaign, name, item, Said(overall="left", **said), now=now)


def test_a_withdrawal_empties_exports_and_leaves_others_alone(desk, workspace, now, tmp_path):
    _judge(desk, "ada", 3, now)
    undo_last(*desk, "ada", now=now)
    _judge(desk, "ada", 1, now)
    _judge(desk, "bob", 1, now)
    done = withdraw(desk[0], "ada", now=now)
    assert len(done.judgements) == 4
    assert export_judgements(workspace.records, tmp_path / "out.jsonl") == 1
    assert "ada" not in (tmp_path / "out.jsonl").read_text()
    assert {one.annotator for one in current_judgements(workspace.records.all(Judgement))} == {"bob"}


def test_their_places_are_free_and_who_comes_back_is_asked_again(desk, workspace, now):
    leases, campaign = desk
    _judge(desk, "ada", 4, now)
    assert next_turn(leases, campaign, "bob", now=now) is None
    withdraw(leases, "ada", now=now)
    assert consent_version(workspace.records, "ada", "train") is None
    assert progress(leases, "k", "bob").total == 4
    give_consent(workspace.records, "ada", "train", now=now)
    assert consent_version(workspace.records, "ada", "train") is not None
    _judge(desk, "ada", 4, now)
    assert len(current_judgements(workspace.records.all(Judgement))) == 4
    second = withdraw(leases, "ada", now=now)
    assert len(second.judgements) == 4
    assert consent_version(workspace.records, "ada", "train") is None
    assert current_judgements(workspace.records.all(Judgement)) == []


def test_everything_made_from_it_is_listed_and_nothing_else(desk, workspace, now):
    _judge(desk, "ada", 1, now)
    _judge(desk, "bob", 1, now)
    by = {one.annotator: one.id for one in workspace.records.all(Judgement)}
    made = {}
    for name, row in by.items():
        signal = ScorerIdentity(name=name, scorer_kind="reward_model", content_hash=name, rows=(row,))
        policy = PolicyVersion(
            name=name,
            base_model="m",
            adapter=None,
            ref_policy=None,
            method="dpo",
            training_signals=(signal,),
            provenance=Provenance(seed=0, data_hash="", code_version="", config_hash=""),
            created_at=now,
        )
        later = policy.model_copy(update={"name": f"{name} later", "training_signals": (), "ref_policy": policy.id})
        release = Release(
            policy=later.id, base_model="m", adapter=None, layers_digest="", decision=None, label=name, created_at=now
        )
        preference = Preference(
            prompt=user_prompt("p"),
            chosen="a",
            rejected="b",
            margin=1,
            standard_error=1,
            probability=0.7,
            judgements=(row,),
            annotators=(name,),
            aggregation="x",
            created_at=now,
        )
        workspace.records.put_all([(one, None, None) for one in (policy, later, release, preference)])
        made[name] = (preference.id, {policy.id, later.id}, release.id)
    stale = made_from(workspace.records, withdraw(desk[0], "ada", now=now).judgements)
    preference, policies, release = made["ada"]
    assert (stale.preferences, set(stale.policies), stale.releases) == ((preference,), policies, (release,))


def test_a_withdrawal_after_a_crash_is_finished_when_called_again(desk, workspace, now, monkeypatch):
    _judge(desk, "ada", 4, now)
    with monkeypatch.context() as patch:
        patch.setattr(type(desk[0]), "forget", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            withdraw(desk[0], "ada", now=now)
    withdraw(desk[0], "ada", now=now)
    assert progress(desk[0], "k", "bob").total == 4


def test_edits_that_stand_become_demonstrations_once(desk, workspace, now):
    _judge(desk, "ada", 2, now, edit="better words")
    undo_last(*desk, "ada", now=now)
    (gathered,) = gather_demonstrations(workspace.records, "k")
    assert (gathered.completion, gathered.annotator) == ("better words", "ada")
    assert gathered.edited_from in ("a b", "c d")
    gather_demonstrations(workspace.records, "k")
    assert workspace.records.count(Demonstration) == 1
    _judge(desk, "bob", 1, now, edit="others")
    withdraw(desk[0], "ada", now=now)
    assert [one.annotator for one in gather_demonstrations(workspace.records, "k")] == ["bob"]


def test_a_word_diff_gives_both_texts_again():
    before, after = "The cat sat, quietly.", "The dog sat quietly on it."
    pieces = word_diff(before, after)
    assert "".join(one.text for one in pieces if one.change != "added") == before
    assert "".join(one.text for one in pieces if one.change != "removed") == after
    assert [one.text for one in pieces if one.change == "removed"] == ["cat", ","]
    assert word_diff("a", "a") == [("same", "a")]
