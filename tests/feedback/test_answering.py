"""Answering: from places on a screen to canonical records, by hand-worked cases and for every order."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.feedback import Said
from assay.feedback.answering import (
    Asked,
    SaidCritique,
    answer_records,
    canonical_choice,
    find_span,
    same_answer,
    shown_positions,
    withdrawal_of,
)
from assay.feedback.schemes import Attribute, Scheme, Step
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Item, Judgement, Ranking

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIR = Item(campaign="k", prompt=user_prompt("p"), first="the first one", second="a **second** one", created_at=NOW)
FOUR = Item(campaign="k", prompt=user_prompt("p"), first="a", second="b", others=("c", "d"), created_at=NOW)
SCALE = (Step(value="poor", label="Poor"), Step(value="good", label="Good"))
SCHEME = Scheme(
    name="whole",
    attributes=(
        Attribute(name="honesty", title="Honesty"),
        Attribute(name="detail", title="Detail", kind="amount"),
        Attribute(name="tone", title="Tone", kind="scale", steps=SCALE),
    ),
    created_at=NOW,
)
RANKING = Scheme(name="ranked", task="ranking", created_at=NOW)
RATINGS = {"detail": {0: "too_much", 1: "right"}, "tone": {0: "poor", 1: "good"}}


def _asked(item=PAIR, scheme=SCHEME, **fields):
    defaults = {"annotator": "ada", "round": 0, "consent_version": "v", "supersedes": None, "purpose": None}
    return Asked(item=item, scheme=scheme, **(defaults | fields))


def _whole(**fields):
    return Said(**({"overall": "left_much", "attributes": {"honesty": "right"}, "ratings": RATINGS} | fields))


def test_every_part_of_an_answer_lands_on_the_completion_that_stood_there():
    asked = _asked()
    (judgement,) = answer_records(asked, _whole(), now=NOW)
    left, right = asked.shown
    names = ("first", "second")
    assert (judgement.choice, judgement.strength) == (names[left], 2)
    assert judgement.attributes == {"honesty": names[right]}
    assert judgement.attribute_strengths == {"honesty": 1}
    assert {(r.attribute, r.position, r.value) for r in judgement.ratings} == {
        ("detail", left, "too_much"),
        ("detail", right, "right"),
        ("tone", left, "poor"),
        ("tone", right, "good"),
    }
    assert judgement.scheme == SCHEME.id


def test_a_repeat_with_the_sides_exchanged_says_the_same_when_the_answer_is_mirrored():
    mirrored = _whole(
        overall="right_much",
        attributes={"honesty": "left"},
        ratings={name: {1 - place: value for place, value in given.items()} for name, given in RATINGS.items()},
    )
    (one,), (other,) = (
        answer_records(_asked(round=number), said, now=NOW) for number, said in enumerate([_whole(), mirrored])
    )
    assert (one.choice, one.attributes, one.ratings) == (other.choice, other.attributes, other.ratings)
    assert one.first_shown != other.first_shown


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (Said(overall="left"), "Honesty: nothing was chosen"),
        (_whole(overall=None), "overall: nothing was chosen"),
        (_whole(ratings={"tone": {0: "poor", 1: "good"}}), "Detail: nothing was chosen for answer 1"),
        (_whole(ratings=RATINGS | {"tone": {0: "great", 1: "good"}}), "Tone: nothing was chosen for answer 1"),
        (_whole(attributes={"honesty": "left", "charm": "left"}), "charm: not asked"),
        (_whole(critiques=(SaidCritique(place=2, quote="x"),)), "on answer 3 is not of the scheme"),
        (_whole(critiques=(SaidCritique(place=0, quote="x", category="rude"),)), "'rude' on answer 1"),
        (_whole(edit="x", edit_place=2), "edit: not asked"),
    ],
)
def test_an_answer_that_is_not_whole_or_not_of_the_scheme_is_told(said, fault):
    with pytest.raises(InputError, match=fault):
        answer_records(_asked(), said, now=NOW)


def test_all_that_is_missing_is_told_at_once():
    with pytest.raises(InputError) as caught:
        answer_records(_asked(), Said(), now=NOW)
    assert len(caught.value.faults) == 6


def test_who_cannot_judge_says_why_and_nothing_else():
    (judgement,) = answer_records(_asked(), Said(overall="cannot_judge", reason=" no Greek "), now=NOW)
    assert (judgement.choice, judgement.reason, judgement.ratings) == ("cannot_judge", "no Greek", None)


def test_a_critique_finds_its_span_through_marks_and_keeps_words_that_are_not_there():
    place = _asked().shown.index(1)
    critiques = (
        SaidCritique(place=place, quote="a second  one", category="wrong", severity=3, comment="no"),
        SaidCritique(place=place, quote="not there"),
    )
    (judgement,) = answer_records(_asked(), _whole(critiques=critiques), now=NOW)
    found, lost = judgement.critiques
    assert (found.completion, found.start, found.end, found.severity) == ("second", 0, 16, 3)
    assert found.text == "a **second** one"
    assert (lost.text, lost.start, lost.end) == ("not there", None, None)


def test_a_span_is_looked_for_word_by_word():
    assert find_span("b c", "a b\n- c d") == (2, 7)
    assert find_span("...", "a") is None
    assert find_span("c b", "b c") is None


def test_an_edit_that_changes_nothing_is_none():
    place = _asked().shown.index(0)
    same, other = (
        answer_records(_asked(), _whole(edit=text, edit_place=place), now=NOW)[0].edit
        for text in (" the first one\r\n", "the first two")
    )
    assert same is None
    assert (other.position, other.text) == (0, "the first two")


def test_a_ranking_with_a_tie_becomes_itself_and_its_six_pairs():
    asked = _asked(FOUR, RANKING)
    by_position = {0: 2, 1: 1, 2: 2, 3: 4}
    said = Said(ranks=tuple(by_position[position] for position in asked.shown))
    ranking, *pairs = answer_records(asked, said, now=NOW)
    assert isinstance(ranking, Ranking)
    assert ranking.ranks == (2, 1, 2, 4)
    assert [(j.first, j.second, j.choice) for j in pairs] == [
        ("a", "b", "second"),
        ("a", "c", "tie"),
        ("a", "d", "first"),
        ("b", "c", "first"),
        ("b", "d", "first"),
        ("c", "d", "first"),
    ]
    assert {j.ranking for j in pairs} == {ranking.id}
    before = [asked.shown.index(one) < asked.shown.index(other) for one, other in [(0, 1), (2, 3)]]
    assert [pairs[0].first_shown, pairs[5].first_shown] == ["left" if is_before else "right" for is_before in before]


@pytest.mark.parametrize("ranks", [(), (1, 2, 3), (0, 1, 2, 3), (1, 2, 3, 5)])
def test_a_ranking_without_a_rank_for_each_is_told(ranks):
    with pytest.raises(InputError, match="each of the 4 answers needs a rank"):
        answer_records(_asked(FOUR, RANKING), Said(ranks=ranks), now=NOW)


@given(st.text(min_size=1, max_size=20), st.integers(2, 9))
def test_places_on_the_screen_are_a_fixed_order_of_all_completions(name, count):
    first, second, *others = map(str, range(count))
    item = Item(
        campaign="k", prompt=user_prompt("p"), first=first, second=second, others=tuple(others) or None, created_at=NOW
    )
    shown = shown_positions(item, name)
    assert sorted(shown) == list(range(count))
    assert shown == shown_positions(item, name)
    assert shown[::-1] == shown_positions(item, name, round=1)


@given(st.sampled_from(["left_much", "left", "tie", "right", "right_much"]))
def test_a_mirrored_answer_on_mirrored_sides_is_the_same_choice(answer):
    mirrored = answer.replace("left", "-").replace("right", "left").replace("-", "right")
    assert canonical_choice(answer, "left") == canonical_choice(mirrored, "right")


def test_a_withdrawal_says_nothing_and_supersedes():
    (judgement,) = answer_records(_asked(), _whole(), now=NOW)
    gone = withdrawal_of(judgement, now=NOW)
    assert Judgement.model_validate(gone.model_dump()).supersedes == judgement.id
    assert (gone.choice, gone.attributes, gone.ratings, gone.strength) == ("cannot_judge", {}, None, 1)
    assert not same_answer(judgement, gone)
    ranking, *_ = answer_records(_asked(FOUR, RANKING), Said(ranks=(1, 2, 3, 4)), now=NOW)
    assert withdrawal_of(ranking, now=NOW).is_withdrawn
