"""Aggregator contract: what any aggregator must hold to. Add your own to `AGGREGATORS_UNDER_TEST` to test it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.preferences import AGGREGATORS, Aggregator
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.judgement import Judgement

TURNED = {"first": "second", "second": "first"}
NOW = datetime(2026, 3, 1, tzinfo=UTC)
AGGREGATORS_UNDER_TEST: list[Aggregator] = list(AGGREGATORS.values())

every_aggregator = pytest.mark.parametrize("aggregate", AGGREGATORS_UNDER_TEST)


def judgement(prompt, choice, annotator, side, occurrence=0, turned=False):
    first, second = ("y", "x") if turned else ("x", "y")
    return Judgement(
        created_at=NOW,
        campaign="contract",
        annotator=annotator,
        prompt=user_prompt(prompt),
        first=first,
        second=second,
        choice={"first": "second", "second": "first"}.get(choice, choice) if turned else choice,
        first_shown={"left": "right", "right": "left"}[side] if turned else side,
        occurrence=occurrence,
    )


ROWS = st.lists(
    st.tuples(
        st.sampled_from("pqr"),
        st.sampled_from(["first", "second", "tie", "both_bad", "cannot_judge"]),
        st.sampled_from(["ada", "bob", "eve"]),
        st.sampled_from(["left", "right"]),
    ),
    min_size=2,
    max_size=16,
).filter(lambda rows: any(row[1] in ("first", "second") for row in rows))


def made(rows, turned=False):
    return [judgement(*row, occurrence=number, turned=turned) for number, row in enumerate(rows)]


@every_aggregator
@settings(max_examples=12, deadline=None)
@given(rows=ROWS, data=st.data())
def test_the_order_of_judgements_changes_nothing(aggregate, rows, data):
    judgements = made(rows)
    shuffled = data.draw(st.permutations(judgements))
    one, other = (aggregate(js, split="train", now=NOW) for js in (judgements, shuffled))
    assert one.report.id == other.report.id
    assert {p.id for p in one.preferences} == {p.id for p in other.preferences}


@every_aggregator
@settings(max_examples=12, deadline=None)
@given(rows=ROWS)
def test_which_completion_is_called_first_changes_nothing(aggregate, rows):
    one, other = (aggregate(made(rows, turned), split="train", now=NOW) for turned in (False, True))
    found = [{p.prompt_id: (p.chosen, p.margin, p.probability) for p in result.preferences} for result in (one, other)]
    assert found[0] == found[1]


@every_aggregator
@settings(max_examples=12, deadline=None)
@given(rows=ROWS)
def test_turning_every_answer_round_turns_every_preference_round(aggregate, rows):
    turned = [(prompt, TURNED.get(choice, choice), *rest) for prompt, choice, *rest in rows]
    one, other = (aggregate(made(given), split="train", now=NOW) for given in (rows, turned))
    mirrored = {p.prompt_id: (p.rejected, p.margin) for p in other.preferences}
    assert {p.prompt_id: (p.chosen, p.margin) for p in one.preferences} == mirrored


@every_aggregator
@settings(max_examples=12, deadline=None)
@given(rows=ROWS)
def test_vote_shares_are_those_of_people_and_sum_to_one(aggregate, rows):
    for preference in aggregate(made(rows), split="train", now=NOW).preferences:
        assert sum(preference.vote_shares) == pytest.approx(1)
        assert min(preference.vote_shares) == pytest.approx(0.5 / (len(preference.annotators) + 1.5), abs=1e-9) or (
            min(preference.vote_shares) > 0.5 / (len(preference.annotators) + 1.5)
        )


@every_aggregator
@settings(max_examples=12, deadline=None)
@given(rows=ROWS)
def test_every_preference_names_its_judgements_and_states_its_uncertainty(aggregate, rows):
    judgements = made(rows)
    by_id = {j.id: j for j in judgements}
    report, preferences = aggregate(judgements, split="train", now=NOW)
    assert len(preferences) <= report.pairs
    for preference in preferences:
        assert preference.aggregation == report.id
        assert {preference.chosen, preference.rejected} == {"x", "y"}
        assert {by_id[identity].prompt_id for identity in preference.judgements} == {preference.prompt_id}
        assert set(preference.annotators) == {by_id[identity].annotator for identity in preference.judgements}
        assert preference.margin > 0
        assert preference.standard_error > 0
        assert 0 < preference.weight <= 1
        assert 0.5 < preference.probability < 1


@every_aggregator
def test_agreement_gives_a_surer_preference_than_dispute(aggregate):
    sides = ("left", "right", "left", "right")
    rows = [("p", "first", f"a{n}", side) for n, side in enumerate(sides)]
    rows += [("q", "second" if n == 3 else "first", f"a{n}", side) for n, side in enumerate(sides)]
    _, preferences = aggregate(made(rows), split="train", now=NOW)
    agreed, disputed = sorted(preferences, key=lambda preference: preference.prompt[0].content)
    assert (agreed.chosen, disputed.chosen) == ("x", "x")
    assert agreed.margin > disputed.margin
    assert agreed.weight > disputed.weight


@every_aggregator
@pytest.mark.parametrize("choices", [[], ["cannot_judge"], ["tie", "both_bad"]])
def test_nothing_to_aggregate_is_an_input_error(aggregate, choices):
    rows = [("p", choice, "ada", "left") for choice in choices]
    with pytest.raises(InputError):
        aggregate(made(rows), split="train", now=NOW)


@pytest.mark.parametrize("name", sorted(AGGREGATORS))
def test_a_report_names_the_method_under_its_registered_name(name):
    rows = [("p", "first", "ada", "left"), ("q", "second", "bob", "right")]
    assert AGGREGATORS[name](made(rows), split="train", now=NOW).report.method == name
