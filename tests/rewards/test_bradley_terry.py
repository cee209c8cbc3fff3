"""Bradley-Terry head: gradient, closed forms, symmetry, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from assay.records.errors import TrainingError
from assay.rewards.bradley_terry import Pairs, fit_head, loss_and_gradient


def pairs_of(chosen, rejected, probability=1.0, weight=1.0):
    n = len(chosen)
    return Pairs(np.array(chosen), np.array(rejected), np.full(n, probability), np.full(n, weight))


def test_the_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 4))
    pairs = Pairs(np.arange(6), np.arange(6, 12), rng.uniform(0.5, 1, 6), rng.uniform(0.1, 2, 6))

    def value(theta):
        return loss_and_gradient(theta, x, pairs, ridge=0.1, sum_to_zero=0.05)[0]

    def gradient(theta):
        return loss_and_gradient(theta, x, pairs, ridge=0.1, sum_to_zero=0.05)[1]

    assert check_grad(value, gradient, rng.normal(size=4)) < 1e-6


def test_one_feature_and_soft_labels_give_the_log_odds():
    # Without ridge the optimum of one pair with p = 0.8 and feature difference 1 is theta = log(0.8 / 0.2).
    x = np.array([[1.0], [0.0]])
    theta = fit_head(x, pairs_of([0], [1], probability=0.8), ridge=1e-9, sum_to_zero=0.0)
    assert theta[0] == pytest.approx(np.log(4), abs=1e-3)


def test_the_loss_at_zero_is_log_two():
    x = np.random.default_rng(1).normal(size=(4, 3))
    value, _ = loss_and_gradient(np.zeros(3), x, pairs_of([0, 1], [2, 3]), ridge=1.0, sum_to_zero=1.0)
    assert value == pytest.approx(np.log(2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_swapping_chosen_and_rejected_turns_the_head_around(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(20, 3))
    one = fit_head(x, pairs_of(range(10), range(10, 20)), ridge=0.5, sum_to_zero=0.0)
    two = fit_head(x, pairs_of(range(10, 20), range(10)), ridge=0.5, sum_to_zero=0.0)
    np.testing.assert_allclose(one, -two, atol=1e-4)


def test_a_pair_of_weight_two_counts_like_two_pairs():
    x = np.random.default_rng(2).normal(size=(4, 2))
    doubled = Pairs(np.array([0, 1]), np.array([2, 3]), np.ones(2), np.array([2.0, 1.0]))
    repeated = pairs_of([0, 0, 1], [2, 2, 3])
    np.testing.assert_allclose(
        fit_head(x, doubled, ridge=0.1, sum_to_zero=0.0), fit_head(x, repeated, ridge=0.1, sum_to_zero=0.0), atol=1e-4
    )


def test_no_pairs_and_broken_features_are_refused():
    with pytest.raises(TrainingError, match="at least one preference"):
        fit_head(np.ones((2, 2)), pairs_of([], []), ridge=0.1, sum_to_zero=0.0)
    with pytest.raises(TrainingError, match="finite reward features"):
        fit_head(np.array([[np.nan], [1.0]]), pairs_of([0], [1]), ridge=0.1, sum_to_zero=0.0)


def with_margin(seed, margin):
    rng = np.random.default_rng(seed)
    return Pairs(np.arange(6), np.arange(6, 12), rng.uniform(0.5, 1, 6), rng.uniform(0.1, 2, 6), margin)


def test_the_gradient_with_margins_equals_finite_differences():
    rng = np.random.default_rng(3)
    x, pairs = rng.normal(size=(12, 4)), with_margin(3, rng.uniform(0, 2, 6))

    def value(theta):
        return loss_and_gradient(theta, x, pairs, ridge=0.1, sum_to_zero=0.05)[0]

    def gradient(theta):
        return loss_and_gradient(theta, x, pairs, ridge=0.1, sum_to_zero=0.05)[1]

    assert check_grad(value, gradient, rng.normal(size=4)) < 1e-6


def test_a_margin_is_asked_for_on_top_of_the_preference():
    # At theta = 0 a certain pair with margin m costs log(1 + e^m), an even one log(1 + e^m) too.
    x = np.ones((2, 1))
    for probability in (1.0, 0.5):
        pair = Pairs(np.array([0]), np.array([1]), np.array([probability]), np.ones(1), np.array([2.0]))
        value, _ = loss_and_gradient(np.zeros(1), x, pair, ridge=0.0, sum_to_zero=0.0)
        assert value == pytest.approx(np.log1p(np.exp(2)))


def test_margins_of_zero_change_no_bit():
    x = np.random.default_rng(4).normal(size=(12, 4))
    plain, zero = with_margin(4, 0.0), with_margin(4, np.zeros(6))
    np.testing.assert_array_equal(
        fit_head(x, plain, ridge=0.1, sum_to_zero=0.01), fit_head(x, zero, ridge=0.1, sum_to_zero=0.01)
    )


def test_a_larger_margin_gives_a_larger_gap():
    x = np.random.default_rng(5).normal(size=(12, 4))
    gaps = []
    for margin in (0.0, 1.0, 2.0):
        pairs = with_margin(5, margin)._replace(probability=np.ones(6))
        theta = fit_head(x, pairs, ridge=0.1, sum_to_zero=0.0)
        gaps.append(np.mean((x[pairs.chosen] - x[pairs.rejected]) @ theta))
    assert gaps[0] < gaps[1] < gaps[2]


def test_a_bootstrap_takes_margins_along():
    pairs = with_margin(6, np.arange(6.0))
    np.testing.assert_array_equal(pairs.take(np.array([4, 4, 1])).margin, [4.0, 4.0, 1.0])
    assert with_margin(6, 0.5).take(np.array([1])).margin == 0.5


def test_few_steps_stop_before_the_minimum_and_can_go_on():
    x, pairs = np.random.default_rng(7).normal(size=(12, 4)), with_margin(7, 0.0)
    early = fit_head(x, pairs, ridge=0.01, sum_to_zero=0.0, steps=2)
    whole = fit_head(x, pairs, ridge=0.01, sum_to_zero=0.0)
    resumed = fit_head(x, pairs, ridge=0.01, sum_to_zero=0.0, start=early)
    assert np.abs(early - whole).max() > 1e-2
    np.testing.assert_allclose(resumed, whole, atol=1e-3)
