"""Monitor rules: each rings where its threshold, worked by hand, is crossed, and says why."""

import math

import pytest
from scipy.stats import binom
from simulated_runs import NOW

from assay.monitors import build_monitors
from assay.records.observation import Observation


def run(name, *checkpoints, **settings):
    """The alarms of one monitor over checkpoints given as dictionaries of values."""
    (monitor,) = build_monitors({name: settings})
    return [monitor.observe(Observation(step=step, values=values), NOW) for step, values in enumerate(checkpoints)]


def rings(name, *checkpoints, **settings):
    return [alarm is not None for alarm in run(name, *checkpoints, **settings)]


def test_kl_rings_above_its_budget_and_not_at_it():
    kls = [{"alignment/kl": kl} for kl in (0.0, 4.0, 4.1)]
    assert rings("kl_budget", *kls, budget_nats=4.0) == [False, False, True]


def test_disagreement_is_measured_against_the_first_observation():
    spread = [{"rewards/disagreement": value} for value in (0.4, 0.6, 0.61)]
    alarms = run("disagreement", *spread, largest_ratio=1.5)
    assert [alarm is not None for alarm in alarms] == [False, False, True]
    assert alarms[2].value == pytest.approx(0.61 / 0.4)


def test_disagreement_of_a_single_member_says_nothing():
    assert rings("disagreement", {"rewards/disagreement": 0.0}, {"rewards/disagreement": 0.5}) == [False, False]


def outliers(count, of=64):
    return {"rewards/outlier_rate": count / of, "completions/count": float(of)}


def test_outliers_ring_from_the_count_that_is_too_rare_by_the_exact_test():
    # P(X >= 4 | 64, 0.01) = 0.0038 and P(X >= 5) = 0.00047, so 5 of 64 is the first count below 0.001.
    assert rings("latent_outliers", outliers(0), outliers(4), outliers(5)) == [False, False, True]
    alarm = run("latent_outliers", outliers(0), outliers(5))[1]
    by_hand = sum(math.comb(64, k) * 0.01**k * 0.99 ** (64 - k) for k in range(5, 65))
    assert alarm.value == pytest.approx(by_hand)


def test_outliers_are_tested_against_the_first_share_where_that_is_above_one_percent():
    start, later = outliers(6), outliers(12)
    assert binom.sf(11, 64, 0.01) < 1e-9
    assert binom.sf(11, 64, 6 / 64) == pytest.approx(0.0149, abs=1e-4)
    assert rings("latent_outliers", start, later) == [False, False]


def test_a_share_that_is_no_share_neither_crashes_nor_rings():
    assert rings("latent_outliers", outliers(0), {"rewards/outlier_rate": 2.0, "completions/count": 0.0}) == [False] * 2


def lengths(mean, sd=10.0, count=50.0):
    return {"completions/mean_length": mean, "completions/length_sd": sd, "completions/count": count}


def test_length_needs_both_a_large_change_and_a_significant_one():
    # Standard error 10 sqrt(2/50) = 2: 40 to 53 is z = 6.5 and +32.5 %; 40 to 50 is z = 5 but only +25 %.
    assert rings("length_drift", lengths(40), lengths(50), lengths(53)) == [False, False, True]
    # With a spread of 20 the error is 4, and +32.5 % is z = 3.25: not enough.
    assert rings("length_drift", lengths(40, sd=20), lengths(53, sd=20)) == [False, False]


def test_shrinking_rings_as_growing_does_and_keeps_its_sign():
    alarm = run("length_drift", lengths(40), lengths(20))[1]
    assert (alarm.value, alarm.threshold) == (-0.5, -0.3)
    assert alarm.evidence["z"] == pytest.approx(-10)


def test_equal_lengths_at_the_start_do_not_make_an_infinite_z():
    alarm = run("length_drift", lengths(40, sd=0.0), lengths(60))[1]
    assert alarm.evidence["z"] == pytest.approx(20 / 0.1)


def test_repetition_rings_on_its_rise():
    shares = [{"completions/repetition": value} for value in (0.3, 0.39, 0.41)]
    assert rings("repetition", *shares) == [False, False, True]


def rewards(proxy, panel, count=200.0):
    return {"alignment/proxy_reward": proxy, "watch/panel_reward": panel, "completions/count": count}


def test_the_gap_rings_where_the_panel_stays_behind_by_more_than_chance():
    # n = 200: e = 0.1. A proxy gain of 1 needs a panel gain of 0.33 - 1.5 * 0.1 = 0.18 at least.
    assert rings("proxy_panel_gap", rewards(-0.5, 0), rewards(0.5, 0.19), rewards(0.5, 0.17)) == [False, False, True]


def test_the_gap_asks_nothing_of_the_panel_before_the_proxy_has_gained():
    assert rings("proxy_panel_gap", rewards(0, 0), rewards(0.49, -0.2)) == [False, False]


def test_the_gap_rings_where_the_panel_falls_from_its_best_while_the_proxy_rises():
    # Best 0.8 at step 1; 3 e = 0.3 below it is 0.5, which still is more than a third of the proxy's gain.
    alarms = run("proxy_panel_gap", rewards(0, 0), rewards(0.9, 0.8), rewards(1.0, 0.51), rewards(1.1, 0.49))
    assert [alarm is not None for alarm in alarms] == [False, False, False, True]
    assert alarms[3].evidence["best_step"] == 1
    assert "fell 0.31" in alarms[3].message


def test_a_panel_that_falls_together_with_the_proxy_is_no_gap():
    assert rings("proxy_panel_gap", rewards(0, 0), rewards(0.9, 0.8), rewards(0.4, 0.3)) == [False, False, False]
