"""Audit: whether the policy that was kept comes from before the alarms that asked to end its run.

Takes the trail of a run, or a policy version with its own; yields the alarms that were ignored. A run that nobody
watched is judged by replaying its checkpoints before monitors. A run that goes on is judged by its last checkpoint.

Does not catch: a run whose checkpoints were left out or measured falsely; the trail is as honest as who wrote it. A
monitor that was silent throughout, for lack of a metric, is named: its silence says nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from assay.monitors.trail import RunTrail, trail_of_policy
from assay.monitors.watch import ENDING, MonitorBank
from assay.records.observation import Alarm, Observation
from assay.records.policy import PolicyVersion


class Audit(NamedTuple):
    """The alarms of a run, those of them that the kept policy ignores, and whether they come from a replay.

    `step` is the checkpoint that was judged. `silent` names the monitors that could not judge a single checkpoint,
    with the metrics they missed.
    """

    alarms: tuple[Alarm, ...]
    ignored: tuple[Alarm, ...]
    is_replayed: bool
    step: int = 0
    silent: Mapping[str, frozenset[str]] = MappingProxyType({})
    is_blind: bool = False
    """Whether checkpoints are there and no monitor could judge any: such an audit finds nothing, whatever happened."""

    @property
    def is_clean(self) -> bool:
        """Whether somebody looked, and the kept policy comes from before every alarm that asked to end the run."""
        return not self.ignored and not self.is_blind


def audit_policy(policy: PolicyVersion, bank: MonitorBank, *, now: datetime) -> Audit:
    """Judge the trail of a policy version, as `audit_run` does."""
    return audit_run(trail_of_policy(policy), bank, now=now)


def audit_run(trail: RunTrail, bank: MonitorBank, *, now: datetime, step: int | None = None) -> Audit:
    """Judge a run by the checkpoint of `step`; by the one that was kept, or the last, where None.

    `bank` is fresh, and looks only where no monitor watched the run. An alarm is ignored when it asks to end the run
    and the judged checkpoint is the one that it rang at, or a later one.
    """
    is_replayed = not trail.monitors and bool(trail.observations)
    alarms = trail.alarms
    if is_replayed:
        seen = [bank.observe(observation, now) for observation in trail.observations]
        alarms = (*alarms, *(alarm for rung in seen for alarm in rung))
    if step is None:
        step = trail.kept_step
    if step is None:
        step = max((observation.step for observation in trail.observations), default=0)
    looking = bank.names if is_replayed else trail.monitors
    silent = {name: missed for name, missed in _silent(bank, trail.observations).items() if name in looking}
    ignored = tuple(alarm for alarm in alarms if alarm.action in ENDING and alarm.step <= step)
    is_blind = bool(trail.observations) and not alarms and len(silent) == len(looking)
    return Audit(alarms, ignored, is_replayed, step, silent, is_blind)


def _silent(bank: MonitorBank, observations: Sequence[Observation]) -> dict[str, frozenset[str]]:
    """Monitors that lack a metric in every observation, with all that they lacked."""
    missed = [bank.silent(observation) for observation in observations]
    names = set.intersection(*(set(each) for each in missed)) if missed else set()
    return {name: frozenset().union(*(each[name] for each in missed)) for name in sorted(names)}
