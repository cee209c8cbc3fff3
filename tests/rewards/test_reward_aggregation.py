"""Aggregation: hand-worked values and the order minimum, entropic, mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assay.records.errors import ConfigError
from assay.rewards.aggregation import aggregate, average_weights, entropic

MEMBERS = np.array([[1.0, 3.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("single", [1.0, 0.0]),
        ("mean", [2.0, 0.0]),
        ("wco", [1.0, 0.0]),
        ("uwo", [2.0 - 0.5 * 1.0, 0.0]),  # the variance of 1 and 3 is 1
        ("entropic", [-np.log((np.exp(-1) + np.exp(-3)) / 2), 0.0]),
    ],
)
def test_each_choice_gives_its_formula(name, expected):
    np.testing.assert_allclose(aggregate(MEMBERS, name), expected)


@given(arrays(float, (3, 5), elements=st.floats(-20, 20)))
def test_entropic_lies_between_minimum_and_mean(members):
    value = entropic(members)
    assert np.all(value >= members.min(1) - 1e-9)
    assert np.all(value <= members.mean(1) + 1e-9)


def test_entropic_has_the_other_choices_as_limits():
    np.testing.assert_allclose(entropic(MEMBERS, b=1e6), MEMBERS.mean(1), atol=1e-5)
    np.testing.assert_allclose(entropic(MEMBERS, b=1e-3), MEMBERS.min(1), atol=1e-2)


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError):
        aggregate(MEMBERS, "median")


def test_warm_is_the_reward_of_the_mean_weights():
    rng = np.random.default_rng(0)
    x, thetas = rng.normal(size=(7, 4)), rng.normal(size=(3, 4))
    scales = np.array([0.5, 1.0, 3.0])
    members = x @ thetas.T / scales
    np.testing.assert_allclose(aggregate(members, "warm", scales=scales), x @ average_weights(thetas) / scales.mean())


def test_warm_without_a_shared_view_is_refused():
    with pytest.raises(ConfigError, match="members that share one view"):
        aggregate(MEMBERS, "warm")
