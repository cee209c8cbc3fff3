"""Ceiling saturation monitor: speaks up when nearly all completions have the highest reward there is.

Catches: a bounded reward that is used up: what still changes after that is not paid for, and drifts; tests that pass
for every answer, which honest ones seldom do.
Does not catch: saturation below the bound, or a reward without one. Tasks that are simply learnt ring as well, so it
asks a person.
Source: saturation as a failure of verifiable rewards, as groups of equal reward give no gradient (DAPO, arXiv
2503.14476).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions, the share rising from 20 to 60 %.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "ceiling_saturation"
AT_CEILING = "rewards/at_ceiling"


class CeilingSaturationSettings(Value):
    """Settings of the ceiling saturation monitor."""

    largest_share: float = Field(default=0.95, gt=0, lt=1)
    """Share of completions at the reward's upper bound above which it rings."""
    action: Action = "ask_a_person"
    """What the alarm asks for."""


def ceiling_saturation(settings: CeilingSaturationSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, here = history[0].values[AT_CEILING], history[-1].values[AT_CEILING]
        if here <= settings.largest_share:
            return None
        message = f"{here:.0%} of completions have the highest reward there is, against {start:.0%} at the start"
        return Finding(message, here, settings.largest_share, {AT_CEILING: here, "reference": start})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({AT_CEILING}), rule=rule)
