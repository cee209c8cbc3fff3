"""Audit: whether the policy that was kept comes from before the alarms that asked to end its run.

Takes a policy version with its checkpoints and alarms; yields the alarms that were ignored. A run that nobody
watched is judged by replaying its checkpoints before monitors.

Does not catch: a run whose checkpoints were left out or measured falsely; the trail is as honest as who wrote it.
"""

from datetime import datetime
from typing import NamedTuple

from assay.monitors.watch import ENDING, MonitorBank
from assay.records.observation import Alarm
from assay.records.policy import PolicyVersion


class Audit(NamedTuple):
    """The alarms of a run, those of them that the kept policy ignores, and whether they come from a replay."""

    alarms: tuple[Alarm, ...]
    ignored: tuple[Alarm, ...]
    is_replayed: bool

    @property
    def is_clean(self) -> bool:
        """Whether the kept policy comes from before every alarm that asked to end the run."""
        return not self.ignored


def audit_policy(policy: PolicyVersion, bank: MonitorBank, *, now: datetime) -> Audit:
    """Judge the trail of a policy version. `bank` is fresh, and looks only where no monitor watched the run.

    An alarm is ignored when it asks to end the run and the kept checkpoint is the one that it rang at, or a later one.
    """
    is_replayed = not policy.monitors and bool(policy.checkpoints)
    alarms = policy.alarms
    if is_replayed:
        seen = [bank.observe(checkpoint.observation, now) for checkpoint in policy.checkpoints]
        alarms = (*policy.alarms, *(alarm for rung in seen for alarm in rung))
    ignored = tuple(alarm for alarm in alarms if alarm.action in ENDING and alarm.step <= policy.step)
    return Audit(alarms, ignored, is_replayed)
