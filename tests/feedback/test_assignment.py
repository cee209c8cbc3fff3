"""Assignment: overlap, routing, checks and repeats at their rate, passes, and undo of each kind of answer."""

import pytest

from assay.feedback import (
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
from assay.feedback.assignment import Pass, pass_over, standing_passes, step_away
from assay.feedback.campaign import Run
from assay.feedback.schemes import Scheme
from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Item, Judgement, Ranking

PEOPLE = ("ada", "bob", "cem", "dan", "eve")


def _open(workspace, now, *, count=3, gold=0, others=None, scheme=None, **run):
    items = [
        Item(campaign="k", prompt=user_prompt(f"p{n}"), first="a", second="b", others=others, created_at=now)
        for n in range(count + gold)
    ]
    known = {item.id: "first" for item in items[count:]}
    open_campaign(workspace.records, "k", items, now=now, run=Run(**run), scheme=scheme, gold=known)
    for name in PEOPLE:
        give_consent(workspace.records, name, "train", now=now)
    return queue_of(workspace.records), find_campaign(workspace.records, "k")


def _answer_as(leases, campaign, name, now, choice="first", turn=None):
    turn = turn or next_turn(leases, campaign, name, now=now)
    if turn is None:
        return None
    asked_left = (turn.lease.round == 0) == (_side(name, turn.item) == "left")
    answer = "tie" if choice == "tie" else "left" if (choice == "first") == asked_left else "right"
    said = Said(overall=answer)
    return record_answer(leases, campaign, name, turn.item, said, now=now, round=turn.lease.round)


def _side(name, item):
    from assay.feedback.answering import shown_order

    return shown_order(name, item.id)


def test_an_item_is_judged_by_exactly_as_many_people_as_declared(workspace, now):
    leases, campaign = _open(workspace, now, overlap=2)
    for name in PEOPLE:
        while _answer_as(leases, campaign, name, now):
            pass
    by_prompt = {}
    for judgement in workspace.records.all(Judgement):
        by_prompt.setdefault(judgement.prompt_id, set()).add(judgement.annotator)
    assert [len(people) for people in by_prompt.values()] == [2, 2, 2]
    assert progress(leases, "k", "eve") == (0, 0)


def test_a_tab_left_open_cannot_add_a_third_answer(workspace, now):
    leases, campaign = _open(workspace, now, count=1, overlap=1)
    turn = next_turn(leases, campaign, "ada", now=now)
    assert step_away(leases, "k", "ada") == 1
    _answer_as(leases, campaign, "bob", now)
    with pytest.raises(StorageError, match="others have judged meanwhile"):
        _answer_as(leases, campaign, "ada", now, turn=turn)
    assert [one.annotator for one in workspace.records.all(Judgement)] == ["bob"]


def test_people_who_disagree_bring_one_more_until_the_limit(workspace, now):
    leases, campaign = _open(workspace, now, count=1, overlap=2, extra_overlap=2)
    for name, choice in zip(PEOPLE, ("first", "second", "tie", "first", "first"), strict=True):
        _answer_as(leases, campaign, name, now, choice)
    assert [one.annotator for one in workspace.records.all(Judgement)] == ["ada", "bob", "cem", "dan"]


def test_people_who_agree_bring_nobody(workspace, now):
    leases, campaign = _open(workspace, now, count=1, overlap=2, extra_overlap=2)
    for name in PEOPLE:
        _answer_as(leases, campaign, name, now)
    assert workspace.records.count(Judgement) == 2


def test_checks_and_repeats_come_at_their_rate_and_train_nobody(workspace, now):
    leases, campaign = _open(workspace, now, count=60, gold=40, gold_rate=0.2, repeat_rate=0.2)
    while _answer_as(leases, campaign, "ada", now):
        pass
    said = workspace.records.all(Judgement)
    kinds = [one.purpose for one in said]
    assert kinds.count(None) == 60
    assert 8 <= kinds.count("gold") <= 35
    assert 8 <= kinds.count("repeat") <= 35
    assert {one.purpose for one in workspace.records.all(Judgement, split="unused")} == {"gold", "repeat"}
    assert progress(leases, "k", "ada") == (60, 60)
    repeats = [one for one in said if one.purpose == "repeat"]
    first = {one.prompt_id: one for one in said if one.purpose is None}
    assert all(one.first_shown != first[one.prompt_id].first_shown for one in repeats)
    assert len({one.prompt_id for one in repeats}) == len(repeats)


def test_a_reload_cannot_choose_another_kind_of_item(workspace, now):
    leases, campaign = _open(workspace, now, count=5, gold=5, gold_rate=0.5)
    assert len({next_turn(leases, campaign, "ada", now=now).item.id for _ in range(4)}) == 1


def test_a_pass_moves_on_leaves_the_item_to_others_and_can_be_taken_back(workspace, now):
    leases, campaign = _open(workspace, now, count=2, overlap=1)
    turn = next_turn(leases, campaign, "ada", now=now)
    passed = pass_over(leases, turn.lease, reason="upsetting", note=" no ", is_flag=True, now=now)
    assert (passed.note, passed.is_flag) == ("no", True)
    assert next_turn(leases, campaign, "ada", now=now).item != turn.item
    assert pass_over(leases, turn.lease, reason="other", now=now) is None
    assert undo_last(leases, campaign, "ada", now=now) == passed
    assert next_turn(leases, campaign, "ada", now=now).item == turn.item
    passes = workspace.records.all(Pass)
    assert standing_passes(passes) == []
    again = pass_over(leases, leases.held("k", "ada")[0], reason="upsetting", note="no", is_flag=True, now=now)
    assert standing_passes(workspace.records.all(Pass)) == [again]
    assert next_turn(leases, campaign, "bob", now=now) is not None


def test_a_pass_that_others_have_filled_stays(workspace, now):
    leases, campaign = _open(workspace, now, count=1, overlap=1)
    pass_over(leases, next_turn(leases, campaign, "ada", now=now).lease, reason="other", now=now)
    _answer_as(leases, campaign, "bob", now)
    assert undo_last(leases, campaign, "ada", now=now) is None


def test_a_ranking_is_undone_and_corrected_with_all_its_pairs(workspace, now):
    scheme = Scheme(name="ranked", task="ranking", created_at=now)
    leases, campaign = _open(workspace, now, count=1, others=("c",), scheme=scheme)
    item = next_turn(leases, campaign, "ada", now=now).item

    def rank(*ranks):
        record_answer(leases, campaign, "ada", item, Said(ranks=ranks), now=now)
        return [one.choice for one in current_judgements(workspace.records.all(Judgement))]

    assert len(rank(1, 2, 3)) == 3
    assert rank(1, 1, 1) == ["tie"] * 3
    undo_last(leases, campaign, "ada", now=now)
    assert current_judgements(workspace.records.all(Judgement)) == []
    assert rank(1, 1, 1) == ["tie"] * 3
    assert workspace.records.count(Ranking) == 4
