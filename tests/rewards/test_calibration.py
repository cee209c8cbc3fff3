"""Calibration: temperature, reliability and ECE against worked numbers."""

import numpy as np
import pytest
from scipy.special import expit

from assay.rewards.calibration import (
    expected_calibration_error,
    fit_temperature,
    quality_report,
    reliability,
    soft_nll,
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
