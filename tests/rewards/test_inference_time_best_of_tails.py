"""Best-of-tails: soft best-of-n at order 1, pessimism at order 2, and an order that follows the tail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assay.rewards.inference_time import (
    best_of_tails_weights,
    expected,
    hill_index,
    pessimism_weights,
    soft_best_of_n_weights,
    tsallis_weights,
)

REWARDS = arrays(np.float64, (2, 7), elements=st.floats(-10, 10))


@settings(max_examples=40)
@given(rewards=REWARDS, b=st.floats(0.05, 20))
def test_its_ends_are_the_two_rules_it_lies_between(rewards, b):
    soft, pessimistic = (tsallis_weights(rewards, b, order=np.full(2, order)) for order in (1.0, 2.0))
    np.testing.assert_allclose(soft, soft_best_of_n_weights(rewards, b), atol=2e-3)
    np.testing.assert_allclose(pessimistic, pessimism_weights(rewards, b), atol=1e-8)


def test_the_weights_between_are_as_worked_by_hand():
    # order 3/2, b = 1: w = (1 + (r - l)/2)^2, here c^2 and (c + d)^2 with mean 1; c = 1/5, c + d = 7/5 do, for d = 6/5
    weights = tsallis_weights(np.array([[0.0, 2.4]]), 1.0, order=np.array([1.5]))
    np.testing.assert_allclose(weights, [[1 / 50, 49 / 50]], atol=1e-9)
    # at twice that distance the lower one is cut off
    np.testing.assert_allclose(tsallis_weights(np.array([[0.0, 4.8]]), 1.0, order=np.array([1.5])), [[0, 1]], atol=1e-9)


def test_the_hill_index_is_as_worked_by_hand():
    # nine candidates with median 0: the three largest against the fourth, e: (1 + 1 + 3) / 3
    row = [-4.0, -3.0, -2.0, -1.0, 0.0, np.e, np.e**2, np.e**2, np.e**4]
    assert hill_index(np.array([row]))[0] == pytest.approx(5 / 3)
    assert hill_index(np.array([row]) * 7 - 5)[0] == pytest.approx(5 / 3)
    np.testing.assert_array_equal(hill_index(np.array([[1.0] * 9, [0.0] * 8 + [1.0]])), [0, np.inf])


def test_a_pareto_tail_gets_its_index_and_a_heavier_one_more():
    rng = np.random.default_rng(0)
    for index in (0.5, 1.0, 2.0):
        rewards = (1 - rng.random((100, 4096))) ** -index
        assert np.median(hill_index(rewards)) == pytest.approx(index, rel=0.15)
    light, heavy = rng.normal(size=(200, 1024)), rng.standard_t(2, size=(200, 1024))
    assert np.median(hill_index(light)) < 0.3 < 0.4 < np.median(hill_index(heavy))


def test_it_pulls_less_where_the_tail_is_heavy():
    rng = np.random.default_rng(1)
    heavy = rng.standard_t(1.5, size=(50, 256))
    reached, softly = (
        expected(rule(heavy, 1.0), heavy).mean() for rule in (best_of_tails_weights, soft_best_of_n_weights)
    )
    assert reached < softly
    assert reached > expected(pessimism_weights(heavy, 1.0), heavy).mean() - 1e-9
