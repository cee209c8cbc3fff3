"""Outliers: the cut holds for new reference completions and a planted outlier is found."""

import numpy as np
import pytest

from assay.rewards.feature_maps import fit_map
from assay.rewards.features import Features
from assay.rewards.outliers import fit_latent_outliers, fit_mahalanobis, fit_outliers, penalty


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


def test_what_lies_inside_costs_nothing_and_outside_it_costs_in_standard_deviations():
    np.testing.assert_allclose(penalty(np.array([0.0, 4.0, 9.0, 25.0]), 9.0), [0, 0, 0, 2])


def test_plain_arrays_and_features_agree():
    x = np.random.default_rng(3).normal(size=(100, 6))
    plain, by_features = fit_mahalanobis(x, directions=4), fit_outliers(features(x), directions=4)
    np.testing.assert_array_equal(plain.distance(x), by_features.distance(features(x)))
    np.testing.assert_array_equal(plain.is_outlier(x), by_features.is_outlier(features(x)))
    np.testing.assert_array_equal(penalty(plain.distance(x), plain.cut), by_features.penalty(features(x)))


def test_shrinkage_calms_a_direction_that_hardly_varies():
    x = np.random.default_rng(4).normal(size=(200, 2)) * [1.0, 1e-3]
    off = np.array([[0.0, 0.05]])
    sharp, calm = fit_mahalanobis(x, directions=2), fit_mahalanobis(x, directions=2, shrinkage=0.5)
    assert sharp.is_outlier(off).all()
    assert not calm.is_outlier(off).any()
    # Half of the way to the mean variance of 1 and 0, about.
    np.testing.assert_allclose(np.square(calm.directions).sum(1), [1 / 0.75, 1 / 0.25], rtol=0.25)


def test_a_latent_distance_is_that_of_the_encoded_view():
    rng = np.random.default_rng(5)
    reference, fresh = features(rng.normal(size=(80, 10))), features(rng.normal(size=(30, 10)))
    view, encoder = fit_map("mean-high", reference, directions=6), rng.normal(size=(3, 6))
    model = fit_latent_outliers(reference, view, encoder, directions=3)
    latent = fit_mahalanobis(view.apply(reference) @ encoder.T, directions=3)
    np.testing.assert_allclose(model.distance(fresh), latent.distance(view.apply(fresh) @ encoder.T))
    assert model.cut == pytest.approx(latent.cut)
