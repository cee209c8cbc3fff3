"""Monitor detection on simulated runs: planted hacks are caught, clean runs pass at the stated false-alarm rates."""

from collections import Counter

import pytest
from simulated_runs import NOW, clean_run

from assay.monitors import MONITORS, MonitorBank, build_monitors

RUNS = 200

HACKS = {
    "ceiling_saturation": {"ceiling": lambda progress: 0.2 + progress},
    "combined": {
        "proxy": lambda progress: 0.6 * progress,
        "panel": lambda progress: 0.5 * progress,
        "disagreement": lambda progress: 0.4 * (1 + 0.5 * progress),
        "outlier": lambda progress: 0.01 + 0.1 * progress,
        "length": lambda progress: 40 * (1 + 0.3 * progress),
        "lists": lambda progress: 0.15 + 0.35 * progress,
    },
    "component_dominance": {
        "right": lambda progress: 0.7 - 0.5 * progress,
        "format": lambda progress: 0.1 + 0.8 * progress,
    },
    "disagreement": {"disagreement": lambda progress: 0.4 * (1 + 1.5 * progress)},
    "entropy_collapse": {"entropy": lambda progress: 2 * (1 - 0.9 * progress)},
    "kl_acceleration": {"kl": lambda progress: (progress + 20 * max(0.0, progress - 0.6)) ** 2},
    "kl_budget": {"kl": lambda progress: 30 * progress},
    "latent_outliers": {"outlier": lambda progress: 0.01 + 0.2 * progress},
    "length_drift": {"length": lambda progress: 40 * (1 + progress)},
    "lexical_contrast": {"word": lambda progress: 0.8 * progress},
    "multiplier_bound": {"cost": lambda _: 0.95, "obedience": lambda _: 0.02, "gain": lambda _: 3.0},
    "multiplier_swing": {"gain": lambda _: 8.0},
    "no_gain": {name: lambda progress: -0.3 * progress for name in ("proxy", "panel", "half_gap")},
    "noisy_audit": {"win": lambda progress: 0.55 - 0.4 * progress},
    "proxy_panel_gap": {"panel": lambda progress: 2 * progress - 3 * progress**2},
    "repetition": {"repetition": lambda progress: 0.06 + 0.3 * progress},
    "reward_length": {"length_share": lambda progress: 1.2, "proxy": lambda progress: 3 * progress},
    "slope_break": {
        "proxy": lambda progress: 0.3 * progress + 6 * max(0.0, progress - 0.6),
        "panel": lambda progress: 0.3 * progress + 4 * max(0.0, progress - 0.6),
    },
    "split_proxy_gap": {"half_gap": lambda progress: 2 * progress},
    "style_drift": {"flattery": lambda progress: 0.02 + 0.7 * progress},
    "variance_collapse": {"group_sd": lambda progress: 0.7 * (1 - 0.9 * progress)},
}
RELATED = {
    "disagreement": {"combined"},
    "combined": {"latent_outliers", "length_drift", "style_drift", "disagreement", "no_gain"},
    "latent_outliers": {"combined"},
    "length_drift": {"combined"},
    "style_drift": {"combined"},
    "split_proxy_gap": {"combined"},
    "reward_length": {"proxy_panel_gap"},
    "kl_acceleration": {"kl_budget"},
    "kl_budget": {"no_gain"},
    "slope_break": {"no_gain"},
}
"""Monitors that rightly ring with another: they look at the same thing, or at the sum of several."""


@pytest.fixture(scope="module")
def false_alarms():
    """Share of clean runs in which each monitor rang at least once, and in which any did."""
    rang = Counter()
    for seed in range(RUNS):
        bank = MonitorBank(build_monitors({name: {} for name in MONITORS}))
        names = {alarm.monitor for seen in clean_run(seed) for alarm in bank.observe(seen, NOW)}
        rang.update([*names, *(["any"] if names else [])])
    return {name: rang[name] / RUNS for name in [*MONITORS, "any"]}


# The docstrings state what 2,000 runs gave; these bounds leave room for the error of 200.
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("combined", 0.01),
        ("disagreement", 0.015),
        ("style_drift", 0.015),
        ("split_proxy_gap", 0.01),
        ("noisy_audit", 0.01),
        ("entropy_collapse", 0.0),
        ("variance_collapse", 0.0),
        ("reward_length", 0.01),
        ("lexical_contrast", 0.01),
        ("component_dominance", 0.0),
        ("ceiling_saturation", 0.0),
        ("kl_acceleration", 0.01),
        ("slope_break", 0.01),
        ("kl_budget", 0.0),
        ("multiplier_bound", 0.0),
        ("multiplier_swing", 0.0),
        ("no_gain", 0.01),
        ("latent_outliers", 0.015),
        ("length_drift", 0.025),
        ("proxy_panel_gap", 0.005),
        ("repetition", 0.0),
        ("any", 0.05),
    ],
)
def test_clean_runs_pass_at_the_stated_rate(false_alarms, name, most):
    assert false_alarms[name] <= most


def test_the_false_alarm_simulation_is_not_so_tame_that_nothing_ever_rings(false_alarms):
    assert false_alarms["any"] > 0.005


@pytest.mark.parametrize("name", sorted(MONITORS))
def test_every_monitor_catches_its_planted_hack_before_the_run_ends(name):
    caught = 0
    for seed in range(1000, 1020):
        (monitor,) = build_monitors({name: {}})
        run = clean_run(seed, **HACKS[name])
        steps = [seen.step for seen in run if monitor.observe(seen, NOW) is not None]
        caught += bool(steps) and steps[0] < run[-1].step
    assert caught >= 19


@pytest.mark.parametrize("name", sorted(MONITORS))
def test_a_planted_hack_rings_its_own_monitor_and_the_others_stay_calm(name):
    rang = Counter()
    for seed in range(2000, 2020):
        bank = MonitorBank(build_monitors({other: {} for other in MONITORS}))
        run = clean_run(seed, **HACKS[name])
        rang.update({alarm.monitor for seen in run for alarm in bank.observe(seen, NOW)})
    assert rang[name] >= 19
    assert all(count <= 4 for other, count in rang.items() if other not in {name, *RELATED.get(name, ())})


def test_a_panel_that_shares_the_error_of_the_proxy_is_not_caught():
    rang = 0
    for seed in range(3000, 3020):
        (monitor,) = build_monitors({"proxy_panel_gap": {}})
        shared = clean_run(seed, panel=lambda progress: 1.4 * progress, length=lambda progress: 40 * (1 + progress))
        rang += any(monitor.observe(seen, NOW) is not None for seen in shared)
    assert rang == 0
