"""Smoothing: labels move by the stated share, wrong ones most."""

import numpy as np
import pytest
from scipy.special import expit

from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.debias.smoothing import harden, smooth_labels

FIT = {"ridge": 0.02, "sum_to_zero": 0.0}


def noisy(seed, n=300, d=30, wrong=0.2):
    """Certain labels of a clear preference, a share of them turned around."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * n, d))
    right = x[:n, 0] > x[n:, 0]
    is_wrong = rng.random(n) < wrong
    return x, Pairs(np.arange(n), np.arange(n, 2 * n), (right ^ is_wrong).astype(float), np.ones(n)), is_wrong


def test_one_epoch_moves_labels_by_the_rate_towards_the_model():
    x, pairs, _ = noisy(0, n=20, d=3)
    theta = fit_head(x, pairs, steps=5, **FIT)
    predicted = expit((x[pairs.chosen] - x[pairs.rejected]) @ theta)
    smooth = smooth_labels(x, pairs, rate=0.3, epochs=1, steps=5, **FIT)
    np.testing.assert_allclose(smooth.probability, 0.7 * pairs.probability + 0.3 * predicted)


def test_a_rate_of_zero_changes_nothing():
    x, pairs, _ = noisy(1, n=20, d=3)
    np.testing.assert_array_equal(
        smooth_labels(x, pairs, rate=0.0, epochs=3, steps=5, **FIT).probability, pairs.probability
    )


def test_wrong_labels_move_further_than_right_ones_and_the_head_gets_better():
    x, pairs, is_wrong = noisy(2)
    smooth = smooth_labels(x, pairs, rate=0.3, epochs=6, steps=5, **FIT)
    moved = np.abs(smooth.probability - pairs.probability)
    assert moved[is_wrong].mean() > 2 * moved[~is_wrong].mean()
    plain, softened = (fit_head(x, p, ridge=1e-4, sum_to_zero=0.0) for p in (pairs, smooth))
    share = [theta[0] / np.linalg.norm(theta) for theta in (plain, softened)]
    assert share[1] > share[0]


@pytest.mark.parametrize(("soft", "hard"), [(0.7, 1.0), (0.2, 0.0), (0.5, 0.5)])
def test_hard_labels_keep_the_side_and_drop_the_doubt(soft, hard):
    pair = Pairs(np.array([0]), np.array([1]), np.array([soft]), np.ones(1))
    assert harden(pair).probability[0] == hard
