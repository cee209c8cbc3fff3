"""Posterior: the variance of a margin in closed form for one weight, and less of it where more was asked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.rewards.posterior import margin_factors


def test_with_one_weight_the_variance_is_the_square_over_the_curvature():
    theta, fitted = np.array([0.7]), np.array([[1.0], [-2.0]])
    p = 1 / (1 + np.exp(-fitted @ theta))
    curvature = 1.0 * p[0] * (1 - p[0]) + 3.0 * p[1] * (1 - p[1]) * 4 + 4 * 0.1
    (factor,) = margin_factors(theta, np.array([[3.0]]), fitted, ridge=0.1, weight=np.array([1.0, 3.0]))
    assert float(factor @ factor) == pytest.approx(9 / float(curvature))


@given(st.integers(0, 2**32 - 1))
def test_the_factors_give_the_covariance_and_another_label_never_adds_to_it(seed):
    rng = np.random.default_rng(seed)
    theta, pairs, fitted = rng.normal(size=4), rng.normal(size=(6, 4)), rng.normal(size=(9, 4))
    p = 1 / (1 + np.exp(-fitted @ theta))
    whole = np.linalg.inv((fitted * (p * (1 - p))[:, None]).T @ fitted + 9 * 0.02 * np.eye(4))
    factors = margin_factors(theta, pairs, fitted, ridge=0.02)
    assert factors @ factors.T == pytest.approx(pairs @ whole @ pairs.T)
    more = margin_factors(theta, pairs, np.concatenate([fitted, pairs[:1]]), ridge=0.02)
    assert ((more**2).sum(1) <= (factors**2).sum(1) + 1e-9).all()
