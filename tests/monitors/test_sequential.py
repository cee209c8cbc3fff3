"""Sequential tests: known run lengths, and false alarms that hold by simulation at what the user asked for."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.monitors.sequential import (
    average_run_length,
    cusum,
    false_alarm_probability,
    log_e_process,
    log_win_rate_e_process,
    threshold_for_false_alarms,
    threshold_for_run_length,
)
from assay.records.errors import ConfigError

SCORES = st.lists(st.floats(-5, 5), min_size=1, max_size=20)


def test_the_cusum_is_what_one_adds_up_by_hand():
    # 1 - 0.5; 0.5 - 1.5 < 0, so 0; 2 - 0.5; 1.5 + 1 - 0.5.
    assert cusum([1.0, -1.0, 2.0, 1.0], allowance=0.5) == pytest.approx([0.5, 0.0, 1.5, 2.0])


@pytest.mark.parametrize(
    ("threshold", "shift", "run_length"),
    # One-sided, allowance 1/2: Montgomery's tables give 335.4 and 930.9 healthy (168 and 465 for both sides), 8.38 and
    # 10.4 after a shift of one standard deviation.
    [(4.0, 0.0, 335.4), (5.0, 0.0, 930.9), (4.0, 1.0, 8.38), (5.0, 1.0, 10.38)],
)
def test_run_lengths_are_those_of_the_tables(threshold, shift, run_length):
    assert average_run_length(threshold, shift=shift) == pytest.approx(run_length, rel=2e-3)


def test_a_threshold_of_zero_rings_at_the_first_score_above_the_allowance():
    assert average_run_length(1e-9, allowance=0.5) == pytest.approx(1 / 0.3085, rel=1e-3)  # P(Z > 0.5) = 0.3085


def test_the_run_length_that_the_user_sets_holds_by_simulation():
    threshold = threshold_for_run_length(50.0)
    scores = np.random.default_rng(1).standard_normal((3000, 500))
    level, run_lengths = np.zeros(3000), np.full(3000, 500.0)
    for t in range(500):
        level = np.maximum(0, level + scores[:, t] - 0.5)
        run_lengths = np.where((level > threshold) & (run_lengths == 500), t + 1, run_lengths)
    assert run_lengths.mean() == pytest.approx(50.0, rel=0.06)


@pytest.mark.parametrize("horizon", [12, 24])
def test_the_false_alarms_that_the_user_sets_hold_by_simulation(horizon):
    threshold = threshold_for_false_alarms(0.05, horizon=horizon)
    scores = np.random.default_rng(2).standard_normal((6000, horizon))
    rang = np.mean([cusum(row).max() > threshold for row in scores])
    assert rang == pytest.approx(0.05, abs=0.009)
    assert false_alarm_probability(threshold, horizon=horizon) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("asked", [lambda: threshold_for_run_length(1.0), lambda: threshold_for_run_length(1e15)])
def test_a_run_length_that_no_threshold_gives_is_refused(asked):
    with pytest.raises(ConfigError, match="an ARL of"):
        asked()


@given(SCORES)
def test_the_cusum_never_falls_below_zero_and_rises_with_every_score(scores):
    path, higher = cusum(scores), cusum([score + 1 for score in scores])
    assert (path >= 0).all()
    assert (higher >= path).all()


def test_the_e_process_of_one_score_is_worked_by_hand():
    # Half of the capital has begun to bet (1/(1*2)); one effect of 1 at z = 2 multiplies it by exp(2 - 1/2).
    assert log_e_process([2.0], effects=[1.0])[0] == pytest.approx(math.log(0.5 * math.exp(1.5) + 0.5))


@given(SCORES)
@settings(max_examples=50)
def test_the_recursion_equals_the_sum_over_all_starts(scores):
    effect, z = 1.0, np.array(scores)
    gains = effect * z - effect**2 / 2
    total = sum(math.exp(gains[k:].sum()) / ((k + 1) * (k + 2)) for k in range(len(z))) + 1 / (len(z) + 1)
    assert log_e_process(scores, effects=[effect])[-1] == pytest.approx(math.log(total))


def test_villes_bound_holds_over_a_long_run_and_for_scores_below_the_null():
    rng = np.random.default_rng(3)
    for mean in (0.0, -0.3):
        rang = np.mean([log_e_process(rng.normal(mean, 1, size=100)).max() >= math.log(20) for _ in range(400)])
        assert rang <= 0.05


def test_the_expected_e_value_is_one_at_the_null():
    values = np.exp([log_e_process(row, effects=[0.5])[-1] for row in np.random.default_rng(4).normal(size=(4000, 5))])
    assert values.mean() == pytest.approx(1.0, abs=4 * values.std() / math.sqrt(4000))


def test_a_late_drift_is_found_by_both_within_a_few_checkpoints():
    scores = np.concatenate([np.random.default_rng(5).normal(-1, 1, size=12), np.full(4, 3.0)])
    assert (cusum(scores) > threshold_for_run_length(1000)).any()
    assert (log_e_process(scores) > math.log(100)).any()
    assert (log_e_process(scores)[:12] < 0.5).all()


def test_the_win_rate_e_process_is_worked_by_hand():
    # No win, one loss against 1/2: chances 0.05 .. 0.45 multiply by (1 - p) / 0.5, 1.5 on average, half the capital.
    assert log_win_rate_e_process([0], [1])[0] == pytest.approx(math.log(0.5 * 1.5 + 0.5))


@pytest.mark.parametrize("chance", [0.5, 0.6])
def test_a_panel_that_wins_often_enough_seldom_rings_however_long_it_is_asked(chance):
    rng = np.random.default_rng(6)
    wins = rng.binomial(24, chance, size=(400, 40))
    rang = np.mean([log_win_rate_e_process(row, 24 - row).max() >= math.log(20) for row in wins])
    assert rang <= 0.05


def test_a_panel_that_loses_rings():
    wins = np.random.default_rng(7).binomial(24, 0.3, size=8)
    assert log_win_rate_e_process(wins, 24 - wins).max() > math.log(100)
