"""LOESS: lines stay lines, bends are followed, ends go on, and the work does not depend on the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.rewards.debias.loess import fit_loess


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(0, 100))
def test_a_straight_line_is_its_own_curve_also_beyond_the_data(level, slope, seed):
    lengths = np.random.default_rng(seed).normal(size=200)
    curve = fit_loess(level + slope * lengths, lengths)
    far = np.array([-30.0, 0.0, 30.0])
    np.testing.assert_allclose(curve.residual(level + slope * far, far), 0, atol=1e-6)


def test_the_weights_are_tricube_of_the_distance_to_the_farthest_neighbour():
    # At 0 with five points reach is 2: weights 0 (at the reach itself), (1 - 1/8)^3, 1; by symmetry the slope is 0.
    lengths = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    values = np.array([9.0, 1.0, 2.0, 1.0, 9.0])
    near = (1 - 0.5**3) ** 3
    expected = (2 * near * 1 + 2) / (2 * near + 1)
    assert fit_loess(values, lengths, span=1.0).mean(np.zeros(1))[0] == pytest.approx(expected)


def test_a_bend_is_followed_where_a_line_is_not_enough():
    rng = np.random.default_rng(0)
    lengths = rng.uniform(-3, 3, size=3000)
    values = np.abs(lengths) + 0.1 * rng.normal(size=3000)
    line = np.polyval(np.polyfit(lengths, values, 1), lengths)
    assert np.var(fit_loess(values, lengths, span=0.2).residual(values, lengths)) < 0.03 * np.var(values - line)


def test_what_length_does_not_explain_is_kept():
    rng = np.random.default_rng(1)
    lengths, quality = rng.normal(size=2000), rng.normal(size=2000)
    left = fit_loess(quality + 2 * lengths, lengths).residual(quality + 2 * lengths, lengths)
    assert np.corrcoef(left, quality)[0, 1] > 0.99
    assert abs(np.corrcoef(left, lengths)[0, 1]) < 0.02


def test_equal_lengths_leave_the_distance_to_the_mean():
    curve = fit_loess(np.array([1.0, 2.0, 6.0]), np.full(3, 4.0))
    np.testing.assert_allclose(curve.residual(np.array([1.0, 2.0, 6.0]), np.array([4.0, 4.0, 9.0])), [-2, -1, 3])


def test_many_ties_among_whole_lengths_are_no_trouble():
    lengths = np.repeat([1.0, 2.0, 3.0], 50)
    values = np.repeat([0.0, 5.0, 1.0], 50)
    curve = fit_loess(values, lengths, span=0.3)
    np.testing.assert_allclose(curve.mean(np.array([1.0, 2.0, 3.0])), [0, 5, 1], atol=1e-9)


def test_the_order_of_completions_does_not_matter():
    rng = np.random.default_rng(2)
    lengths, values, order = rng.normal(size=300), rng.normal(size=300), rng.permutation(300)
    one, two = fit_loess(values, lengths), fit_loess(values[order], lengths[order])
    np.testing.assert_allclose(one.heights, two.heights, atol=1e-9)


@pytest.mark.parametrize("span", [0.0, 1.5])
def test_a_span_that_is_no_share_is_refused(span):
    with pytest.raises(ValueError, match="span above 0"):
        fit_loess(np.zeros(5), np.arange(5.0), span=span)
