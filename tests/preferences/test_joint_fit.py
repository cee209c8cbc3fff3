"""Joint fit: an exact gradient, a true mode, symmetry, and the planted habits of people found again."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judgement_panels import Person, judge, planted_panel
from scipy.optimize import approx_fprime

from assay.preferences import Priors, cells_from, cells_of, fit_jointly, tabulate
from assay.preferences.joint_fit import GRADIENT_TOLERANCE, Parameters, joined, negative_log_posterior
from assay.preferences.standard_errors import difference_errors
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


def cells(judgements):
    return cells_of(tabulate(judgements))


@pytest.fixture(scope="module")
def planted():
    return planted_panel(PANEL, prompts=250, tie_band=0.4, seed=3)


@pytest.fixture(scope="module")
def planted_fit(planted):
    return fit_jointly(cells(planted.judgements))


def test_the_gradient_is_that_of_the_value():
    table = tabulate(planted_panel(PANEL, prompts=4, tie_band=0.5, seed=1).judgements)
    rng = np.random.default_rng(0)
    weight, nuisance = rng.uniform(0.2, 1, len(table.pair)), rng.normal(size=(len(table.pairs), 2))
    given = cells_of(table, weight=weight, nuisance=nuisance)
    priors = Priors(score=1.5, reliability=0.8, side_bias=0.7, log_tie=1.2, nuisance=0.6)
    point = rng.normal(size=table.items + 2 * len(PANEL) + 1 + 2)
    numeric = approx_fprime(point, lambda x: negative_log_posterior(x, given, priors)[0], 1e-7)
    assert negative_log_posterior(point, given, priors)[1] == pytest.approx(numeric, abs=2e-5)


def test_the_value_at_zero_is_the_log_of_three_equal_chances():
    # With equal scores and no bias exp(z/2) = nu = exp(-z/2) = 1: each judgement has the chance 1/3, no prior adds.
    given = cells([judge(choice="first"), judge(choice="tie", annotator="bob")])
    at_zero = joined(Parameters(np.zeros(2), np.ones(2), np.zeros(2), 0.0, np.zeros(0)))
    assert negative_log_posterior(at_zero, given, Priors())[0] == pytest.approx(2 * np.log(3))


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
    stopped = fit_jointly(cells(planted.judgements), max_iterations=2)
    assert not stopped.converged
    assert stopped.gradient_norm > GRADIENT_TOLERANCE


def test_standard_errors_are_those_of_the_dense_hessian():
    judgements = planted_panel(PANEL, prompts=3, tie_band=0.4, seed=5).judgements
    # A third completion joins two pairs of one prompt into a larger block.
    judgements += [judge("prompt 0", "x 0", "z 0", "second", annotator=p.name) for p in PANEL]
    given, priors = cells(judgements), Priors()
    fit = fit_jointly(given, priors=priors)
    # Scores are restated for reliabilities of mean 1; the model works at root mean square 1.
    unit = 1 / np.sqrt((fit.reliability**2).mean())
    mode = joined(fit.parameters)
    hessian = np.array(
        [
            approx_fprime(mode, lambda x, i=i: negative_log_posterior(x, given, priors)[1][i], 1e-6)[: given.items]
            for i in range(given.items)
        ]
    )
    contrast = np.zeros((given.pairs, given.items))
    contrast[np.arange(given.pairs), given.item_a] = 1
    contrast[np.arange(given.pairs), given.item_b] = -1
    expected = np.sqrt(np.einsum("pi,ij,pj->p", contrast, np.linalg.inv(hessian), contrast))
    assert fit.standard_error == pytest.approx(expected * unit, rel=1e-3)


def test_a_large_comparison_graph_gets_the_errors_of_its_degrees(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = np.triu_indices(40, 1)
    curvature = rng.uniform(0.5, 1.5, len(a))
    exact = difference_errors(a, b, curvature, items=40, prior=2.0)
    monkeypatch.setattr("assay.preferences.standard_errors.LARGEST_BLOCK", 10)
    assert difference_errors(a, b, curvature, items=40, prior=2.0) == pytest.approx(exact, rel=0.03)


def test_more_judgements_make_the_error_smaller():
    few = fit_jointly(cells([judge(annotator=f"p{n}", first_shown=("left", "right")[n % 2]) for n in range(4)]))
    many = fit_jointly(cells([judge(annotator=f"p{n}", first_shown=("left", "right")[n % 2]) for n in range(16)]))
    assert many.standard_error[0] < few.standard_error[0]
    assert many.difference[0] > few.difference[0]


def test_ties_pull_a_difference_towards_zero_and_raise_the_tie_rate():
    def panel(ties):
        sides = ("left", "right") * 3
        return [judge("clear", annotator=f"p{n}", first_shown=side) for n, side in enumerate(sides)] + [
            judge("close", choice="tie" if n < ties else "first", annotator=f"p{n}", first_shown=side)
            for n, side in enumerate(sides)
        ]

    def found(ties):
        table = tabulate(panel(ties))
        fit = fit_jointly(cells_of(table))
        return fit.tie, {pair.prompt[0].content: value for pair, value in zip(table.pairs, fit.difference, strict=True)}

    tie, some = found(4)
    assert 0 < some["close"] < some["clear"] - 0.3
    assert tie > found(0)[0]
    assert abs(found(6)[1]["close"]) < 0.2


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
def test_turning_every_answer_round_turns_scores_and_sides_round_to_the_last_bit(rows):
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
        return fit_jointly(cells(judgements))

    fit, swapped = fitted(False), fitted(True)
    assert (swapped.scores == -fit.scores).all()
    assert (swapped.difference == -fit.difference).all()
    assert (swapped.side_bias == -fit.side_bias).all()
    assert (swapped.reliability == fit.reliability).all()
    assert (swapped.standard_error == fit.standard_error).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_calling_some_completions_by_the_other_letter_changes_no_bit(seed, turns_all):
    rng = np.random.default_rng(seed)
    who, a = rng.integers(0, 6, 60), rng.integers(0, 9, 60)
    b = (a + rng.integers(1, 9, 60)) % 9
    said, side = rng.integers(-1, 2, 60), rng.choice([-1, 1], 60)
    flip = np.ones(60, dtype=bool) if turns_all else rng.random(60) < 0.5
    sign = np.where(flip, -1, 1)
    fit = fit_jointly(cells_from(who, a, b, said, side))
    other = fit_jointly(cells_from(who, np.where(flip, b, a), np.where(flip, a, b), said * sign, side * sign))
    assert (fit.scores == other.scores).all()
    assert (fit.reliability == other.reliability).all()


def test_people_who_answer_the_opposite_are_turned_round_unless_that_is_forbidden():
    people = [Person(f"careful-{n}", 3.0) for n in range(4)] + [Person("opposite", -3.0)]
    given = cells(planted_panel(people, prompts=80, tie_band=0.0, seed=2).judgements)
    free, bound = fit_jointly(given), fit_jointly(given, allows_inversion=False)
    assert free.reliability[4] < -1
    assert bound.reliability[4] == 0
    assert bound.converged
    assert min(free.reliability[:4]) > 0.5
    assert free.reliability.mean() == pytest.approx(1)


def test_a_judgement_of_weight_two_is_two_judgements_and_one_of_weight_zero_is_none():
    judgements = planted_panel(PANEL[:3], prompts=12, tie_band=0.3, seed=4).judgements
    table = tabulate(judgements)
    counts = np.random.default_rng(1).integers(0, 3, len(judgements))
    arrays = [table.annotator, table.item_a, table.item_b, table.outcome, table.side]
    repeated = cells_from(*(np.repeat(array, counts) for array in arrays), items=table.items, people=3)
    weighted = fit_jointly(cells_of(table, weight=counts.astype(float)))
    assert weighted.scores == pytest.approx(fit_jointly(repeated).scores, abs=0.02)


def test_a_shared_liking_for_a_surface_column_is_found_and_leaves_the_scores():
    # Worth and column are independent; everyone is drawn by 1.5 logits a unit of the column.
    rng = np.random.default_rng(0)
    worth, column = rng.normal(size=600), rng.normal(size=600)
    a, b = np.arange(0, 600, 2).repeat(8), np.arange(1, 600, 2).repeat(8)
    seen = worth[a] - worth[b] + 1.5 * (column[a] - column[b])
    said = np.where(rng.logistic(size=len(a)) < seen, 1, -1)
    given = cells_from(rng.integers(0, 10, len(a)), a, b, said, rng.choice([-1, 1], len(a)))
    plain = fit_jointly(given)
    fit = fit_jointly(dataclasses.replace(given, nuisance=(column[given.item_a] - column[given.item_b])[:, None]))
    assert 0.9 < fit.coefficients[0] < 1.8
    truth = worth[given.item_a] - worth[given.item_b]
    assert np.corrcoef(fit.difference, truth)[0, 1] > np.corrcoef(plain.difference, truth)[0, 1] + 0.2


def test_a_refit_from_the_mode_is_where_it_was_and_takes_few_steps(planted, planted_fit):
    again = fit_jointly(cells(planted.judgements), start=planted_fit.parameters)
    assert again.iterations <= planted_fit.iterations / 2
    assert again.scores == pytest.approx(planted_fit.scores, abs=0.03)


def test_a_panel_that_always_chose_one_side_is_refused():
    answers = [
        judge(f"p {n}", choice="first" if n % 2 else "second", first_shown="left" if n % 2 else "right")
        for n in range(20)
    ]
    with pytest.raises(InputError, match="all 20 decided judgements for the left one"):
        fit_jointly(cells(answers))
    fit_jointly(cells(answers[:-1]))
