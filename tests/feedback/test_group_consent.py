"""Group consent: what people told shows groups while they say so; what was made with it is listed when they stop."""

import json
import re
from typing import NamedTuple

import pytest
from feedback_cases import feedback
from sqlalchemy import select

from assay.feedback import group_consent, queue_of
from assay.feedback.consent import ConsentText, decide, receipt
from assay.feedback.erasure import erase
from assay.feedback.group_consent import GROUPS, agrees, contributed, declare
from assay.feedback.panels import Panel, Traits, tell, told_by
from assay.feedback.withdrawal import made_with_groups, outdated, withdraw
from assay.records.conversation import user_prompt
from assay.records.errors import InputError, StorageError
from assay.records.identity import ScorerIdentity
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport, MinorityReport, Preference
from assay.records.provenance import Provenance
from assay.records.reward import RewardQuality, RewardVersion
from assay.storage import RecordStore
from assay.storage.record_tables import record_table

ASKED = {"region": ("north", "south"), "age": ("young", "old")}
NOTHING_KNOWN = Provenance(seed=0, data_hash="", code_version="", config_hash="")


def say(records, name, now, *, for_groups=True, salt="s", **values):
    values = values or {"region": "north"}
    return declare(records, name, values, asked=ASKED, for_groups=for_groups, salt=salt, now=now)


def test_only_what_people_told_and_agreed_to_have_used_is_contributed(workspace, now):
    records = workspace.records
    yes = say(records, "ada", now)
    say(records, "bob", now, for_groups=False)
    tell(records, "cy", {"region": "south"}, asked=ASKED, now=now)  # before anybody was asked
    found = contributed(records)
    assert found.values == {"ada": {"region": "north"}}
    assert found.declarations == {"ada": yes.id}
    assert told_by(records, "bob") == {"region": "north"}
    assert [agrees(records, name) for name in ("ada", "bob", "cy", "eve")] == [True, False, False, False]


def test_where_nobody_agreed_it_says_how_to_ask(workspace, now):
    say(workspace.records, "bob", now, for_groups=False)
    declare(workspace.records, "eve", {}, asked=ASKED, for_groups=True, salt="s", now=now)  # agreed, and told nothing
    with pytest.raises(InputError, match=r"got nobody; .*assay feedback panel NAME --declare"):
        contributed(workspace.records)


def test_the_smallest_group_is_never_below_the_promise_and_a_panel_may_ask_for_more(workspace, now):
    records = workspace.records
    say(records, "ada", now)
    records.put(Panel(campaign="k", smallest=2, created_at=now), subject="k")
    assert contributed(records).smallest == 5
    assert "fewer than 5 people" in " ".join(GROUPS.paragraphs)
    records.put(Panel(campaign="other", smallest=9, created_at=now), subject="other")
    assert contributed(records).smallest == 9


def test_the_word_is_taken_back_alone_and_said_again(workspace, now):
    records = workspace.records
    say(records, "ada", now)
    say(records, "ada", now)
    assert records.count(Traits) == 1
    say(records, "ada", now, for_groups=False)
    assert told_by(records, "ada") == {"region": "north"}
    assert not agrees(records, "ada")
    say(records, "ada", now)
    assert agrees(records, "ada")
    assert [one.groups and one.groups.is_given for one in records.all(Traits)] == [None, None, True]


def test_a_new_text_asks_again(workspace, now, monkeypatch):
    say(workspace.records, "ada", now)
    changed = ConsentText(purpose="groups", title="New", paragraphs=("Other words.",), about=())
    monkeypatch.setattr(group_consent, "GROUPS", changed)
    assert not agrees(workspace.records, "ada")
    with pytest.raises(InputError, match="got nobody"):
        contributed(workspace.records)


def test_a_withdrawal_ends_it_and_who_comes_back_is_asked_again(workspace, now):
    records = workspace.records
    say(records, "ada", now)
    withdraw(queue_of(records), "ada", now=now)
    assert not agrees(records, "ada")
    assert receipt(records, "ada").entries == ()
    decide(records, "ada", ["train"], now=now)
    assert not agrees(records, "ada")
    say(records, "ada", now)
    assert agrees(records, "ada")


def test_an_erasure_takes_word_and_values_and_telling_again_does_not_bring_the_word_back(workspace, now):
    records = workspace.records
    told = say(records, "ada", now)
    erase(records, "ada", why="request", now=now)
    left = records.get(Traits, told.id)
    assert (left.values, left.groups, left.salt) == (None, None, None)
    assert [one.purpose for one in receipt(records, "ada").entries] == []
    tell(records, "ada", {"region": "north"}, asked=ASKED, now=now)
    assert not agrees(records, "ada")


def test_a_word_without_values_is_erased_too(workspace, now):
    declare(workspace.records, "ada", {}, asked=ASKED, for_groups=True, salt="s", now=now)
    assert erase(workspace.records, "ada", why="request", now=now) is not None
    assert receipt(workspace.records, "ada").entries == ()


def test_word_and_values_lie_sealed(workspace, now):
    told = say(workspace.records, "ada", now)
    with pytest.raises(StorageError, match="keys of sealed text"):
        RecordStore(str(workspace.records.engine.url)).get(Traits, told.id)
    with workspace.records.engine.connect() as connection:
        body = connection.execute(select(record_table.c.body).where(record_table.c.id == told.id)).scalar_one()
    assert not {"north", GROUPS.version, "is_given"} & set(re.findall(r"[\w]+", body))


def test_the_same_words_under_another_salt_are_another_record():
    fields = {"annotator": "ada", "values": {"region": "north"}, "created_at": "2026-01-01T00:00:00Z"}
    assert len({Traits(**fields, salt=salt).id for salt in (None, "a", "b")}) == 3


def test_the_receipt_shows_the_word_in_the_words_of_then(workspace, now, monkeypatch):
    records = workspace.records
    decide(records, "ada", ["train"], now=now)
    say(records, "ada", now)
    monkeypatch.setattr(group_consent, "GROUPS", GROUPS.model_copy(update={"title": "New"}))
    entry = receipt(records, "ada").entries[-1]
    assert (entry.purpose, entry.is_given, entry.text, entry.version) == ("groups", True, GROUPS, GROUPS.version)
    found = json.loads(feedback("consent", "ada", "-w", workspace.directory).split("receipt")[0])
    assert [one["purpose"] for one in found["entries"]][-1] == "groups"


def test_a_receipt_without_the_word_has_the_digest_of_before(workspace, now):
    decide(workspace.records, "ada", ["train"], now=now)
    before = receipt(workspace.records, "ada").digest
    tell(workspace.records, "ada", {"region": "north"}, asked=ASKED, now=now)
    assert receipt(workspace.records, "ada").digest == before


class Made(NamedTuple):
    """A report on groups, a preference of it, and what was trained on that."""

    report: AggregationReport
    preference: Preference
    reward: RewardVersion
    policies: tuple[PolicyVersion, PolicyVersion]


def policy(name, now, **fields):
    given = {"base_model": "m", "adapter": None, "ref_policy": None, "method": "dpo", "provenance": NOTHING_KNOWN}
    return PolicyVersion(name=name, created_at=now, **{**given, **fields})


def make(records, name, declarations, now, *, kind="groups"):
    minority = MinorityReport(
        differences=(), tests=1, suppressed=0, smallest_group=5, false_discovery_rate=0.05, declarations=declarations
    )
    report = AggregationReport(
        created_at=now, method=name, judgement_set=name, split="train", judgements=1, pairs=1, ties=0, alpha=None,
        converged=True, gradient_norm=0, annotators=(), minority=minority,
    )  # fmt: skip
    preference = Preference(
        created_at=now, prompt=user_prompt("p"), chosen="a", rejected="b", margin=1, standard_error=1, probability=0.7,
        judgements=(), annotators=(), aggregation=report.id, by_group={"everyone": 0.5},
    )  # fmt: skip
    signal = ScorerIdentity(name=name, scorer_kind="reward_model", content_hash=name, rows=())
    quality = RewardQuality(
        pairs=1, accuracy=1, nll=1, ece=0, ece_before=0, temperature=1, reliability=(), length_correlation=0
    )
    reward = RewardVersion(
        created_at=now, name=name, artifact=name, backbone="m", layer=0, members=1, feature_maps=(), aggregation="x",
        quality=quality, member_accuracy=(1.0,), identity=signal, training_pairs=1, aggregation_report=report.id,
        made_of=kind, provenance=NOTHING_KNOWN,
    )  # fmt: skip
    first = policy(name, now, training_signals=(signal,))
    second = policy(f"{name} later", now, ref_policy=first.id)
    made = Made(report, preference, reward, (first, second))
    records.put_all([(one, None, None) for one in (report, preference, reward, first, second)])
    return made


def test_what_rests_on_the_groups_of_somebody_who_stopped_is_listed_and_nothing_else(workspace, now):
    records = workspace.records
    ids = [say(records, name, now).id for name in ("ada", "bob")]
    old = make(records, "both", tuple(ids), now)
    make(records, "bob alone", (ids[1],), now)
    make(records, "from a file", None, now)
    plain = make(records, "no heads for groups", tuple(ids), now, kind="tuned")
    assert made_with_groups(records) == ((), (), (), (), ())
    say(records, "ada", now, for_groups=False)
    stale = made_with_groups(records)
    assert set(stale.preferences) == {old.preference.id, plain.preference.id}
    assert stale.rewards == (old.reward.id,)
    assert set(stale.policies) == {one.id for one in old.policies}
    assert outdated(records, old.report) == 1


@pytest.mark.parametrize("how", ["changes", "erases", "withdraws"])
def test_whoever_changes_erases_or_withdraws_has_stopped(workspace, now, how):
    records = workspace.records
    made = make(records, "r", (say(records, "ada", now).id,), now)
    assert outdated(records, made.report) == 0
    if how == "changes":
        say(records, "ada", now, region="south")
    elif how == "erases":
        erase(records, "ada", why="request", now=now)
    else:
        output = feedback("withdraw", "ada", "-w", workspace.directory)
        assert f"stale rewards: {made.reward.id[:12]}" in output
        assert "make them again in this order" in output
    assert outdated(records, made.report) == 1
