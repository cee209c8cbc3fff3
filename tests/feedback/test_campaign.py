"""Campaign: a stable order, fair sides, answers in canonical order, and nothing that is ever overwritten."""

import json

import pytest

from assay.feedback import (
    Folds,
    Said,
    current_judgements,
    find_campaign,
    give_consent,
    next_turn,
    open_campaign,
    progress,
    queue_of,
    record_answer,
    undo_last,
)
from assay.feedback.answering import canonical_choice, credible_time_s, shown_order
from assay.feedback.campaign import Campaign, campaign_names, find_item
from assay.feedback.folds import AnnotatorFold
from assay.feedback.items import read_items
from assay.records.conversation import user_prompt
from assay.records.errors import InputError, StorageError
from assay.records.judgement import Item, Judgement


def _items(now, count=12, campaign="kitchen"):
    return [
        Item(campaign=campaign, prompt=user_prompt(f"p{n}"), first=f"a{n}", second=f"b{n}", created_at=now)
        for n in range(count)
    ]


class Desk:
    """One campaign as the site sees it."""

    def __init__(self, records, now, name="kitchen"):
        self.records, self.now, self.leases = records, now, queue_of(records)
        self.campaign = find_campaign(records, name)

    def next(self, name="ada"):
        turn = next_turn(self.leases, self.campaign, name, now=self.now)
        return turn and turn.item

    def answer(self, item, name="ada", answer="left", time_on_task_s=None):
        said = Said(overall=answer, time_on_task_s=time_on_task_s)
        return record_answer(self.leases, self.campaign, name, item, said, now=self.now)

    def undo(self, name="ada"):
        return undo_last(self.leases, self.campaign, name, now=self.now)

    def progress(self, name="ada"):
        return progress(self.leases, self.campaign.name, name)

    def judge_all(self, name):
        seen = []
        while item := self.next(name):
            seen.append(item.id)
            self.answer(item, name)
        return seen


@pytest.fixture
def records(workspace, now):
    open_campaign(workspace.records, "kitchen", _items(now), now=now)
    for name in ("ada", "bob"):
        give_consent(workspace.records, name, "train", now=now)
    return workspace.records


@pytest.fixture
def desk(records, now):
    return Desk(records, now)


def test_everybody_judges_every_item_once_in_an_order_of_their_own(desk):
    ada, bob = (desk.judge_all(name) for name in ("ada", "bob"))
    assert len(set(ada)) == 12
    assert sorted(ada) == sorted(bob)
    assert ada != bob
    assert desk.progress() == (12, 12)


def test_the_next_item_stays_until_it_is_judged(desk):
    assert len({desk.next().id for _ in range(5)}) == 1


def test_the_item_after_the_next_is_known_ahead_and_comes_then(desk, now):
    ahead = next_turn(desk.leases, desk.campaign, "ada", now=now, ahead=1)
    desk.answer(desk.next())
    assert desk.next() == ahead.item


def test_sides_are_the_same_on_every_visit_and_balanced():
    sides = [shown_order("ada", f"item {n}") for n in range(1000)]
    assert sides == [shown_order("ada", f"item {n}") for n in range(1000)]
    assert 440 < sides.count("left") < 560
    assert [shown_order("bob", f"item {n}") for n in range(1000)] != sides


@pytest.mark.parametrize(
    ("answer", "first_shown", "choice"),
    [
        ("left", "left", "first"),
        ("right", "left", "second"),
        ("left", "right", "second"),
        ("right", "right", "first"),
        ("tie", "left", "tie"),
        ("both_bad", "right", "both_bad"),
        ("cannot_judge", "right", "cannot_judge"),
    ],
)
def test_an_answer_on_the_screen_becomes_a_choice_in_canonical_order(answer, first_shown, choice):
    assert canonical_choice(answer, first_shown) == choice


def test_a_judgement_tells_what_was_shown_and_by_whom(desk, records):
    item = desk.next()
    judgement = desk.answer(item, time_on_task_s=3.14159)
    is_left = shown_order("ada", item.id) == "left"
    assert judgement.first_shown == ("left" if is_left else "right")
    assert judgement.choice == ("first" if is_left else "second")
    assert (judgement.first, judgement.second, judgement.time_on_task_s) == (item.first, item.second, 3.1)
    assert judgement.consent_version is not None
    split = desk.leases.split_of("kitchen", item.id)
    assert records.all(Judgement, split=split, subject="ada") == [judgement]


def test_the_same_answer_twice_is_stored_once_and_another_supersedes_it(desk, records):
    item = desk.next()
    first = desk.answer(item, answer="tie", time_on_task_s=2)
    assert desk.answer(item, answer="tie", time_on_task_s=9) == first
    second = desk.answer(item, answer="both_bad")
    assert second.supersedes == first.id
    assert records.count(Judgement) == 2
    assert current_judgements(records.all(Judgement)) == [second]


def test_undo_takes_back_the_last_answer_and_serves_its_item_again(desk, records):
    first = desk.next()
    desk.answer(first, answer="tie")
    second = desk.next()
    answer = desk.answer(second)
    assert desk.undo() == answer
    assert desk.next() == second
    assert desk.progress().judged == 1
    assert desk.undo().prompt == first.prompt
    assert desk.next() == first
    assert desk.undo() is None
    assert current_judgements(records.all(Judgement)) == []
    assert records.count(Judgement) == 4


def test_an_undone_answer_may_be_given_again_and_undone_again(desk, records):
    item = desk.next()
    for _ in range(3):
        desk.answer(item, answer="tie")
        assert len(current_judgements(records.all(Judgement))) == 1
        desk.undo()
        assert current_judgements(records.all(Judgement)) == []
    assert records.count(Judgement) == 6


def test_an_undone_answer_may_be_given_again_after_its_lease_was_lost(desk, records):
    item = desk.next()
    desk.answer(item, answer="tie")
    desk.undo()
    assert desk.leases.release("kitchen", "ada") == 1
    desk.answer(item, answer="tie")
    assert len(current_judgements(records.all(Judgement))) == 1


def test_an_undo_touches_nobody_else(desk):
    desk.judge_all("bob")
    desk.answer(desk.next())
    desk.undo()
    assert desk.progress("bob") == (12, 12)


def test_nobody_is_recorded_without_consent_to_the_current_text(desk, records):
    item = desk.next("eve")
    with pytest.raises(InputError, match="no consent to the current text"):
        desk.answer(item, "eve")
    assert records.count(Judgement) == 0


def test_a_campaign_that_is_opened_again_gains_items_and_keeps_answers(desk, records, now):
    done = desk.judge_all("ada")
    open_campaign(records, "kitchen", _items(now, 15), now=now)
    assert desk.progress() == (12, 15)
    assert not set(desk.judge_all("ada")) & set(done)
    assert desk.progress() == (15, 15)
    assert campaign_names(records) == ["kitchen"]


def test_a_campaign_from_before_there_were_queues_is_put_into_one(workspace, now):
    items = _items(now, 3)
    old = Campaign(
        name="kitchen",
        splits={item.id: "train" for item in items},
        folds=Folds(held_out_annotators="none"),
        created_at=now,
    )
    workspace.records.put_all([*((item, None, "kitchen") for item in items), (old, None, "kitchen")])
    give_consent(workspace.records, "ada", "train", now=now)
    assert len(Desk(workspace.records, now).judge_all("ada")) == 3
    assert workspace.records.count(Judgement, split="train") == 3


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 81, "-a", "a?b"])
def test_a_name_that_cannot_be_an_address_is_refused(workspace, now, name):
    with pytest.raises(InputError, match="not letters, digits, dots and dashes"):
        open_campaign(workspace.records, name, _items(now, campaign=name), now=now)


def test_a_campaign_without_items_or_with_foreign_ones_is_refused(workspace, now):
    with pytest.raises(InputError, match="there are no items"):
        open_campaign(workspace.records, "kitchen", [], now=now)
    with pytest.raises(InputError, match="belongs to campaign 'garden'"):
        open_campaign(workspace.records, "kitchen", _items(now, 1, "garden"), now=now)


def test_an_unknown_campaign_or_a_foreign_item_is_told(records, now):
    with pytest.raises(StorageError, match="these campaigns: kitchen"):
        find_campaign(records, "garden")
    item = _items(now, 1, "garden")[0]
    open_campaign(records, "garden", [item], now=now)
    with pytest.raises(StorageError, match="an item of 'kitchen'"):
        find_item(queue_of(records), "kitchen", item.id)


def test_a_divided_campaign_keeps_people_and_prompts_apart(workspace, now):
    records = workspace.records
    folds = Folds(held_out_annotators=("bob",))
    open_campaign(records, "kitchen", _items(now, 40), now=now, folds=folds)
    for name in ("ada", "bob"):
        give_consent(records, name, "train", now=now)
        Desk(records, now).judge_all(name)
    training = [j for split in ("train", "watch") for j in records.all(Judgement, split=split)]
    evaluation = [j for split in ("held_out", "sealed") for j in records.all(Judgement, split=split)]
    assert {j.annotator for j in training} == {"ada"}
    assert {j.annotator for j in evaluation} == {"bob"}
    assert len(training) + len(evaluation) == records.count(Judgement, split="unused") == 40
    assert {fold.annotator: fold.is_held_out for fold in records.all(AnnotatorFold)} == {"ada": False, "bob": True}


@pytest.mark.parametrize(
    ("measured", "kept"),
    [(None, None), (float("nan"), None), (float("inf"), None), (-1, None), (0, 0), (12.34, 12.3), (1e9, 63.0)],
)
def test_a_measured_time_is_kept_only_as_far_as_it_is_credible(measured, kept, now):
    assert credible_time_s(measured, _items(now, 1)[0]) == kept


def test_items_are_read_from_rows(tmp_path, now):
    rows = [{"prompt": "p", "first": "a", "second": "b"}] * 2 + [{"prompt": "q", "first": "a", "second": "b"}]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    items, gold = read_items(tmp_path / "items.jsonl", campaign="kitchen", now=now)
    assert gold == {}
    assert [item.prompt for item in items] == [user_prompt("p"), user_prompt("q")]


def test_every_bad_item_is_told(tmp_path, now):
    rows = [{"prompt": "p", "first": "a"}, {"prompt": "p", "first": "a", "second": "a", "model": "x"}]
    (tmp_path / "items.jsonl").write_text("\n".join([*map(json.dumps, rows), "{"]))
    with pytest.raises(InputError) as caught:
        read_items(tmp_path / "items.jsonl", campaign="kitchen", now=now)
    assert sorted(caught.value.faults)[:2] == [
        "line 1: field 'second' is missing",
        "line 2: unknown field 'model'",
    ]
    assert len(caught.value.faults) == 3


def test_a_row_may_hold_several_completions_or_a_known_answer(tmp_path, now):
    rows = [
        {"prompt": "p", "completions": ["a", "b", "c"]},
        {"prompt": "q", "first": "a", "second": "b", "gold": "second"},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (several, check), gold = read_items(tmp_path / "items.jsonl", campaign="kitchen", now=now)
    assert several.completions == ("a", "b", "c")
    assert gold == {check.id: "second"}


def test_a_row_may_say_what_it_is_about_and_how_upsetting_it_is(tmp_path, now):
    row = {"prompt": "p", "first": "a", "second": "b"}
    rows = [row, {**row, "harm": None, "topic": None}, {**row, "topic": " sport ", "harm": "mild"}]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (plain, marked), _ = read_items(tmp_path / "items.jsonl", campaign="kitchen", now=now)
    assert (plain.topic, plain.harm, plain.level) == (None, None, 0)
    assert (marked.topic, marked.harm, marked.level) == ("sport", "mild", 1)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"first": "a", "second": "b", "harm": "much"}, "harm is 'much'; known are none, mild, strong"),
        ({"first": "a", "second": "b", "topic": " "}, "topic is not a text of 1 to 80"),
        ({"first": "a", "second": "b", "topic": ["x"], "harm": 2}, "topic is not a text.*harm is 2"),
        ({"completions": ["a", "a"]}, "two or more different texts"),
        ({"completions": ["a"]}, "two or more different texts"),
        ({"completions": "ab"}, "two or more different texts"),
        ({"completions": [str(n) for n in range(10)]}, "10 completions, at most 9"),
        ({"first": "a", "second": "b", "gold": "left"}, "gold is 'left'"),
        ({"completions": ["a", "b"], "gold": "first"}, "a pair only has one"),
    ],
)
def test_a_row_that_cannot_be_asked_is_told(row, fault, tmp_path, now):
    (tmp_path / "items.jsonl").write_text(json.dumps({"prompt": "p", **row}))
    with pytest.raises(InputError, match=fault):
        read_items(tmp_path / "items.jsonl", campaign="kitchen", now=now)


def test_several_completions_need_a_ranking(workspace, now):
    item = Item(campaign="k", prompt=user_prompt("p"), first="a", second="b", others=("c",), created_at=now)
    with pytest.raises(InputError, match="more than two completions"):
        open_campaign(workspace.records, "k", [item], now=now)
