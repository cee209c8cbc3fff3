"""Nuisance: what each way takes out, exactly, and what it leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from assay.records.errors import TrainingError
from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.debias.nuisance import decorrelate, fit_nuisance_head, fit_residualiser, residualise

FIT = {"ridge": 0.02, "sum_to_zero": 0.0}


def table(seed, rows=400, d=5):
    """Features x, a surface column z beside them, and soft labels that follow the first feature and the surface."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(rows, d)), rng.normal(size=(rows, 1))
    half = rows // 2
    felt = x[:, 0] + 2 * z[:, 0]
    pairs = Pairs(np.arange(half), np.arange(half, rows), expit(felt[:half] - felt[half:]), np.ones(half))
    return x, z, pairs


def test_the_surface_gets_its_own_weight_in_logits_a_unit():
    x, z, pairs = table(0)
    head = fit_nuisance_head(x, 10 * z, pairs, ridge=1e-6, nuisance_ridge=1e-6, sum_to_zero=0.0)
    assert head.gamma[0] == pytest.approx(0.2, rel=0.01)
    assert head.theta[0] == pytest.approx(1.0, rel=0.01)
    np.testing.assert_allclose(head.theta[1:], 0, atol=0.01)


def test_a_surface_that_the_features_hold_too_goes_to_the_smaller_ridge():
    x, z, pairs = table(1)
    both = np.hstack([x, z])
    head = fit_nuisance_head(both, z, pairs, nuisance_ridge=2e-4, **FIT)
    plain = fit_head(both, pairs, **FIT)
    assert plain[-1] > 1
    assert abs(head.theta[-1]) < 0.02 * plain[-1]  # the ridges are 1 to 100, and so is what each takes


def test_a_constant_surface_column_is_no_trouble():
    x, _, pairs = table(2)
    head = fit_nuisance_head(x, np.ones((len(x), 1)), pairs, nuisance_ridge=0.001, **FIT)
    assert head.gamma[0] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(head.theta, fit_head(x, pairs, **FIT), atol=1e-3)


def test_no_pairs_are_refused():
    x, z, pairs = table(3)
    with pytest.raises(TrainingError, match="at least one preference"):
        fit_nuisance_head(x, z, pairs.take(np.zeros(0, dtype=int)), nuisance_ridge=0.001, **FIT)


@given(st.integers(0, 500))
def test_residuals_are_uncorrelated_with_the_surface_and_residualising_twice_is_once(seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(40, 2))
    x = rng.normal(size=(40, 3)) + z @ rng.normal(size=(2, 3))
    clean = residualise(x, z)
    np.testing.assert_allclose((clean - clean.mean(0)).T @ (z - z.mean(0)), 0, atol=1e-9)
    np.testing.assert_allclose(residualise(clean, z), clean, atol=1e-9)
    np.testing.assert_allclose(clean.mean(0), x.mean(0), atol=1e-9)


def test_a_surface_column_among_the_features_becomes_constant_everywhere():
    x, z, _ = table(4)
    both = np.hstack([x, z])
    fitted = fit_residualiser(both, z)
    far = np.array([[0.0, 0, 0, 0, 0, 50]])
    assert fitted.apply(far, far[:, -1:])[0, -1] == pytest.approx(z.mean())


@given(st.integers(0, 500))
def test_decorrelated_weights_have_no_covariance_and_are_left_alone_then(seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(60, 2))
    x = rng.normal(size=(60, 4)) + z @ rng.normal(size=(2, 4))
    theta = decorrelate(rng.normal(size=4), x, z)
    reward = x @ theta
    np.testing.assert_allclose((reward - reward.mean()) @ (z - z.mean(0)), 0, atol=1e-8)
    np.testing.assert_allclose(decorrelate(theta, x, z), theta, atol=1e-8)


def test_the_least_change_of_the_reward_is_made():
    # On white features the change is the projection on the one direction that goes with z.
    rng = np.random.default_rng(5)
    x = np.linalg.qr(rng.normal(size=(200, 3)) - 0)[0]
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T, bias=True)).T)
    theta = decorrelate(np.array([3.0, 4.0, 5.0]), x, x[:, :1])
    np.testing.assert_allclose(theta, [0.0, 4.0, 5.0], atol=1e-5)
