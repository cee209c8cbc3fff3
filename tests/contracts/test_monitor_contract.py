"""Monitor contract: what any monitor must hold to. Add your own to `MONITORS_UNDER_TEST` to test it.

Each entry makes a fresh monitor, as a run does.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.monitors import MONITORS, Monitor, build_monitors
from assay.records.observation import Action, Alarm, Observation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MONITORS_UNDER_TEST: dict[str, Callable[[], Monitor]] = {
    name: (lambda name=name: build_monitors({name: {}})[0]) for name in MONITORS
}

every_monitor = pytest.mark.parametrize("make", MONITORS_UNDER_TEST.values(), ids=MONITORS_UNDER_TEST.keys())
NUMBERS = st.floats(0, 1e6)


def runs(monitor):
    """Runs of up to five checkpoints with any values of the metrics that the monitor reads."""
    values = st.fixed_dictionaries(dict.fromkeys(sorted(monitor.reads), NUMBERS))
    return st.lists(values, min_size=1, max_size=5)


def watch(monitor, checkpoints):
    return [monitor.observe(Observation(step=step, values=values), NOW) for step, values in enumerate(checkpoints)]


@every_monitor
def test_a_monitor_names_itself_its_action_and_its_metrics(make):
    monitor = make()
    assert monitor.name
    assert monitor.action in get_args(Action)
    assert monitor.reads
    assert all("/" in name for name in monitor.reads)


@every_monitor
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_alarm_carries_the_monitor_the_step_the_time_and_evidence_that_can_be_stored(make, data):
    monitor = make()
    for step, alarm in enumerate(watch(monitor, data.draw(runs(monitor)))):
        if alarm is not None:
            assert (alarm.monitor, alarm.action, alarm.step, alarm.created_at) == (
                monitor.name,
                monitor.action,
                step,
                NOW,
            )
            assert alarm.message
            assert alarm.evidence
            assert Alarm.model_validate_json(alarm.model_dump_json()).id == alarm.id


@every_monitor
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_the_same_run_gives_the_same_alarms_and_other_metrics_do_not_matter(make, data):
    checkpoints = data.draw(runs(make()))
    noisy = [{**values, "somebody/elses": 1e9} for values in checkpoints]
    assert watch(make(), checkpoints) == watch(make(), noisy)


@every_monitor
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_run_that_does_not_move_never_rings_beyond_its_first_word(make, data):
    first = data.draw(runs(make()))[0]
    alarms = watch(make(), [first] * 4)
    assert len({alarm is None for alarm in alarms}) == 1


@every_monitor
def test_without_any_one_of_its_metrics_a_monitor_is_silent_and_says_which(make):
    for absent in make().reads:
        for value in (None, float("nan"), float("inf")):
            monitor = make()
            values = dict.fromkeys(monitor.reads - {absent}, 1.0)
            if value is not None:
                values[absent] = value
            seen = Observation(step=0, values=values)
            assert monitor.missing(seen) == {absent}
            assert monitor.observe(seen, NOW) is None


@every_monitor
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_two_monitors_of_a_kind_do_not_share_what_they_saw(make, data):
    one, other = make(), make()
    checkpoints = data.draw(runs(one))
    watch(one, data.draw(runs(one)))
    assert watch(other, checkpoints) == watch(make(), checkpoints)
