"""Entropy collapse monitor: ends a run whose policy hardly draws its words by chance any more.

Catches: the collapse to one stock text, which ends exploration and often is a hack found and kept.
Does not catch: hacks of a policy that still varies; a policy that was narrow from the start. Learning to be sure lowers
entropy as well, by a third in many healthy runs, so the bound is far below.
Source: entropy as a sign of collapse in reinforcement learning, as in Cui et al., "The entropy mechanism of
reinforcement learning for reasoning language models" (arXiv 2505.22617).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions, entropy falling by a quarter.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "entropy_collapse"
ENTROPY = "alignment/entropy"
SMALLEST = 1e-3
"""A reference with less entropy a token, in nats, says nothing of a collapse: it had none to lose."""


class EntropyCollapseSettings(Value):
    """Settings of the entropy collapse monitor."""

    least_share: float = Field(default=0.4, gt=0, lt=1)
    """Share of the first observation's entropy a token below which it rings."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


def entropy_collapse(settings: EntropyCollapseSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, here = history[0].values[ENTROPY], history[-1].values[ENTROPY]
        if start < SMALLEST or here >= settings.least_share * start:
            return None
        message = f"entropy fell to {here:.2f} nats a token, {here / start:.0%} of the reference's"
        return Finding(message, here / start, settings.least_share, {ENTROPY: here, "reference": start})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({ENTROPY}), rule=rule)
