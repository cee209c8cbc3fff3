"""Company: whether others said the same, read from a real store with a few people on the same pairs."""

import pytest

from assay.feedback import (
    Said,
    find_campaign,
    give_consent,
    next_turn,
    open_campaign,
    queue_of,
    record_answer,
    undo_last,
)
from assay.feedback.answering import shown_order
from assay.feedback.campaign import Run
from assay.feedback.company import MOST, agreed_with_others
from assay.records.conversation import user_prompt
from assay.records.judgement import Item, Judgement


@pytest.fixture
def kitchen(workspace, now):
    """A campaign of three pairs for three people; `say` answers the next item of a person by canonical choice."""
    items = [Item(campaign="k", prompt=user_prompt(f"p{n}"), first="a", second="b", created_at=now) for n in range(3)]
    open_campaign(workspace.records, "k", items, now=now, run=Run(overlap=3))
    leases, campaign = queue_of(workspace.records), find_campaign(workspace.records, "k")

    def say(name, *choices):
        give_consent(workspace.records, name, "train", now=now)
        for choice in choices:
            turn = next_turn(leases, campaign, name, now=now)
            is_left = (choice == "first") == (shown_order(name, turn.item.id) == "left")
            said = Said(overall=choice if choice == "tie" else "left" if is_left else "right")
            record_answer(leases, campaign, name, turn.item, said, now=now)
        return leases, campaign, workspace.records.all(Judgement, subject=name)

    return say


def test_half_of_the_others_are_enough_and_who_is_alone_is_absent(kitchen):
    kitchen("bob", "first", "first", "first")
    kitchen("cem", "first", "second")
    leases, _, mine = kitchen("ada", "second", "second", "first")
    found = agreed_with_others(leases, "k", mine)
    by_prompt = {one.prompt[-1].content: found[one.id] for one in mine}
    order = [one.prompt[-1].content for one in mine]
    # Both others said `first` of the pair that ada called second; of the next one each said something else.
    assert [by_prompt[name] for name in order] == [False, True, True]
    leases, _, alone = kitchen("bob")
    assert len(agreed_with_others(leases, "k", alone)) == 3
    assert agreed_with_others(leases, "other", alone) == {}
    assert agreed_with_others(leases, "k", []) == {}


def test_an_answer_that_was_taken_back_is_nobodys(kitchen, now):
    leases, campaign, _ = kitchen("bob", "second")
    undo_last(leases, campaign, "bob", now=now)
    leases, _, mine = kitchen("ada", "first")
    assert agreed_with_others(leases, "k", mine) == {}


def test_only_the_last_answers_are_looked_at(kitchen, monkeypatch):
    kitchen("bob", "first", "first", "first")
    leases, _, mine = kitchen("ada", "first", "first", "first")
    monkeypatch.setattr("assay.feedback.company.MOST", 2)
    assert MOST > 2
    assert set(agreed_with_others(leases, "k", mine)) == {one.id for one in mine[-2:]}
