"""Comfort: what a person would rather not see never comes to them, is free for others, and nobody is told."""

import itertools
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

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
from assay.feedback.assignment import Pass, pass_over
from assay.feedback.campaign import Run
from assay.feedback.comfort import Comfort, accept, accepted_by, is_to_be_asked, is_to_be_offered, limit_of
from assay.feedback.erasure import erase
from assay.feedback.withdrawal import withdraw
from assay.records.conversation import user_prompt
from assay.records.judgement import HARMS, Item, Judgement
from assay.storage import RecordStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = ("ada", "bob", "cem")
_SALTS = (f"{n:032x}" for n in itertools.count())


def _items(harms, *, campaign="k"):
    return [
        Item(campaign=campaign, prompt=user_prompt(f"p{n}"), first="a", second="b", harm=harm, created_at=NOW)
        for n, harm in enumerate(harms)
    ]


def _open(workspace, harms, *, campaign="k", gold=(), **run):
    items = _items(harms, campaign=campaign)
    known = {items[place].id: "first" for place in gold}
    open_campaign(workspace.records, campaign, items, now=NOW, run=Run(**run), gold=known)
    for name in PEOPLE:
        give_consent(workspace.records, name, "train", now=NOW)
    return queue_of(workspace.records), find_campaign(workspace.records, campaign)


def _accept(leases, name, harm):
    return accept(leases, name, harm, salt=next(_SALTS), now=NOW)


def _next(leases, campaign, name="ada"):
    turn = next_turn(leases, campaign, name, now=NOW)
    return turn.item if turn else None


def _answer(leases, campaign, name="ada"):
    turn = next_turn(leases, campaign, name, now=NOW)
    if turn is None:
        return None
    record_answer(leases, campaign, name, turn.item, Said(overall="tie"), now=NOW, round=turn.lease.round)
    return turn.item


def _all(leases, campaign, name="ada"):
    return list(iter(lambda: _answer(leases, campaign, name), None))


ALL_HARMS = ("none", "mild", "strong", None) * 3


@pytest.mark.parametrize(
    ("harm", "seen"),
    [("none", {"none", None}), ("mild", {"none", "mild", None}), ("strong", {"none", "mild", "strong", None})],
)
def test_a_person_gets_all_up_to_what_they_accept_and_no_more(workspace, harm, seen):
    leases, campaign = _open(workspace, ALL_HARMS)
    _accept(leases, "ada", harm)
    assert progress(leases, "k", "ada") == (0, 3 * len(seen))
    said = _all(leases, campaign)
    assert Counter(item.harm for item in said) == dict.fromkeys(seen, 3)
    assert progress(leases, "k", "ada") == (3 * len(seen), 3 * len(seen))
    assert progress(leases, "k", "bob") == (0, 12)


def test_whoever_said_nothing_gets_everything(workspace):
    leases, campaign = _open(workspace, ALL_HARMS)
    assert limit_of(workspace.records, "ada") is None
    assert len(_all(leases, campaign)) == 12


def test_what_is_in_hand_goes_back_in_every_campaign_and_what_was_answered_stays(workspace):
    leases, first = _open(workspace, ("strong", "strong", "mild"), overlap=1)
    _, second = _open(workspace, ("strong",), campaign="l", overlap=1)
    strong = _answer(leases, first)
    while strong.harm != "strong":
        strong = _answer(leases, first)
    answered = workspace.records.count(Judgement)
    _next(leases, first)
    assert _next(leases, second).harm == "strong"
    assert _next(leases, second, "bob") is None
    _accept(leases, "ada", "mild")
    assert _next(leases, second, "bob").harm == "strong"
    assert _next(leases, second) is None
    assert {item.harm for item in _all(leases, first)} <= {"mild"}
    assert progress(leases, "k", "ada") == (2, 2)
    assert progress(leases, "l", "ada") == (0, 0)
    assert len(current_judgements(workspace.records.all(Judgement))) == 2 >= answered
    assert leases.find("k", "ada", strong.id).state == "answered"


def test_an_answer_that_was_under_way_is_still_taken(workspace):
    leases, campaign = _open(workspace, ("strong",), overlap=1)
    item = _next(leases, campaign)
    _accept(leases, "ada", "none")
    assert _next(leases, campaign) is None
    record_answer(leases, campaign, "ada", item, Said(overall="left"), now=NOW)
    assert progress(leases, "k", "ada") == (1, 1)
    assert _next(leases, campaign, "bob") is None


def test_a_word_that_comes_while_the_next_item_is_looked_for_counts(workspace, monkeypatch):
    leases, campaign = _open(workspace, ("strong", "none"))
    take = leases.take

    def late(*arguments, **settings):
        monkeypatch.setattr(leases, "take", take)
        lease = take(*arguments, **{**settings, "item": _items(("strong",))[0].id})
        leases.records.put(Comfort(annotator="ada", accepts="none", salt="s", created_at=NOW), subject="ada")
        return lease

    monkeypatch.setattr(leases, "take", late)
    assert _next(leases, campaign).harm == "none"
    assert [one.item for one in leases.held("k", "ada")] == [_next(leases, campaign).id]


def test_the_last_word_counts_and_nothing_is_overwritten(workspace):
    leases, campaign = _open(workspace, ALL_HARMS)
    for harm in ("none", "none", "strong", "mild", "none"):
        _accept(leases, "ada", harm)
    words = workspace.records.all(Comfort, subject="ada")
    assert [one.accepts for one in words] == ["none", "strong", "mild", "none"]
    assert [one.previous for one in words] == [None, *(one.id for one in words[:-1])]
    _accept(leases, "ada", "strong")
    assert len(_all(leases, campaign)) == 12


def test_checks_and_repeats_keep_to_it_too(workspace):
    harms = ("none",) * 14 + ("strong",) * 6 + ("none", "strong") * 10
    leases, campaign = _open(workspace, harms, gold=range(20, 40), gold_rate=0.3, repeat_rate=0.3)
    strong = {item.id for item in _items(harms) if item.harm == "strong"}
    before = [_answer(leases, campaign) for _ in range(16)]
    assert strong & {item.id for item in before}
    _accept(leases, "ada", "none")
    after = _all(leases, campaign)
    assert strong & {item.id for item in after} == set()
    kinds = Counter(one.purpose for one in workspace.records.all(Judgement)[16:])
    assert kinds["gold"] and kinds["repeat"]


def test_an_undone_answer_above_it_is_taken_back_and_its_item_is_free_for_others(workspace):
    leases, campaign = _open(workspace, ("strong",), overlap=1)
    item = _answer(leases, campaign)
    _accept(leases, "ada", "mild")
    assert undo_last(leases, campaign, "ada", now=NOW) is not None
    assert current_judgements(workspace.records.all(Judgement)) == []
    assert _next(leases, campaign) is None
    assert _next(leases, campaign, "bob") == item
    leases.release("k", "bob")
    _accept(leases, "ada", "strong")
    assert _answer(leases, campaign) == item
    (said,) = current_judgements(workspace.records.all(Judgement))
    assert said.choice == "tie"


def test_a_pass_over_something_above_it_is_not_undone(workspace):
    leases, campaign = _open(workspace, ("strong",))
    pass_over(leases, next_turn(leases, campaign, "ada", now=NOW).lease, reason="upsetting", now=NOW)
    _accept(leases, "ada", "mild")
    assert undo_last(leases, campaign, "ada", now=NOW) is None
    assert [one.reason for one in workspace.records.all(Pass)] == ["upsetting"]
    _accept(leases, "ada", "strong")
    assert undo_last(leases, campaign, "ada", now=NOW) is not None


def test_people_are_asked_once_and_only_where_items_are_marked(workspace):
    leases, _ = _open(workspace, ("none", None))
    assert not is_to_be_asked(leases, "k", "ada") and not is_to_be_offered(leases, "k", "ada")
    _open(workspace, ("none", "strong"), campaign="l")
    assert is_to_be_asked(leases, "l", "ada") and is_to_be_offered(leases, "l", "ada")
    _accept(leases, "ada", "mild")
    assert not is_to_be_asked(leases, "l", "ada") and is_to_be_offered(leases, "l", "ada")
    _accept(leases, "ada", "none")
    assert not is_to_be_offered(leases, "l", "ada")


def test_the_word_is_sealed_and_its_identity_gives_it_away_to_nobody(workspace):
    leases, _ = _open(workspace, ("strong",))
    word = _accept(leases, "ada", "none")
    with workspace.records.engine.connect() as connection:
        body = connection.execute(text("SELECT body FROM record WHERE kind = 'comfort'")).scalar_one()
    assert "accepts" not in json.loads(body) and '"none"' not in body and "salt" not in json.loads(body)
    guesses = [Comfort(annotator="ada", accepts=harm, created_at=NOW).id for harm in HARMS]
    assert word.id not in guesses


def test_the_choice_outlives_a_withdrawal_and_once_erased_the_most_careful_holds_until_it_is_asked_again(workspace):
    leases, campaign = _open(workspace, ("mild", "none"))
    _accept(leases, "ada", "mild")
    withdraw(leases, "ada", now=NOW)
    assert accepted_by(workspace.records, "ada") == "mild"
    assert erase(workspace.records, "ada", why="request", now=NOW) is not None
    assert accepted_by(workspace.records, "ada") is None and limit_of(workspace.records, "ada") == 0
    assert is_to_be_asked(leases, "k", "ada")
    assert _next(leases, campaign).harm == "none"
    _accept(leases, "ada", "mild")
    assert accepted_by(workspace.records, "ada") == "mild"
    assert progress(leases, "k", "ada").total == 2


_NAMES = itertools.count()
_STEP = st.tuples(st.sampled_from(PEOPLE), st.sampled_from(["answer", "pass", "undo", "look", *HARMS]))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_STEP, max_size=25), st.booleans())
def test_whatever_people_do_nothing_above_their_word_comes_and_the_overlap_stays_exact(workspace, steps, mix):
    name = f"k{next(_NAMES)}"
    people = {one: f"{one} {name}" for one in PEOPLE}
    leases, campaign = _open(workspace, ("none", "mild", "strong", None, "strong"), campaign=name, overlap=2, mix=mix)
    for person in people.values():
        give_consent(workspace.records, person, "train", now=NOW)
    accepts = dict.fromkeys(people.values(), "strong")
    for one, step in steps:
        person = people[one]
        if step in HARMS:
            _accept(leases, person, step)
            accepts[person] = step
        elif step == "undo":
            undo_last(leases, campaign, person, now=NOW)
        elif turn := next_turn(leases, campaign, person, now=NOW):
            assert turn.item.level <= HARMS.index(accepts[person])
            _do(leases, campaign, person, turn, step)
    for person in people.values():
        _accept(leases, person, "strong")
        _all(leases, campaign, person)
    said = current_judgements([one for one in workspace.records.all(Judgement) if one.campaign == name])
    assert max(Counter(one.prompt_id for one in said).values()) <= 2
    passed = {(one.annotator, one.item) for one in workspace.records.all(Pass)}
    for open_still in leases.ahead(name, "newcomer", most=9):  # passed over by all who could have filled it
        others = set(people.values()) - set(open_still.people)
        assert {(person, open_still.item) for person in others} <= passed


def _do(leases, campaign, person, turn, step):
    if step == "answer":
        record_answer(leases, campaign, person, turn.item, Said(overall="left"), now=NOW)
    elif step == "pass":
        pass_over(leases, turn.lease, reason="upsetting", now=NOW)


def test_a_store_opened_again_knows_the_word(workspace):
    leases, _ = _open(workspace, ("strong",))
    _accept(leases, "ada", "mild")
    again = RecordStore(
        workspace.records.engine.url.render_as_string(hide_password=False), seals=workspace.records.seals
    )
    assert limit_of(again, "ada") == 1
    again.close()
