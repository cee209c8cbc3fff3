"""ODIN: gradient, and a quality head without length."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit

from assay.records.errors import TrainingError
from assay.rewards.bradley_terry import Pairs, compare, fit_head
from assay.rewards.debias.odin import Terms, fit_odin, objective


def test_the_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    x, lean = rng.normal(size=(12, 4)) + 1, rng.normal(size=12)
    lean = (lean - lean.mean()) / lean.std()
    pairs = Pairs(np.arange(6), np.arange(6, 12), rng.uniform(0.5, 1, 6), rng.uniform(0.1, 2, 6))
    centred, compared = x - x.mean(0), compare(x, pairs)
    terms = Terms(correlation=0.7, orthogonality=0.3, ridge=0.1, sum_to_zero=0.05)
    for point in rng.normal(size=(5, 8)):
        error = check_grad(
            lambda both: objective(both, centred, lean, compared, terms=terms)[0],
            lambda both: objective(both, centred, lean, compared, terms=terms)[1],
            point,
        )
        assert error < 1e-5


def test_heads_of_zero_have_no_correlation_to_push():
    x = np.random.default_rng(1).normal(size=(8, 3))
    pairs = Pairs(np.arange(4), np.arange(4, 8), np.full(4, 0.5), np.ones(4))
    lean = np.array([1.0, -1.0] * 4)
    value, gradient = objective(np.zeros(6), x - x.mean(0), lean, compare(x, pairs), terms=Terms(1.0, 1.0, 0.1, 0.0))
    assert value == pytest.approx(np.log(2) + 2 * 1e-2)  # the two smoothed absolute values at zero
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_the_quality_head_loses_length_and_keeps_quality():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 6))
    felt = x[:, 0] + 2 * x[:, 1]
    pairs = Pairs(np.arange(300), np.arange(300, 600), expit(felt[:300] - felt[300:]), np.ones(300))
    plain = fit_head(x, pairs, ridge=0.01, sum_to_zero=0.0)
    quality = fit_odin(x, x[:, 1], pairs, ridge=0.01, sum_to_zero=0.0)
    assert np.corrcoef(x @ plain, x[:, 1])[0, 1] > 0.8
    assert abs(np.corrcoef(x @ quality, x[:, 1])[0, 1]) < 0.02
    assert np.corrcoef(x @ quality, x[:, 0])[0, 1] > 0.95


def test_a_length_that_does_not_vary_leaves_a_working_head():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    pairs = Pairs(np.arange(100), np.arange(100, 200), (x[:100, 0] > x[100:, 0]).astype(float), np.ones(100))
    quality = fit_odin(x, np.full(200, 7.0), pairs, ridge=0.01, sum_to_zero=0.0)
    assert np.corrcoef(x @ quality, x[:, 0])[0, 1] > 0.95


def test_no_pairs_and_broken_features_are_refused():
    empty = np.zeros(0, dtype=int)
    with pytest.raises(TrainingError, match="at least one preference"):
        fit_odin(np.ones((2, 2)), np.ones(2), Pairs(empty, empty, empty, empty), ridge=0.1, sum_to_zero=0.0)
    pairs = Pairs(np.array([0]), np.array([1]), np.ones(1), np.ones(1))
    with pytest.raises(TrainingError, match="finite reward features"):
        fit_odin(np.array([[np.inf], [1.0]]), np.ones(2), pairs, ridge=0.1, sum_to_zero=0.0)
