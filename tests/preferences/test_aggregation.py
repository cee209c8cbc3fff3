"""Aggregation: estimates become records with hand-worked probability and weight, and stored under their split."""

import numpy as np
import pytest
from judgement_panels import NOW, judge
from scipy.stats import norm

from assay.preferences import (
    Estimates,
    aggregate_jointly,
    aggregate_split,
    build,
    get_aggregator,
    tabulate,
)
from assay.preferences.majority import aggregate_by_majority
from assay.preferences.table import pair_key
from assay.records.errors import ConfigError, InputError
from assay.records.preference import AggregationReport, Preference
from assay.storage import SplitName

ESTIMATES = Estimates(
    method="planted",
    difference=np.array([-2.0]),
    standard_error=np.array([1.0]),
    reliability=np.array([1.0, 1.0]),
    side_bias=np.array([0.0, 0.0]),
)


def test_a_preference_carries_the_worked_margin_probability_and_weight():
    table = tabulate([judge(choice="second"), judge(choice="second", annotator="bob")])
    (preference,) = build(table, ESTIMATES, split="train", now=NOW).preferences
    assert (preference.chosen, preference.rejected) == ("two", "one")
    assert (preference.margin, preference.standard_error) == (2.0, 1.0)
    # 2 / sqrt(1 + pi / 8) = 1.6949; sigmoid of it 0.8449. Phi(2) = 0.97725, weight 0.9545.
    assert preference.probability == pytest.approx(0.8449, abs=1e-4)
    assert preference.weight == pytest.approx(0.9545, abs=1e-4)
    assert preference.annotators == ("ada", "bob")
    assert set(preference.judgements) == {judgement.id for judgement in table.judgements}


def test_the_weight_of_a_hard_label_has_the_pull_of_the_soft_label_at_margin_zero():
    # d/dm of -[p log s(m) + (1-p) log s(-m)] at 0 is 1/2 - p; of -w log s(m) it is -w/2.
    p = norm.cdf(2.0)
    (preference,) = build(tabulate([judge(choice="second")]), ESTIMATES, split="train", now=NOW).preferences
    assert -preference.weight / 2 == pytest.approx(0.5 - p)


def test_a_pair_without_a_direction_yields_no_preference_and_a_note():
    table = tabulate([judge(), judge(choice="second", annotator="bob")])
    result = build(table, ESTIMATES._replace(difference=np.array([1e-5])), split="train", now=NOW)
    assert result.preferences == ()
    assert "1 pairs without a direction" in result.report.notes[-1]


def test_a_pair_that_everyone_ties_yields_no_preference_whatever_the_fit_makes_of_sides():
    table = tabulate([judge(choice="tie"), judge("other", choice="second", annotator="bob")])
    number = [pair.prompt[0].content for pair in table.pairs].index("a prompt")
    difference = np.array([0.2, 0.2])
    two = ESTIMATES._replace(difference=difference, standard_error=np.ones(2))
    preferences = build(table, two, split="train", now=NOW).preferences
    assert [preference.prompt for preference in preferences] == [table.pairs[1 - number].prompt]


def test_a_pair_is_contested_from_a_third_of_its_annotators_on():
    def answers(prompt, choices):
        return [judge(prompt, choice=choice, annotator=f"p{n}") for n, choice in enumerate(choices)]

    judgements = [
        *answers("a third against", ["first", "first", "second"]),
        *answers("a quarter against", ["first", "first", "first", "second"]),
        *answers("a tie is not against", ["first", "first", "tie"]),
    ]
    report = aggregate_by_majority(judgements, split="train", now=NOW).report
    keys = {pair.prompt[0].content: pair_key(pair) for pair in tabulate(judgements).pairs}
    assert report.contested == (keys["a third against"],)


def test_votes_become_log_odds_with_half_a_vote_on_each_side():
    judgements = [judge(annotator=f"p{n}", choice=c) for n, c in enumerate(["first", "first", "tie"])]
    (preference,) = aggregate_by_majority(judgements, split="train", now=NOW).preferences
    assert preference.margin == pytest.approx(np.log(3.0 / 1.0))  # 2.5 + 0.5 against 0.5 + 0.5
    assert preference.standard_error == pytest.approx(np.sqrt(1 / 3 + 1))


def test_the_report_counts_what_went_in_and_what_each_person_did():
    judgements = [
        judge("p", choice="first", annotator="ada"),
        judge("p", choice="first", annotator="bob", first_shown="right"),
        judge("p", choice="second", annotator="eve"),
        judge("q", choice="both_bad", annotator="ada"),
    ]
    report = aggregate_by_majority(judgements, split="watch", now=NOW).report
    assert (report.judgements, report.pairs, report.ties, report.split) == (4, 2, 1, "watch")
    people = {person.annotator: person for person in report.annotators}
    assert (people["ada"].judgements, people["ada"].agreement) == (2, 1.0)
    assert people["eve"].agreement == 0.0
    assert people["ada"].reliability == pytest.approx(1.5)  # 1 over the mean of 1, 1 and 0
    assert people["ada"].side_bias == pytest.approx(np.log(3))
    assert people["bob"].side_bias == pytest.approx(-np.log(3))


def test_a_split_is_aggregated_alone_and_stored_under_its_name(workspace):
    records = workspace.records
    records.put_all([(judge(f"p {n}", annotator=f"a{n % 3}"), "train", None) for n in range(6)])
    records.put_all([(judge(f"w {n}"), "held_out", None) for n in range(2)])
    result = aggregate_split(records, SplitName.TRAIN, method="joint", now=NOW)
    assert result.report.judgements == 6
    assert [p.id for p in records.all(Preference, split="train")] == [p.id for p in result.preferences]
    assert records.count(Preference, split="held_out") == 0
    assert {p.aggregation for p in result.preferences} == {result.report.id}
    assert workspace.training.all(Preference, SplitName.TRAIN)


def test_aggregating_twice_stores_nothing_new_and_another_method_is_told_apart(workspace):
    records = workspace.records
    records.put_all([(judge(f"p {n}", annotator=f"a{n % 3}"), "train", None) for n in range(6)])
    first = aggregate_split(records, SplitName.TRAIN, now=NOW)
    again = aggregate_split(records, SplitName.TRAIN, now=NOW.replace(year=2027))
    assert again.report.id == first.report.id
    assert records.count(AggregationReport) == 1
    votes = aggregate_split(records, SplitName.TRAIN, method="majority", now=NOW)
    mine = records.all(Preference, split="train", subject=votes.report.id)
    assert [p.id for p in mine] == [p.id for p in votes.preferences]


def test_an_empty_split_and_an_unknown_method_are_refused(workspace):
    with pytest.raises(InputError, match="got none"):
        aggregate_split(workspace.records, SplitName.TRAIN, now=NOW)
    with pytest.raises(ConfigError, match="joint, joint_without_inversion"):
        get_aggregator("oracle")


def test_a_fit_that_did_not_converge_says_so_in_the_report(monkeypatch):
    import assay.preferences.joint as joint
    from assay.preferences import fit_jointly

    monkeypatch.setattr(joint, "fit_jointly", lambda cells, **settings: fit_jointly(cells, max_iterations=1))
    judgements = [judge(f"p {n}", annotator=f"a{n % 3}", choice=("first", "second")[n % 2]) for n in range(9)]
    report = aggregate_jointly(judgements, split="train", now=NOW).report
    assert not report.converged
    assert "the fit stopped" in report.notes[-1]
