"""Panels: items that lack somebody come to them first, nobody is turned away, experts decide where people disagree."""

import json
from datetime import UTC, datetime

import pytest
import yaml
from feedback_cases import feedback
from hypothesis import given
from hypothesis import strategies as st

from assay.feedback import Said, find_campaign, give_consent, next_turn, open_campaign, queue_of, record_answer
from assay.feedback.answering import shown_order
from assay.feedback.campaign import Run
from assay.feedback.diversity import diversity
from assay.feedback.erasure import erase
from assay.feedback.panels import Panel, Quota, Traits, foremost, panel_of, read_panel, tell, told_by
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item, Judgement
from assay.storage.leases import Waiting

ASKED = {"age": ("young", "old"), "region": ("north", "south")}
YOUNG = Quota(where={"age": "young"}, share=0.5)
YOUNG_SOUTH = Quota(where={"age": "young", "region": "south"}, share=0.5)


def panel(now, **fields):
    return Panel(**{"campaign": "k", "traits": ASKED, "quotas": (YOUNG,), "created_at": now, **fields})


def test_quotas_and_experts_that_cannot_be_met_are_refused_together(now):
    with pytest.raises(ValueError, match=r"age 'middle' of a quota.*experts are wanted"):
        panel(now, quotas=(Quota(where={"age": "middle"}, share=0.1),), experts_an_item=1)


def test_an_intersection_is_fitted_by_who_is_in_both_groups():
    assert YOUNG_SOUTH.fits({"age": "young", "region": "south"})
    assert not YOUNG_SOUTH.fits({"age": "young"}) and not YOUNG_SOUTH.fits({"age": "old", "region": "south"})
    assert YOUNG_SOUTH.name == "age: young and region: south"


def first_of(waiting, annotator, wanted, told):
    return [one.item for one in foremost(waiting, annotator, wanted, told, overlap=2)]


def test_an_item_that_lacks_a_persons_group_comes_first_and_one_that_needs_others_last(now):
    told = {"yo": {"age": "young"}, "ada": {"age": "young"}, "bob": {"age": "old"}, "cy": {"age": "old"}}
    # Two people an item, one of them young: `b` lacks a young one, `a` has one, `c` nobody.
    waiting = [Waiting("a", 2, ("yo",)), Waiting("b", 2, ("bob",)), Waiting("c", 2, ())]
    assert first_of(waiting, "ada", panel(now), told) == ["b", "c"]
    assert first_of(waiting, "cy", panel(now), told) == ["a", "c"]
    assert first_of(waiting[:2], "cy", panel(now), told) == ["a"]
    assert first_of(waiting[1:2], "cy", panel(now), told) == ["b"]  # the only one: it comes all the same
    assert first_of([], "cy", panel(now), told) == []


def test_experts_are_wanted_where_one_more_was_asked_for(now):
    wanted = panel(now, quotas=(), experts=("eve",))
    waiting = [Waiting("calm", 2, ("ada",)), Waiting("contested", 3, ("ada", "bob"))]
    assert first_of(waiting, "eve", wanted, {}) == ["contested"]
    assert first_of(waiting[::-1], "cy", wanted, {}) == ["calm"]
    mixed = panel(now, quotas=(), experts=("eve",), experts_an_item=1)
    assert first_of([Waiting("a", 2, ("eve",)), Waiting("b", 2, ("ada",))], "cy", mixed, {}) == ["a"]


@given(st.lists(st.tuples(st.integers(1, 4), st.sets(st.sampled_from("abcdef"), max_size=3)), max_size=6))
def test_those_that_come_first_are_some_of_those_that_wait_and_in_their_order(items):
    waiting = [Waiting(str(n), max(wanted, len(people) + 1), tuple(people)) for n, (wanted, people) in enumerate(items)]
    told = {name: {"age": "young" if name in "abc" else "old"} for name in "abcdef"}
    found = foremost(waiting, "a", panel(datetime(2026, 1, 1, tzinfo=UTC)), told, overlap=2)
    assert bool(found) == bool(waiting)
    assert found == [one for one in waiting if one in found]


@pytest.fixture
def campaign(workspace, now):
    """Ten items for two people each, half of whom should be young; ada and yo are young, bob and cy old."""
    items = [Item(campaign="k", prompt=user_prompt(f"p{n}"), first="a", second="b", created_at=now) for n in range(10)]
    open_campaign(workspace.records, "k", items, now=now, run=Run(overlap=2, extra_overlap=1))
    for name, age in (("ada", "young"), ("yo", "young"), ("bob", "old"), ("cy", "old"), ("eve", None)):
        give_consent(workspace.records, name, "train", now=now)
        tell(workspace.records, name, {"age": age} if age else {}, asked=ASKED, now=now)
    return queue_of(workspace.records), find_campaign(workspace.records, "k")


def answer(leases, campaign, name, now, choice="first"):
    turn = next_turn(leases, campaign, name, now=now)
    if turn is None:
        return None
    overall = "left" if (choice == "first") == (shown_order(name, turn.item.id) == "left") else "right"
    return record_answer(leases, campaign, name, turn.item, Said(overall=overall), now=now)


def groups(workspace):
    said = {}
    for one in workspace.records.all(Judgement):
        said.setdefault(one.prompt_id, []).append(told_by(workspace.records, one.annotator).get("age"))
    return said


def test_with_a_panel_every_item_gets_a_young_and_an_old_person(campaign, workspace, now):
    leases, found = campaign
    workspace.records.put(panel(now), subject="k")
    for _ in range(5):
        for name in ("bob", "cy", "ada", "yo"):
            assert answer(leases, found, name, now) is not None
    assert len(groups(workspace)) == 10
    assert {tuple(sorted(ages)) for ages in groups(workspace).values()} == {("old", "young")}


def test_nobody_is_turned_away_while_there_is_an_open_item(campaign, workspace, now):
    leases, found = campaign
    workspace.records.put(panel(now, quotas=(Quota(where={"age": "young"}, share=1.0),)), subject="k")
    for name in ("bob", "cy"):
        while answer(leases, found, name, now):
            pass
    assert sorted(groups(workspace).values()) == [["old", "old"]] * 10


def test_disagreement_goes_to_an_expert_before_all_else(campaign, workspace, now):
    leases, found = campaign
    workspace.records.put(panel(now, quotas=(), experts=("eve",)), subject="k")
    one = answer(leases, found, "ada", now, choice="first")
    while True:
        other = answer(leases, found, "bob", now, choice="second")
        if other.prompt_id == one.prompt_id:
            break
    assert answer(leases, found, "cy", now).prompt_id != one.prompt_id
    assert answer(leases, found, "eve", now).prompt_id == one.prompt_id


def test_what_people_tell_is_sealed_changed_and_erased(workspace, now):
    records = workspace.records
    tell(records, "ada", {"age": "young", "region": "north"}, asked=ASKED, now=now)
    tell(records, "ada", {"age": "young", "region": "north"}, asked=ASKED, now=now)
    assert records.count(Traits) == 1
    tell(records, "ada", {"region": "south"}, asked={"region": ("south",)}, now=now)
    assert told_by(records, "ada") == {"age": "young", "region": "south"}
    tell(records, "ada", {}, asked={"age": ("young",)}, now=now)
    assert told_by(records, "ada") == {"region": "south"}
    assert [one.values for one in records.all(Traits)] == [None, None, {"region": "south"}]
    with pytest.raises(InputError, match="region: 'moon'"):
        tell(records, "ada", {"region": "moon"}, asked=ASKED, now=now)
    erase(records, "ada", why="request", now=now)
    assert told_by(records, "ada") == {}


def said_by(names, now):
    return [
        Judgement(
            campaign="k",
            annotator=name,
            prompt=user_prompt(f"p{n}"),
            first="a",
            second="b",
            choice="first",
            first_shown="left",
            created_at=now,
        )
        for n, name in enumerate(names)
    ]


def test_a_report_has_shares_of_answers_beside_their_targets(now):
    told = {"a": {"age": "young"}, "b": {"age": "young"}, "c": {"age": "old"}, "d": {"age": "old"}, "e": {}}
    wanted = panel(now, smallest=2, experts=("c",))
    report = diversity(said_by("aaabcccdee", now), wanted, told)
    assert (report.people, report.answers, report.experts, report.expert_answers) == (5, 10, 1, 3)
    (quota,) = report.quotas
    assert (quota.target, quota.people, quota.share) == (0.5, 2, 0.5)
    age, region = report.traits
    assert [group.share for group in age.groups] == [0.5, 0.5] and age.evenness == pytest.approx(1.0)
    assert region.evenness == 0.0 and [group.people for group in region.groups] == [0, 0]


def test_a_small_group_is_withheld_with_the_one_that_would_give_it_away(now):
    told = {name: {"age": "old"} for name in "abcdef"} | {"g": {"age": "young"}}
    report = diversity(said_by("abcdefg", now), panel(now, smallest=3), told)
    assert [group.people for group in report.traits[0].groups] == [None, None]
    assert report.traits[0].evenness is None and report.quotas[0].people is None


def test_a_panel_is_declared_in_a_file_and_shown_by_the_command(workspace, now, tmp_path, campaign):
    answer(*campaign, "ada", now)
    file = tmp_path / "panel.yaml"
    quota = {"where": {"age": "young"}, "share": 0.4}
    declared = {"traits": {"age": ["young", "old"]}, "quotas": [quota], "smallest": 1}
    file.write_text(yaml.safe_dump(declared))
    said = feedback("panel", "k", "--declare", file, "-w", workspace.directory)
    assert "1 people, 1 answers" in said and "age: young" in said and "40%" in said and "100%" in said
    assert panel_of(workspace.records, "k").quotas[0].share == 0.4
    file.write_text(json.dumps({"quotas": [{"where": {}, "share": 2}]}))
    with pytest.raises(InputError) as error:
        read_panel(file, campaign="k", now=now)
    assert "quotas.0.where" in str(error.value) and "quotas.0.share" in str(error.value)
