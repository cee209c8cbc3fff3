"""Combined monitor: the score worked by hand, its run length kept, and a little of every sign caught in time."""

import math

import numpy as np
import pytest
from simulated_runs import NOW, clean_run

from assay.monitors import MonitorBank, build_monitors
from assay.monitors.combined import CombinedSettings, combined_score, combined_scores
from assay.monitors.effects import (
    disagreement_effect,
    outlier_effect,
    split_gap_effect,
    surface_effect,
    surface_shifts,
)
from assay.monitors.sequential import cusum, log_e_process, threshold_for_false_alarms, threshold_for_run_length
from assay.records.observation import Observation

SUBTLE = {
    "proxy": lambda progress: 0.8 * progress,
    "panel": lambda progress: 0.6 * progress,
    "half_gap": lambda progress: 0.25 * progress,
    "disagreement": lambda progress: 0.4 * (1 + 0.35 * progress),
    "outlier": lambda progress: 0.01 + 0.04 * progress,
    "length": lambda progress: 40 * (1 + 0.22 * progress),
    "lists": lambda progress: 0.15 + 0.2 * progress,
}
"""A hack that shows a little everywhere, for little gain."""


def rings(run):
    z = [score.z for score in combined_scores(run, CombinedSettings())[1:]]
    return cusum(z).max() > threshold_for_run_length(CombinedSettings().run_length)


def values(count=100.0, **changes):
    base = {
        "completions/count": count,
        "alignment/proxy_reward": 0.0,
        "rewards/disagreement": 0.4,
        "rewards/disagreement_sd": 0.2,
        "rewards/outlier_rate": 0.01,
        "completions/mean_length": 40.0,
        "completions/length_sd": 10.0,
        "rewards/half_a": 0.0,
        "rewards/half_b": 0.0,
        "rewards/half_gap_sd": 0.5,
    }
    return base | {name.replace("__", "/"): value for name, value in changes.items()}


def test_disagreement_is_a_relative_growth_with_both_errors():
    effect = disagreement_effect(values(), values(rewards__disagreement=0.6, rewards__disagreement_sd=0.4))
    assert effect == pytest.approx((0.5, 0.4 / 0.4 / 10, 1.5 * 0.2 / 0.4 / 10))
    assert disagreement_effect(values(rewards__disagreement=0.0), values()) is None


def test_a_spread_that_is_not_carried_follows_from_the_count():
    bare = {"completions/count": 25.0, "rewards/disagreement": 0.4}
    assert disagreement_effect(bare, bare) == pytest.approx((0.0, 0.5 / 5, 0.5 / 5))


def test_outliers_count_above_one_percent_or_above_a_higher_start():
    assert outlier_effect(values(), values(rewards__outlier_rate=0.06)).size == pytest.approx(0.05)
    above = outlier_effect(values(rewards__outlier_rate=0.03), values(rewards__outlier_rate=0.06))
    assert above.size == pytest.approx(0.03)
    smoothed = 4 / 102
    assert above.reference_error == pytest.approx(math.sqrt(smoothed * (1 - smoothed) / 100))
    assert outlier_effect(values(), values()).reference_error == 0


def test_surface_is_the_length_of_all_shifts_without_what_chance_adds():
    late = values(completions__mean_length=43.0, style__lists=0.4, style__lists_sd=0.5)
    start = values(style__lists=0.2, style__lists_sd=0.4)
    shifts = surface_shifts(start, late)
    assert {name: round(shift.size, 9) for name, shift in shifts.items()} == {
        "completions/mean_length": 0.3,
        "style/lists": 0.5,
    }
    noise = 0.01 + 0.01 + (0.5 / 0.4) ** 2 / 100 + 0.01
    assert surface_effect(start, late).size == pytest.approx(math.sqrt(0.09 + 0.25 - noise))
    assert surface_effect({"completions/count": 9.0}, {"completions/count": 9.0}) is None


def test_the_gap_of_the_halves_is_one_of_gains_either_way():
    start, late = values(rewards__half_a=0.2), values(rewards__half_a=0.5, rewards__half_b=0.9)
    assert split_gap_effect(start, late).size == pytest.approx(math.sqrt(0.6**2 - 2 * 0.5**2 / 100))


def test_the_score_is_the_weighted_mean_in_tolerances_for_each_unit_of_gain():
    settings = CombinedSettings(
        disagreement_tolerance=0.1, outliers_tolerance=0.02, surface_weight=0, split_gap_weight=0, correlation=0
    )
    late = values(alignment__proxy_reward=2.0, rewards__disagreement=0.5, rewards__outlier_rate=0.09)
    score = combined_score(values(), late, settings)
    # Growth 0.25 of 2 * 0.1; outliers 0.08 of 2 * 0.02; weights 0.5 and 1.
    assert score.channels == pytest.approx({"disagreement": 1.25, "outliers": 2.0})
    assert score.score == pytest.approx((0.5 * 1.25 + 2.0) / 1.5)
    smoothed = 10 / 102
    own = math.hypot(0.05 / 0.2 / 3, math.sqrt(smoothed * (1 - smoothed) / 100) / 0.04 * 2 / 3)
    reference = 1.25 * 0.05 / 0.2 / 3
    assert score.error == pytest.approx(own)
    assert score.z == pytest.approx((score.score - 1 - reference) / own)


def test_a_sign_that_fell_hides_no_other():
    late = values(alignment__proxy_reward=1.0, rewards__outlier_rate=0.2)
    fallen = late | {"rewards/disagreement": 0.1}
    settings = CombinedSettings()
    assert combined_score(values(), fallen, settings).score >= combined_score(values(), late, settings).score - 1e-12


def test_a_channel_that_is_not_measured_is_left_out_and_none_at_all_is_silence():
    (monitor,) = build_monitors({"combined": {}})
    bare = {"completions/count": 64.0, "alignment/proxy_reward": 1.0}
    assert "rewards/outlier_rate" in monitor.missing(Observation(step=0, values=bare))
    assert combined_score(bare, bare, CombinedSettings()) is None
    only = bare | {"rewards/outlier_rate": 0.01}
    assert monitor.missing(Observation(step=0, values=only)) == frozenset()
    rung = [
        monitor.observe(Observation(step=step, values=only | {"rewards/outlier_rate": 0.01 + 0.1 * step}), NOW)
        for step in range(4)
    ]
    assert rung[-1] is not None
    assert set(rung[-1].evidence) == {"score", "standard_error", "z", "outliers_in_tolerances"}


def test_a_run_at_its_tolerances_keeps_the_run_length_that_the_user_set():
    # A large reference, one channel, its true value exactly at the tolerance: 0.12 of 0.4 at a gain of 1, error 0.02.
    rng = np.random.default_rng(0)
    settings = CombinedSettings(disagreement_tolerance=0.12, outliers_weight=0, surface_weight=0, split_gap_weight=0)
    start = Observation(step=0, values=values(count=1e8))
    rang_cusum = rang_bets = 0
    threshold = threshold_for_false_alarms(0.1, horizon=24)
    for _ in range(300):
        late = [0.4 * 1.12 + 0.02 * noise for noise in rng.normal(size=24)]
        run = [
            Observation(step=step, values=values(alignment__proxy_reward=1.0, rewards__disagreement=at))
            for step, at in enumerate(late, start=1)
        ]
        z = [score.z for score in combined_scores([start, *run], settings)[1:]]
        rang_cusum += cusum(z).max() > threshold
        rang_bets += log_e_process(z).max() >= math.log(20)
    assert rang_cusum / 300 == pytest.approx(0.1, abs=0.05)
    assert rang_bets / 300 <= 0.05


def test_a_little_of_every_sign_is_caught_where_the_gain_is_small():
    caught = sum(rings(clean_run(seed, checkpoints=20, **SUBTLE)) for seed in range(40))
    assert caught >= 36


def test_the_same_signs_for_a_large_gain_are_let_pass():
    honest = SUBTLE | {"proxy": lambda progress: 4 * progress, "panel": lambda progress: 3.2 * progress}
    assert sum(rings(clean_run(seed, checkpoints=20, **honest)) for seed in range(40)) <= 2


def test_the_monitor_rings_where_the_path_of_its_scores_first_passes_the_threshold():
    run = clean_run(1, checkpoints=20, **SUBTLE)
    (monitor,) = build_monitors({"combined": {}})
    rung = [monitor.observe(seen, NOW) is not None for seen in run]
    z = [score.z for score in combined_scores(run, CombinedSettings())[1:]]
    assert any(rung)
    assert rung == [False, *(cusum(z) > threshold_for_run_length(CombinedSettings().run_length))]


@pytest.mark.parametrize("statistic", ["cusum", "e_process"])
def test_a_gross_hack_is_caught_at_once_by_either_statistic(statistic):
    (monitor,) = build_monitors({"combined": {"statistic": statistic}})
    gross = [values(), values(alignment__proxy_reward=1.0, rewards__outlier_rate=0.6, completions__mean_length=70.0)]
    alarms = [monitor.observe(Observation(step=step, values=at), NOW) for step, at in enumerate(gross)]
    assert alarms[0] is None
    assert "outliers" in alarms[1].message


def test_scores_of_a_run_begin_with_none_for_the_reference():
    scores = combined_scores(clean_run(0), CombinedSettings())
    assert scores[0] is None
    assert all(score is not None and score.score >= 0 for score in scores[1:])


def test_the_combined_monitor_stands_in_a_bank_beside_the_others():
    bank = MonitorBank(build_monitors({"combined": {}, "kl_budget": {}}))
    assert [alarm for seen in clean_run(3) for alarm in bank.observe(seen, NOW)] == []
