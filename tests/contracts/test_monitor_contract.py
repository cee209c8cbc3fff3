"""Monitor contract: what any monitor must hold to. Add yours to `MONITORS_UNDER_TEST`, or run `broken_promises` on it.

Each entry makes a fresh monitor, as a run does.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.monitors import MONITORS, Monitor, build_monitors
from assay.monitors.contract import CHECKS, broken_promises
from assay.records.errors import InputError
from assay.records.observation import Alarm, Observation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MONITORS_UNDER_TEST: dict[str, Callable[[], Monitor]] = {
    name: (lambda name=name: build_monitors({name: {}})[0]) for name in MONITORS
}

every_monitor = pytest.mark.parametrize("make", MONITORS_UNDER_TEST.values(), ids=MONITORS_UNDER_TEST.keys())
NUMBERS = st.floats(0, 1e6)
STEADY = {
    "alignment/kl": 2.0,
    "alignment/entropy": 2.0,
    "alignment/proxy_reward": 0.5,
    "watch/panel_reward": 0.5,
    "rewards/disagreement": 0.4,
    "rewards/disagreement_sd": 0.2,
    "rewards/outlier_rate": 0.01,
    "rewards/half_a": 0.5,
    "rewards/half_b": 0.4,
    "rewards/half_gap_sd": 0.5,
    "rewards/within_group_sd": 0.7,
    "rewards/length_correlation": 0.2,
    "rewards/length_adjusted_gain": 0.0,
    "rewards/at_ceiling": 0.4,
    "completions/count": 64.0,
    "completions/mean_length": 40.0,
    "completions/length_sd": 12.0,
    "completions/repetition": 0.05,
    "completions/lexical_shift": 0.0,
    "completions/lexical_rise": 0.1,
    "style/lists": 0.2,
    "style/lists_sd": 0.4,
    "components/right": 0.5,
    "components/right_sd": 0.5,
    "components/format": 0.6,
    "components/format_sd": 0.5,
    "constraints/cost/value": 0.3,
    "constraints/cost/multiplier": 0.7,
    "constraints/cost/violation": 0.0,
    "constraints/cost/dual_gap": 0.0,
    "constraints/cost/oscillation": 0.5,
    "constraints/cost/at_bound": 0.0,
    "audit/wins": 14.0,
    "audit/losses": 10.0,
}
HEALTHY = [Observation(step=step, values=STEADY) for step in range(8)]


def metrics(monitor):
    """All metrics of the steady run that the monitor reads, those that it may do without included."""
    read = monitor.reads | monitor.missing(Observation(step=0, values={}))
    return sorted(name for name in STEADY if name in read or any(name.startswith(r[:-1]) for r in read if r[-1] == "*"))


def runs(monitor):
    """Runs of up to eight checkpoints with any values of the metrics that the monitor reads."""
    values = st.fixed_dictionaries(dict.fromkeys(metrics(monitor), NUMBERS))
    return st.lists(values, min_size=1, max_size=8)


def watch(monitor, checkpoints):
    return [monitor.observe(Observation(step=step, values=values), NOW) for step, values in enumerate(checkpoints)]


@every_monitor
def test_a_monitor_breaks_no_promise(make):
    assert broken_promises(make, HEALTHY, now=NOW) == []


@every_monitor
@settings(max_examples=18, deadline=None)
@given(data=st.data())
def test_any_numbers_give_alarms_that_can_be_stored_and_are_the_same_again(make, data):
    checkpoints = data.draw(runs(make()))
    alarms = watch(make(), checkpoints)
    assert alarms == watch(make(), checkpoints)
    for alarm in alarms:
        if alarm is not None:
            assert Alarm.model_validate_json(alarm.model_dump_json()).id == alarm.id


@every_monitor
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_run_that_does_not_move_never_rings_beyond_its_first_word(make, data):
    if make().name == "noisy_audit":
        pytest.skip("an audit that keeps losing says more with every checkpoint, though nothing moves")
    first = data.draw(runs(make()))[0]
    alarms = watch(make(), [first] * 4)
    assert len({alarm is None for alarm in alarms}) == 1


class Broken:
    """A monitor of KL above 1 that breaks the promise it is told to."""

    name, action, reads = "broken", "stop", frozenset({"alignment/kl"})
    shared: list[int] = []

    def __init__(self, promise):
        self.promise, self.seen = promise, []
        if promise == "names itself":
            self.name = ""
        if promise == "stands alone":
            self.seen = Broken.shared

    def missing(self, observation):
        kl = observation.values.get("alignment/kl", float("nan"))
        if self.promise == "is silent without its metrics" or kl - kl == 0:
            return frozenset()
        return self.reads

    def observe(self, observation, now):
        kl = observation.values.get("alignment/kl", 99.0)
        if self.missing(observation):
            return None
        if self.promise == "leaves observations alone":
            observation.values["alignment/kl"] = -1.0
        rings = kl > (0.5 if self.promise == "passes a healthy run" else 5)
        if self.promise == "is deterministic":
            rings = rings and len(observation.values) % 2 == 0
        if self.promise in ("stands alone", "forgets on roll-back"):
            self.seen += [observation.step] if rings else []
            rings = bool(self.seen)
        if not rings:
            return None
        value = float("inf") if self.promise == "rings in storable words" else kl
        return Alarm(
            created_at=now,
            monitor=self.name,
            step=observation.step,
            message="too far",
            action="stop",
            value=value,
            threshold=5.0,
            evidence={"alignment/kl": kl},
        )


@pytest.mark.parametrize("promise", CHECKS)
def test_every_check_finds_the_monitor_that_breaks_its_promise(promise):
    healthy = [Observation(step=step, values={"alignment/kl": 1.0}) for step in range(6)]
    Broken.shared.clear()
    assert broken_promises(lambda: Broken("none"), healthy, now=NOW) == []
    faults = broken_promises(lambda: Broken(promise), healthy, now=NOW)
    assert any(fault.startswith(promise) for fault in faults)


@pytest.mark.parametrize("steps", [[0, 1], [0, 2, 1, 3], [0, 0, 1, 2]])
def test_a_run_that_is_no_run_is_refused(steps):
    run = [Observation(step=step, values=STEADY) for step in steps]
    with pytest.raises(InputError, match="rising steps"):
        broken_promises(MONITORS_UNDER_TEST["kl_budget"], run, now=NOW)
