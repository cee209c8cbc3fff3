"""Monitor detection on simulated runs: planted hacks are caught, clean runs pass at the stated false-alarm rates."""

from collections import Counter

import pytest
from simulated_runs import NOW, clean_run

from assay.monitors import MONITORS, MonitorBank, build_monitors, default_monitors

RUNS = 250

HACKS = {
    "disagreement": {"disagreement": lambda progress: 0.4 * (1 + 1.5 * progress)},
    "kl_budget": {"kl": lambda progress: 30 * progress},
    "latent_outliers": {"outlier": lambda progress: 0.01 + 0.2 * progress},
    "length_drift": {"length": lambda progress: 40 * (1 + progress)},
    "proxy_panel_gap": {"panel": lambda progress: 2 * progress - 3 * progress**2},
    "repetition": {"repetition": lambda progress: 0.06 + 0.3 * progress},
}


@pytest.fixture(scope="module")
def false_alarms():
    """Share of clean runs in which each monitor rang at least once, and in which any did."""
    rang = Counter()
    for seed in range(RUNS):
        bank = MonitorBank(default_monitors())
        names = {alarm.monitor for seen in clean_run(seed) for alarm in bank.observe(seen, NOW)}
        rang.update([*names, *(["any"] if names else [])])
    return {name: rang[name] / RUNS for name in [*MONITORS, "any"]}


# The docstrings state what 2,000 runs gave; these bounds leave room for the error of 250.
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("disagreement", 0.03),
        ("kl_budget", 0.0),
        ("latent_outliers", 0.015),
        ("length_drift", 0.06),
        ("proxy_panel_gap", 0.005),
        ("repetition", 0.0),
        ("any", 0.08),
    ],
)
def test_clean_runs_pass_at_the_stated_rate(false_alarms, name, most):
    assert false_alarms[name] <= most


def test_the_false_alarm_simulation_is_not_so_tame_that_nothing_ever_rings(false_alarms):
    assert false_alarms["any"] > 0.005


@pytest.mark.parametrize("name", sorted(MONITORS))
def test_every_monitor_catches_its_planted_hack_before_the_run_ends(name):
    caught = 0
    for seed in range(1000, 1040):
        (monitor,) = build_monitors({name: {}})
        run = clean_run(seed, **HACKS[name])
        steps = [seen.step for seen in run if monitor.observe(seen, NOW) is not None]
        caught += bool(steps) and steps[0] < run[-1].step
    assert caught >= 38


@pytest.mark.parametrize("name", sorted(MONITORS))
def test_a_planted_hack_rings_its_own_monitor_and_the_others_stay_calm(name):
    rang = Counter()
    for seed in range(2000, 2040):
        bank = MonitorBank(default_monitors())
        run = clean_run(seed, **HACKS[name])
        rang.update({alarm.monitor for seen in run for alarm in bank.observe(seen, NOW)})
    assert rang[name] >= 38
    assert all(count <= 6 for other, count in rang.items() if other != name)


def test_a_panel_that_shares_the_error_of_the_proxy_is_not_caught():
    rang = 0
    for seed in range(3000, 3020):
        (monitor,) = build_monitors({"proxy_panel_gap": {}})
        shared = clean_run(seed, panel=lambda progress: 1.4 * progress, length=lambda progress: 40 * (1 + progress))
        rang += any(monitor.observe(seen, NOW) is not None for seen in shared)
    assert rang == 0
