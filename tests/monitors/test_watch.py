"""Watch: alarms in the order of their strictness, silence that is said, and settings that are checked all at once."""

import pytest
from simulated_runs import NOW

from assay.monitors import MONITORS, MonitorBank, build_monitors, default_monitors, strictest_action
from assay.monitors.registry import OFF_BY_DEFAULT
from assay.records.errors import ConfigError
from assay.records.observation import Observation

START = {"alignment/kl": 0.0, "completions/repetition": 0.1}
END = {"alignment/kl": 99.0, "completions/repetition": 0.9}


def test_alarms_come_strictest_first_and_name_their_action():
    monitors = build_monitors({"kl_budget": {"action": "ask_a_person"}, "repetition": {}})
    bank = MonitorBank(monitors)
    assert bank.observe(Observation(step=0, values=START), NOW) == []
    alarms = bank.observe(Observation(step=1, values=END), NOW)
    assert [(alarm.monitor, alarm.action) for alarm in alarms] == [
        ("repetition", "roll_back_to_checkpoint"),
        ("kl_budget", "ask_a_person"),
    ]
    assert strictest_action(alarms) == "roll_back_to_checkpoint"
    assert strictest_action(alarms[1:]) == "ask_a_person"
    assert strictest_action([]) is None
    assert {alarm.created_at for alarm in alarms} == {NOW}


def test_a_monitor_without_its_metrics_is_silent_and_says_so():
    bank = MonitorBank(default_monitors())
    seen = Observation(step=0, values={"alignment/kl": float("nan"), "completions/repetition": 0.1})
    silent = bank.silent(seen)
    assert silent["kl_budget"] == {"alignment/kl"}
    assert silent["proxy_panel_gap"] == {"alignment/proxy_reward", "watch/panel_reward", "completions/count"}
    assert "repetition" not in silent
    assert bank.observe(seen, NOW) == []


def test_an_observation_that_lacks_a_metric_does_not_become_the_reference():
    (monitor,) = build_monitors({"repetition": {}})
    monitor.observe(Observation(step=0, values={}), NOW)
    assert monitor.observe(Observation(step=1, values={"completions/repetition": 0.5}), NOW) is None
    assert monitor.observe(Observation(step=2, values={"completions/repetition": 0.7}), NOW) is not None


def test_a_run_that_was_rolled_back_forgets_what_came_after():
    (monitor,) = build_monitors({"proxy_panel_gap": {}})

    def seen(step, proxy, panel):
        values = {"alignment/proxy_reward": proxy, "watch/panel_reward": panel, "completions/count": 200.0}
        return monitor.observe(Observation(step=step, values=values), NOW)

    seen(0, 0.0, 0.0)
    seen(1, 0.5, 0.4)
    seen(2, 0.9, 1.5)  # the best, and then taken back
    assert seen(1, 0.5, 0.4) is None
    assert seen(3, 1.0, 0.9) is None


def test_default_monitors_are_all_kinds_but_those_that_schedules_disturb_and_fresh_each_time():
    one, other = default_monitors(), default_monitors()
    assert set(MONITORS) - {monitor.name for monitor in one} == OFF_BY_DEFAULT == {"kl_acceleration", "slope_break"}
    assert not set(map(id, one)) & set(map(id, other))
    assert MonitorBank(one).names == tuple(name for name in MONITORS if name not in OFF_BY_DEFAULT)


def test_a_metric_with_a_star_is_given_by_any_finite_metric_that_begins_like_it():
    (monitor,) = build_monitors({"component_dominance": {}})

    def missing(values):
        return monitor.missing(Observation(step=0, values=values | {"completions/count": 8.0}))

    assert missing({"components/right": 0.5}) == frozenset()
    assert missing({"components/right": float("nan"), "component": 1.0}) == {"components/*"}


def test_two_monitors_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="different names"):
        MonitorBank([*build_monitors({"repetition": {}}), *build_monitors({"repetition": {}})])


def test_all_faults_of_the_settings_are_reported_together():
    given = {"astrology": {}, "kl_budget": {"budget_nats": -1}, "repetition": {"colour": "red"}}
    with pytest.raises(ConfigError) as error:
        build_monitors(given)
    for part in ("astrology", "kl_budget.budget_nats", "repetition.colour"):
        assert part in str(error.value)
