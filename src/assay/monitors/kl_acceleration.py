"""KL acceleration monitor: speaks up when a run begins to leave its reference faster than it did so far.

It looks at sqrt(KL), which grows evenly while the policy moves evenly, and whose sampling error is sqrt(1/(2n))
whatever the distance, for a log-ratio has a variance of about twice its mean. `trend` holds the last two against the
line before.

Catches: a policy that has found a way to go, such as a token that pays every time; a learning rate that is too high.
Does not catch: a run that is fast from the start, or slow and wrong. A schedule that warms up rings as well, and is why
it is not among the default monitors.
Source: distance as sqrt(KL) after Gao, Schulman, Hilton (arXiv 2210.10760); abrupt turns in Pan et al., "The effects of
reward misspecification" (arXiv 2201.03544).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions, and of 24, KL growing evenly to 6
nats; not measured on schedules with a warm-up.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.monitors.trend import upward_break
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "kl_acceleration"
KL = "alignment/kl"
COUNT = "completions/count"


class KlAccelerationSettings(Value):
    """Settings of the KL acceleration monitor."""

    largest_ratio: float = Field(default=2.0, gt=1)
    """Recent speed over the earlier one, in sqrt(KL) a step, from which it rings."""
    z: float = Field(default=4.0, gt=0)
    """Standard errors above the earlier line from which a change is no chance."""
    action: Action = "raise_kl_coef"
    """What the alarm asks for."""


def kl_acceleration(settings: KlAccelerationSettings) -> RuleMonitor:
    """The monitor with these settings. It needs six observations."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        distances = [math.sqrt(max(0.0, seen.values[KL])) for seen in history]
        error = math.sqrt(1 / (2 * max(1.0, history[-1].values[COUNT])))
        found = upward_break([seen.step for seen in history], distances, error=error)
        if found is None or found.z <= settings.z or found.recent_slope <= settings.largest_ratio * found.earlier_slope:
            return None
        message = f"sqrt(KL) now grows by {found.recent_slope:.3g} a step, before by {found.earlier_slope:.3g}"
        return Finding(message, found.z, settings.z, found._asdict())

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({KL, COUNT}), rule=rule)
