"""Shaping: worked values, bounds, and that the order of completions stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assay.rewards.shaping import Shaping, clip, par, spread_rows, whiten

REFERENCE = np.array([-1.0, 1.0])


def test_par_is_the_mean_chance_of_beating_the_reference():
    expected = (1 / (1 + np.exp(-2 * (0.5 + 1))) + 1 / (1 + np.exp(-2 * (0.5 - 1)))) / 2
    assert par(np.array([0.5]), REFERENCE, slope=2.0)[0] == pytest.approx(expected)
    assert par(np.zeros(1), REFERENCE)[0] == pytest.approx(0.5)


def test_par_takes_a_reference_of_its_own_for_each_completion():
    shaped = par(np.array([0.0, 3.0]), np.array([[0.0], [3.0]]))
    np.testing.assert_allclose(shaped, 0.5)


def test_clip_and_whiten_go_by_the_reference():
    np.testing.assert_allclose(clip(np.array([-9.0, 0.2, 9.0]), REFERENCE, limit=2.0), [-2.0, 0.2, 2.0])
    np.testing.assert_allclose(whiten(np.array([3.0, 5.0]), np.array([1.0, 5.0])), [0.0, 1.0])
    np.testing.assert_allclose(whiten(np.array([3.0]), np.ones(4)), [2.0])


@given(arrays(float, 6, elements=st.floats(-50, 50)), st.sampled_from(["none", "par", "clip", "whiten"]))
def test_no_shaping_turns_two_completions_around(reward, name):
    shaped = Shaping(name).apply(reward, REFERENCE)
    assert (np.diff(shaped[np.argsort(reward)]) >= 0).all()


@given(arrays(float, 6, elements=st.floats(-1e6, 1e6)))
def test_par_is_bounded_whatever_the_proxy_says(reward):
    shaped = Shaping("par").apply(reward, REFERENCE)
    assert ((shaped >= 0) & (shaped <= 1)).all()


def test_no_shaping_hands_on_the_very_rewards():
    reward = np.array([1.0, -2.0])
    assert Shaping().apply(reward, REFERENCE) is reward


def test_the_rows_kept_stand_for_all():
    rewards = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 0.0, 6.0, 7.0])
    np.testing.assert_array_equal(rewards[spread_rows(rewards, 4)], [1.0, 3.0, 5.0, 7.0])
    assert sorted(spread_rows(rewards, 100).tolist()) == list(range(8))
