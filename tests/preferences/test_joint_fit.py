"""Joint fit: an exact gradient, a true mode, symmetry, and the planted habits of people found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judgement_panels import Person, judge, planted_panel
from scipy.optimize import approx_fprime

from assay.preferences import Priors, fit_jointly, tabulate
from assay.preferences.joint_fit import GRADIENT_TOLERANCE, negative_log_posterior
from assay.records.errors import InputError

SWAPPED = {"first": "second", "second": "first", "tie": "tie"}

PANEL = [
    Person("careful-1", 3.0),
    Person("careful-2", 3.0),
    Person("careful-3", 3.0),
    Person("left", 2.0, left=2.0),
    Person("spam-1", 0.0),
    Person("spam-2", 0.0),
]


@pytest.fixture(scope="module")
def planted():
    return planted_panel(PANEL, prompts=250, tie_band=0.4, seed=3)


@pytest.fixture(scope="module")
def planted_fit(planted):
    return fit_jointly(tabulate(planted.judgements))


def test_the_gradient_is_that_of_the_value():
    table = tabulate(planted_panel(PANEL, prompts=4, tie_band=0.5, seed=1).judgements)
    priors = Priors(score=1.5, log_reliability=0.8, side_bias=0.7, log_tie=1.2)
    point = np.random.default_rng(0).normal(size=table.items + 2 * len(PANEL) + 1)
    numeric = approx_fprime(point, lambda x: negative_log_posterior(x, table, priors)[0], 1e-7)
    assert negative_log_posterior(point, table, priors)[1] == pytest.approx(numeric, abs=2e-5)


def test_the_value_at_zero_is_the_log_of_three_equal_chances():
    # At zero exp(z/2) = nu = exp(-z/2) = 1, so each judgement has the chance 1/3 and no prior adds anything.
    table = tabulate([judge(choice="first"), judge(choice="tie", annotator="bob")])
    value, _ = negative_log_posterior(np.zeros(2 + 4 + 1), table, Priors())
    assert value == pytest.approx(2 * np.log(3))


def test_planted_side_bias_and_careless_people_are_found(planted_fit):
    reliability = dict(zip([person.name for person in PANEL], planted_fit.reliability, strict=True))
    bias = dict(zip([person.name for person in PANEL], planted_fit.side_bias, strict=True))
    assert min(reliability[f"careful-{n}"] for n in (1, 2, 3)) > 1.2
    assert max(reliability[f"spam-{n}"] for n in (1, 2)) < 0.25
    assert 1.4 < bias["left"] < 2.6
    assert max(abs(value) for name, value in bias.items() if name != "left") < 0.7


def test_the_panel_mean_of_the_reliabilities_is_one(planted_fit):
    assert planted_fit.reliability.mean() == pytest.approx(1.0)


def test_the_fit_beats_a_vote_where_half_the_panel_is_unreliable(planted, planted_fit):
    table = tabulate(planted.judgements)
    better_is_a = np.array([planted.better[pair.prompt[0].content] == pair.a for pair in table.pairs])
    votes = np.bincount(table.pair, table.outcome)
    by_vote = np.where(votes == 0, 0.5, (votes > 0) == better_is_a).mean()
    by_fit = ((planted_fit.difference > 0) == better_is_a).mean()
    assert by_fit > by_vote + 0.02


def test_the_stated_errors_match_how_often_the_direction_is_wrong(planted, planted_fit):
    table = tabulate(planted.judgements)
    better_is_a = np.array([planted.better[pair.prompt[0].content] == pair.a for pair in table.pairs])
    ratio = np.abs(planted_fit.difference) / planted_fit.standard_error
    is_right = (planted_fit.difference > 0) == better_is_a
    assert is_right[ratio > 2].mean() > 0.93
    assert 0.4 < is_right[ratio < 0.5].mean() < 0.85


def test_the_fit_says_that_it_converged_and_when_it_did_not(planted, planted_fit):
    assert planted_fit.converged
    assert planted_fit.gradient_norm <= GRADIENT_TOLERANCE
    stopped = fit_jointly(tabulate(planted.judgements), max_iterations=2)
    assert not stopped.converged
    assert stopped.gradient_norm > GRADIENT_TOLERANCE


def test_standard_errors_are_those_of_the_dense_hessian():
    judgements = planted_panel(PANEL, prompts=3, tie_band=0.4, seed=5).judgements
    # A third completion joins two pairs of one prompt into a larger block.
    judgements += [judge("prompt 0", "x 0", "z 0", "second", annotator=p.name) for p in PANEL]
    table = tabulate(judgements)
    priors = Priors()
    fit = fit_jointly(table, priors=priors)
    mode = np.concatenate([fit.scores, np.log(fit.reliability), fit.side_bias, [np.log(fit.tie)]])
    hessian = np.array(
        [
            approx_fprime(mode, lambda x, i=i: negative_log_posterior(x, table, priors)[1][i], 1e-6)[: table.items]
            for i in range(table.items)
        ]
    )
    covariance = np.linalg.inv(hessian)
    for number in range(len(table.pairs)):
        row = np.flatnonzero(table.pair == number)[0]
        contrast = np.zeros(table.items)
        contrast[table.item_a[row]], contrast[table.item_b[row]] = 1, -1
        expected = np.sqrt(contrast @ covariance @ contrast)
        assert fit.standard_error[number] == pytest.approx(expected, rel=1e-4)


def test_more_judgements_make_the_error_smaller():
    few = fit_jointly(tabulate([judge(annotator=f"p{n}", first_shown=("left", "right")[n % 2]) for n in range(4)]))
    many = fit_jointly(tabulate([judge(annotator=f"p{n}", first_shown=("left", "right")[n % 2]) for n in range(16)]))
    assert many.standard_error[0] < few.standard_error[0]
    assert many.difference[0] > few.difference[0]


def test_ties_pull_a_difference_towards_zero_and_raise_the_tie_rate():
    def panel(ties):
        sides = ("left", "right") * 3
        return [judge("clear", annotator=f"p{n}", first_shown=side) for n, side in enumerate(sides)] + [
            judge("close", choice="tie" if n < ties else "first", annotator=f"p{n}", first_shown=side)
            for n, side in enumerate(sides)
        ]

    def by_prompt(table, fit):
        return {pair.prompt[0].content: value for pair, value in zip(table.pairs, fit.difference, strict=True)}

    with_ties, without = tabulate(panel(4)), tabulate(panel(0))
    fit, plain = fit_jointly(with_ties), fit_jointly(without)
    found = by_prompt(with_ties, fit)
    assert 0 < found["close"] < found["clear"] - 0.3
    assert fit.tie > plain.tie
    all_tied = tabulate(panel(6))
    assert abs(by_prompt(all_tied, fit_jointly(all_tied))["close"]) < 0.2


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 3), st.sampled_from(["first", "second", "tie"]), st.sampled_from("lr")
        ),
        min_size=3,
        max_size=18,
    ).filter(lambda rows: any(row[2] != "tie" for row in rows))
)
def test_swapping_all_labels_swaps_the_scores_and_the_sides(rows):
    def fitted(is_swapped):
        judgements = [
            judge(
                f"p {prompt}",
                choice=SWAPPED[choice] if is_swapped else choice,
                annotator=f"person {person}",
                first_shown="left" if side == "l" else "right",
                occurrence=number,
            )
            for number, (prompt, person, choice, side) in enumerate(rows)
        ]
        table = tabulate(judgements)
        return table, fit_jointly(table)

    (table, fit), (swapped_table, swapped) = fitted(False), fitted(True)
    by_prompt = {pair.prompt: value for pair, value in zip(table.pairs, fit.difference, strict=True)}
    for pair, value in zip(swapped_table.pairs, swapped.difference, strict=True):
        assert value == pytest.approx(-by_prompt[pair.prompt], abs=2e-3)
    assert swapped.side_bias == pytest.approx(-fit.side_bias, abs=2e-3)
    assert swapped.reliability == pytest.approx(fit.reliability, abs=2e-3)


def test_a_panel_that_always_chose_one_side_is_refused():
    answers = [
        judge(f"p {n}", choice="first" if n % 2 else "second", first_shown="left" if n % 2 else "right")
        for n in range(20)
    ]
    with pytest.raises(InputError, match="all 20 decided judgements for the left one"):
        fit_jointly(tabulate(answers))
    fit_jointly(tabulate(answers[:-1]))
