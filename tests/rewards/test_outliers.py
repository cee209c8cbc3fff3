"""Outliers: the cut holds for new reference completions and a planted outlier is found."""

import numpy as np

from assay.rewards.features import Features
from assay.rewards.outliers import fit_outliers


def features(x):
    return Features(x[:, None, :], x[:, None, :], np.zeros((len(x), 7)))


def test_about_one_percent_of_new_reference_completions_are_outliers():
    rng = np.random.default_rng(0)
    model = fit_outliers(features(rng.normal(size=(600, 20))), directions=8)
    assert model.is_outlier(features(rng.normal(size=(20000, 20)))).mean() < 0.03


def test_a_planted_shift_is_found():
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(300, 20)) * np.linspace(3, 0.5, 20)
    model = fit_outliers(features(reference), directions=8)
    assert model.is_outlier(features(reference[:50] + 12)).mean() > 0.9


def test_distance_is_that_of_a_whitened_gaussian():
    # The mean squared Mahalanobis distance of n points in k directions to their own mean is k (n - 1) / n.
    x = np.random.default_rng(2).normal(size=(400, 5))
    model = fit_outliers(features(x), directions=5)
    np.testing.assert_allclose(model.distance(features(x)).mean(), 5 * 399 / 400, rtol=1e-6)
