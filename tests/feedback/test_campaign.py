"""Campaign: a stable order, fair sides, answers in canonical order, and nothing that is ever overwritten."""

import json

import pytest

from assay.feedback import (
    Folds,
    current_judgements,
    find_campaign,
    give_consent,
    next_item,
    open_campaign,
    progress,
    read_items,
    record_answer,
    shown_order,
    undo_last,
)
from assay.feedback.campaign import campaign_names, canonical_choice, credible_time_s, find_item
from assay.feedback.folds import AnnotatorFold
from assay.records.conversation import user_prompt
from assay.records.errors import InputError, StorageError
from assay.records.judgement import Item, Judgement


def _items(now, count=12, campaign="kitchen"):
    return [
        Item(campaign=campaign, prompt=user_prompt(f"p{n}"), first=f"a{n}", second=f"b{n}", created_at=now)
        for n in range(count)
    ]


@pytest.fixture
def records(workspace, now):
    open_campaign(workspace.records, "kitchen", _items(now), now=now)
    for name in ("ada", "bob"):
        give_consent(workspace.records, name, "train", now=now)
    return workspace.records


def _judge_all(records, name, now, answer="left"):
    seen = []
    while item := next_item(records, "kitchen", name):
        seen.append(item.id)
        record_answer(records, item, name, answer, now=now)
    return seen


def test_everybody_judges_every_item_once_in_an_order_of_their_own(records, now):
    ada, bob = (_judge_all(records, name, now) for name in ("ada", "bob"))
    assert len(set(ada)) == 12
    assert sorted(ada) == sorted(bob)
    assert ada != bob
    assert progress(records, "kitchen", "ada") == (12, 12)


def test_the_next_item_stays_until_it_is_judged(records):
    assert len({next_item(records, "kitchen", "ada").id for _ in range(5)}) == 1


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


def test_a_judgement_tells_what_was_shown_and_by_whom(records, now):
    item = next_item(records, "kitchen", "ada")
    judgement = record_answer(records, item, "ada", "left", now=now, time_on_task_s=3.14159)
    is_left = shown_order("ada", item.id) == "left"
    assert judgement.first_shown == ("left" if is_left else "right")
    assert judgement.choice == ("first" if is_left else "second")
    assert (judgement.first, judgement.second, judgement.time_on_task_s) == (item.first, item.second, 3.1)
    assert judgement.consent_version is not None
    split = find_campaign(records, "kitchen").splits[item.id]
    assert records.all(Judgement, split=split, subject="ada") == [judgement]


def test_the_same_answer_twice_is_stored_once_and_another_supersedes_it(records, now):
    item = next_item(records, "kitchen", "ada")
    first = record_answer(records, item, "ada", "tie", now=now, time_on_task_s=2)
    assert record_answer(records, item, "ada", "tie", now=now, time_on_task_s=9) == first
    second = record_answer(records, item, "ada", "both_bad", now=now)
    assert second.supersedes == first.id
    assert records.count(Judgement) == 2
    assert current_judgements(records.all(Judgement)) == [second]


def test_undo_takes_back_the_last_answer_and_serves_its_item_again(records, now):
    first = next_item(records, "kitchen", "ada")
    record_answer(records, first, "ada", "tie", now=now)
    second = next_item(records, "kitchen", "ada")
    answer = record_answer(records, second, "ada", "left", now=now)
    assert undo_last(records, "kitchen", "ada", now=now) == answer
    assert next_item(records, "kitchen", "ada") == second
    assert progress(records, "kitchen", "ada").judged == 1
    assert undo_last(records, "kitchen", "ada", now=now).prompt == first.prompt
    assert next_item(records, "kitchen", "ada") == first
    assert undo_last(records, "kitchen", "ada", now=now) is None
    assert current_judgements(records.all(Judgement)) == []
    assert records.count(Judgement) == 4


def test_an_undone_answer_may_be_given_again_and_undone_again(records, now):
    item = next_item(records, "kitchen", "ada")
    for _ in range(3):
        record_answer(records, item, "ada", "tie", now=now)
        assert len(current_judgements(records.all(Judgement))) == 1
        undo_last(records, "kitchen", "ada", now=now)
        assert current_judgements(records.all(Judgement)) == []
    assert records.count(Judgement) == 6


def test_an_undo_touches_nobody_else(records, now):
    _judge_all(records, "bob", now)
    item = next_item(records, "kitchen", "ada")
    record_answer(records, item, "ada", "tie", now=now)
    undo_last(records, "kitchen", "ada", now=now)
    assert progress(records, "kitchen", "bob") == (12, 12)


def test_nobody_is_recorded_without_consent_to_the_current_text(records, now):
    item = next_item(records, "kitchen", "eve")
    with pytest.raises(InputError, match="no consent to the current text"):
        record_answer(records, item, "eve", "left", now=now)
    assert records.count(Judgement) == 0


def test_a_campaign_that_is_opened_again_gains_items_and_keeps_answers(records, now):
    done = _judge_all(records, "ada", now)
    open_campaign(records, "kitchen", _items(now, 15), now=now)
    assert progress(records, "kitchen", "ada") == (12, 15)
    assert len(_judge_all(records, "ada", now)) == 3
    assert set(done) < set(find_campaign(records, "kitchen").splits)
    assert campaign_names(records) == ["kitchen"]


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
        find_item(records, "kitchen", item.id)


def test_a_divided_campaign_keeps_people_and_prompts_apart(workspace, now):
    records = workspace.records
    folds = Folds(held_out_annotators=("bob",))
    open_campaign(records, "kitchen", _items(now, 40), now=now, folds=folds)
    for name in ("ada", "bob"):
        give_consent(records, name, "train", now=now)
        _judge_all(records, name, now)
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
    items = read_items(tmp_path / "items.jsonl", campaign="kitchen", now=now)
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
