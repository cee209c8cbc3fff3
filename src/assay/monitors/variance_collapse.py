"""Variance collapse monitor: ends a run whose completions of one prompt all get the same reward.

Catches: groups without contrast, in which a method that compares within groups learns from noise alone: a policy that
says one thing, or a reward that no longer tells its samples apart.
Does not catch: a hack that keeps the samples apart; prompts that were without contrast from the start.
Source: zero-variance groups in GRPO, filtered by DAPO (arXiv 2503.14476).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions, the spread shrinking by a fifth.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "variance_collapse"
WITHIN_GROUP_SD = "rewards/within_group_sd"
SMALLEST = 1e-9


class VarianceCollapseSettings(Value):
    """Settings of the variance collapse monitor."""

    least_share: float = Field(default=0.3, gt=0, lt=1)
    """Share of the first observation's spread within prompts below which it rings."""
    action: Action = "stop"
    """What the alarm asks for."""


def variance_collapse(settings: VarianceCollapseSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, here = history[0].values[WITHIN_GROUP_SD], history[-1].values[WITHIN_GROUP_SD]
        if start < SMALLEST or here >= settings.least_share * start:
            return None
        message = f"rewards of one prompt's completions spread by {here:.3g}, {here / start:.0%} of the reference's"
        return Finding(message, here / start, settings.least_share, {WITHIN_GROUP_SD: here, "reference": start})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({WITHIN_GROUP_SD}), rule=rule)
