"""Calibration: temperature, reliability and ECE against worked numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from assay.rewards.calibration import (
    CALIBRATIONS,
    Calibrator,
    MemberMargins,
    brier,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    nll_by_margin,
    quality_report,
    rank_correlation,
    reliability,
    soft_nll,
    spread_bins,
)


def test_the_temperature_that_made_the_labels_is_found():
    margins = np.random.default_rng(0).normal(size=4000) * 3
    probability = expit(margins / 2.5)
    assert fit_temperature(margins, probability) == pytest.approx(2.5, rel=1e-3)


def test_nothing_to_fit_on_gives_temperature_one():
    assert fit_temperature(np.zeros(0), np.zeros(0)) == 1.0
    assert fit_temperature(np.zeros(3), np.ones(3)) == 1.0


def test_nll_of_a_coin_is_log_two():
    assert soft_nll(np.zeros(5), np.ones(5)) == pytest.approx(np.log(2))


def test_a_reward_that_says_ninety_and_is_right_half_the_time_is_forty_points_off():
    margins = np.full(10, np.log(9))
    probability = np.array([1.0, 0.0] * 5)
    bins = reliability(margins, probability)
    assert [(round(b.predicted, 6), b.observed, b.count) for b in bins] == [(0.1, 0.5, 10), (0.9, 0.5, 10)]
    assert expected_calibration_error(bins) == pytest.approx(0.4)


def test_a_calibrated_reward_has_no_error_and_the_report_keeps_both_sides_of_the_temperature():
    margins = np.full(10, np.log(9))
    probability = np.full(10, 0.9)
    report = quality_report(
        margins, probability, temperature=1.0, rewards=np.array([0.0, 1.0]), lengths=np.array([1.0, 2.0])
    )
    assert report.ece == pytest.approx(0.0, abs=1e-9)
    assert report.accuracy == 1.0
    assert report.length_correlation == pytest.approx(1.0)


def test_pairs_out_of_order_are_pooled_to_their_mean():
    # Margins 1, 2, 3 with labels 0.6, 0.9, 0.8: the last two violate and pool to 0.85, at margin 2.5.
    fitted = fit_isotonic(np.array([1.0, 2.0, 3.0]), np.array([0.6, 0.9, 0.8]))
    np.testing.assert_allclose(fitted.margins, [-2.5, -1, 1, 2.5])
    np.testing.assert_allclose(fitted.probabilities, [0.15, 0.4, 0.6, 0.85])
    np.testing.assert_allclose(fitted.probability(np.array([0.0, 1.75, 99.0])), [0.5, 0.725, 0.85])


def test_a_curve_claims_no_more_than_its_pairs_can_say():
    fitted = fit_isotonic(np.array([1.0, 2.0, 3.0]), np.ones(3))
    assert fitted.probability(np.array([50.0]))[0] == pytest.approx(1 - 1 / 8)
    with pytest.raises(ValueError, match="at least one pair"):
        fit_isotonic(np.zeros(0), np.zeros(0))


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 1)), min_size=1, max_size=20))
def test_a_curve_rises_and_is_the_same_in_both_orders(pairs):
    margins, probability = map(np.array, zip(*pairs, strict=True))
    fitted = fit_isotonic(margins, probability)
    at = np.linspace(-12, 12, 49)
    one = fitted.probability(at)
    assert (np.diff(one) >= -1e-12).all()
    np.testing.assert_allclose(one, 1 - fitted.probability(-at), atol=1e-9)


def test_a_bent_truth_is_followed_by_the_curve_and_not_by_a_temperature():
    rng = np.random.default_rng(0)
    margins = rng.normal(size=4000) * 3
    truth = 0.5 + 0.25 * np.tanh(2 * margins)  # sure by three quarters at most, and quickly
    labels = (rng.random(4000) < truth).astype(float)
    fresh = np.linspace(-6, 6, 101)
    wanted = 0.5 + 0.25 * np.tanh(2 * fresh)
    gap = {
        name: np.abs(expit(fit(margins, labels).logits(fresh)) - wanted).mean() for name, fit in CALIBRATIONS.items()
    }
    assert gap["isotonic"] < 0.03 < 0.08 < gap["temperature"]


def test_logits_of_a_curve_are_the_log_odds_of_its_probabilities():
    curve = fit_isotonic(np.array([1.0, 2.0]), np.array([0.6, 0.7]))
    np.testing.assert_allclose(Calibrator(isotonic=curve).logits(np.array([1.0])), [np.log(0.6 / 0.4)])
    np.testing.assert_allclose(Calibrator(2.0).logits(np.array([1.0])), [0.5])


def test_brier_of_a_coin_is_a_quarter():
    assert brier(np.full(4, 0.5), np.array([0.0, 1.0, 1.0, 0.0])) == 0.25


def test_near_ties_and_clear_pairs_are_told_apart():
    logits = np.array([1.0, -1.0, 2.0, 2.0, 0.3])
    probability = np.array([0.55, 0.55, 0.95, 0.1, 0.5])
    near, clear = nll_by_margin(logits, probability)
    assert (near.low, near.high, near.count, near.accuracy) == (0.5, 0.6, 3, 0.5)  # the even pair is neither
    assert (clear.low, clear.high, clear.count, clear.accuracy) == (0.9, 1.0, 2, 0.5)  # 0.1 is sure of the other
    assert clear.nll == pytest.approx(soft_nll(logits[2:4], probability[2:4]))


def test_even_pairs_have_no_accuracy():
    (only,) = nll_by_margin(np.array([3.0]), np.array([0.5]))
    assert only.accuracy is None


def test_spread_is_read_in_fifths_and_covers_what_it_does_not_exclude():
    mean = np.array([1.0, -1.0, -1.0, 1.0, -3.0])
    spread = np.array([0.1, 0.2, 0.6, 0.3, 1.0])
    bins = spread_bins(MemberMargins(mean, spread), np.arange(5) / 10, np.array([1.0, 1.0, 1.0, 0.0, 1.0]))
    assert [b.spread for b in bins] == [0.1, 0.2, 0.3, 0.6, 1.0]
    # Right and sure; wrong and sure; wrong and sure of the other side; -1 + 2 * 0.6 > 0; -3 + 2 * 1 < 0.
    assert [b.covered for b in bins] == [1.0, 0.0, 0.0, 1.0, 0.0]
    assert [b.error for b in bins] == [0.0, 0.1, 0.3, 0.2, 0.4]


def test_few_pairs_give_few_bins():
    assert len(spread_bins(MemberMargins(np.ones(2), np.ones(2)), np.zeros(2), np.ones(2))) == 2


def test_ranks_correlate_whatever_the_scale_and_share_ties():
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, 1e6])) == pytest.approx(1.0)
    # Ranks 1.5, 1.5, 3 against 1, 2, 3.
    assert rank_correlation(np.array([5.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(np.sqrt(0.75))
    assert rank_correlation(np.ones(3), np.arange(3.0)) is None


def test_a_spread_that_knows_its_errors_shows_in_the_report():
    rng = np.random.default_rng(1)
    truth, spread = rng.normal(size=500), rng.uniform(0.05, 1, 500)
    mean = truth + spread * rng.normal(size=500)
    report = quality_report(
        mean,
        expit(truth),
        temperature=1.0,
        rewards=np.zeros(0),
        lengths=np.zeros(0),
        members=MemberMargins(mean, spread),
    )
    assert report.spread_rank_correlation > 0.3
    assert [b.count for b in report.by_spread] == [100] * 5
    assert report.by_spread[-1].error > report.by_spread[0].error + 0.08
    assert min(b.covered for b in report.by_spread) > 0.9


def test_a_report_on_nothing_says_nothing():
    nothing = np.zeros(0)
    report = quality_report(
        nothing,
        nothing,
        temperature=1.0,
        rewards=nothing,
        lengths=nothing,
        members=MemberMargins(nothing, nothing),
    )
    assert (report.pairs, report.brier, report.by_margin, report.by_spread) == (0, None, None, None)
    assert report.spread_rank_correlation is None
