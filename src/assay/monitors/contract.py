"""Contract: what every monitor must hold to, as checks that a third party can run on its own.

Takes a way to make a fresh monitor and a healthy run for it; yields the promises that it breaks, in sentences, none
when it keeps them all:

    faults = broken_promises(lambda: my_monitor(MySettings()), healthy_run, now=now)

A healthy run is a sequence of observations in the order of their steps, at least four, that hold every metric the
monitor reads. One such run shows that a monitor can be silent; how often it rings must be measured on many.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import get_args

from assay.monitors.protocol import Monitor
from assay.records.errors import InputError, explain
from assay.records.observation import Action, Alarm, Observation

Make = Callable[[], Monitor]
Check = Callable[[Make, Sequence[Observation], datetime], str | None]
LEAST_OBSERVATIONS = 4


def broken_promises(make: Make, healthy: Sequence[Observation], *, now: datetime) -> list[str]:
    """The names and faults of the checks that the monitor fails. Raises InputError for a run that is no run.

    The hacks with which alarms are provoked are the healthy run with each metric in turn made large or small.
    """
    steps = [seen.step for seen in healthy]
    if len(steps) < LEAST_OBSERVATIONS or steps != sorted(set(steps)):
        do = "give the observations of a healthy run in the order of their steps"
        expected = f"at least {LEAST_OBSERVATIONS} observations with rising steps"
        raise InputError(explain(expected=expected, got=f"steps {steps}", do=do))
    faults = {name: check(make, healthy, now) for name, check in CHECKS.items()}
    return [f"{name}: {fault}" for name, fault in faults.items() if fault is not None]


def check_names(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """It has a name, a declared action, and reads metrics that have a room's prefix."""
    monitor = make()
    if not monitor.name or monitor.action not in get_args(Action):
        return f"name {monitor.name!r} and action {monitor.action!r} must be set, the action to a declared one"
    odd = sorted(name for name in monitor.reads if "/" not in name)
    return None if monitor.reads and not odd else f"it must read named metrics like room/name; got {odd or 'none'}"


def check_calm(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """It can judge the healthy run, and does not ring in it."""
    monitor = make()
    for seen in healthy:
        if missing := monitor.missing(seen):
            return f"the healthy run lacks {sorted(missing)} at step {seen.step}, so nothing is shown"
        if (alarm := monitor.observe(seen, now)) is not None:
            return f"it rang at step {seen.step}: {alarm.message}"
    return None


def check_deterministic(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """The same run gives the same alarms, whatever other metrics say."""
    for run in _provoking(make(), healthy):
        noisy = [seen.model_copy(update={"values": {**seen.values, "somebody/elses": 1e9}}) for seen in run]
        if _watch(make(), run, now) != _watch(make(), noisy, now):
            return "two fresh monitors give different alarms for one run"
    return None


def check_alone(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """Two monitors of a kind do not share what they saw."""
    alone = _watch(make(), healthy, now)
    one, other = make(), make()
    for run in _provoking(one, healthy):
        _watch(one, run, now)
    return None if _watch(other, healthy, now) == alone else "what one monitor saw changes what another says"


def check_silent(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """Without a metric that it reads, or with one that is no finite number, it is silent and says which it lacks."""
    for absent in sorted(make().reads):
        for value in (None, math.nan, math.inf):
            monitor = make()
            values = {name: at for name, at in healthy[0].values.items() if not _matches(name, absent)}
            if value is not None:
                values |= {name: value for name in healthy[0].values if _matches(name, absent)}
            seen = Observation(step=0, values=values)
            if absent not in monitor.missing(seen):
                return f"it does not say that {absent} is missing where it is {value}"
            if monitor.observe(seen, now) is not None:
                return f"it rings without {absent}"
    return None


def check_forgets(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """A run that was rolled back is judged as if it had come the second way at once."""
    for run in _provoking(make(), healthy):
        middle = len(run) // 2
        monitor = make()
        _watch(monitor, run, now)
        if _watch(monitor, healthy[middle:], now) != _watch(make(), healthy, now)[middle:]:
            return f"after a roll-back to step {healthy[middle].step} it still goes by what came later"
    return None


def check_storable(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """An alarm names monitor, action, step and time, gives its reason and evidence, and survives JSON."""
    monitor = make()
    for run in _provoking(monitor, healthy):
        for seen, alarm in zip(run, _watch(make(), run, now), strict=True):
            if alarm is not None and (fault := _alarm_fault(monitor, seen, alarm, now)) is not None:
                return fault
    return None


def check_leaves_alone(make: Make, healthy: Sequence[Observation], now: datetime) -> str | None:
    """It changes no observation that it is shown."""
    for run in _provoking(make(), healthy):
        before = [seen.model_dump() for seen in run]
        _watch(make(), run, now)
        if [seen.model_dump() for seen in run] != before:
            return "it changed an observation that it was shown"
    return None


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "names itself": check_names,
        "passes a healthy run": check_calm,
        "stands alone": check_alone,
        "is deterministic": check_deterministic,
        "is silent without its metrics": check_silent,
        "forgets on roll-back": check_forgets,
        "rings in storable words": check_storable,
        "leaves observations alone": check_leaves_alone,
    }
)
"""The checks by the promise they test; what monitors share shows best before any of them was provoked."""


def _alarm_fault(monitor: Monitor, seen: Observation, alarm: Alarm, now: datetime) -> str | None:
    said = (alarm.monitor, alarm.action, alarm.step, alarm.created_at)
    if said != (monitor.name, monitor.action, seen.step, now):
        return f"its alarm says {said}"
    if not alarm.message or not alarm.evidence:
        return "its alarm gives no message or no evidence"
    numbers = {"value": alarm.value, "threshold": alarm.threshold, **alarm.evidence}
    odd = sorted(name for name, number in numbers.items() if not math.isfinite(number))
    if odd:
        return f"its alarm cannot be stored: {odd} are no finite numbers"
    return None if Alarm.model_validate_json(alarm.model_dump_json()).id == alarm.id else "its alarm changes in JSON"


def _provoking(monitor: Monitor, healthy: Sequence[Observation]) -> list[list[Observation]]:
    """The healthy run with each metric that the monitor may read driven off, up and down, over the later half."""
    read = sorted({name for seen in healthy for name in seen.values if any(_matches(name, r) for r in _names(monitor))})
    return [_driven(healthy, name, factor) for name in read for factor in (0.0, 30.0)]


def _driven(healthy: Sequence[Observation], driven: str, factor: float) -> list[Observation]:
    middle = len(healthy) // 2
    late = [
        seen.model_copy(
            update={"values": {**seen.values, driven: factor * abs(seen.values.get(driven, 1.0)) + factor / 30}}
        )
        for seen in healthy[middle:]
    ]
    return [*healthy[:middle], *late]


def _names(monitor: Monitor) -> frozenset[str]:
    """What it reads, and what it would do with, as `missing` says of an observation without values."""
    return monitor.reads | monitor.missing(Observation(step=0, values={}))


def _matches(name: str, read: str) -> bool:
    return name.startswith(read[:-1]) if read.endswith("*") else name == read


def _watch(monitor: Monitor, run: Sequence[Observation], now: datetime) -> list[Alarm | None]:
    return [monitor.observe(seen, now) for seen in run]
