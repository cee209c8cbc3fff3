"""Disagreement monitor: ends a run whose completions the reward's own members no longer judge alike.

Catches: moves to where the members were not held together by data, whatever the feature.
Does not catch: an error that all members share, such as a liking for length learnt from the same people.
Source: Coste et al., "Reward model ensembles help mitigate overoptimization" (arXiv 2310.02743): members' variance
grows to 2.5 to 3 times under optimisation of their mean, by about a fifth under the conservative UWO.
False alarms: 0.3 % of 2,000 simulated clean runs of 12 checkpoints with 64 completions, disagreement growing
by a fifth.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "disagreement"
DISAGREEMENT = "rewards/disagreement"
SMALLEST = 1e-9
"""A reference disagreement below this is none: rewards are in standard deviations, so it is a rounding error."""


class DisagreementSettings(Value):
    """Settings of the disagreement monitor."""

    largest_ratio: float = Field(default=1.6, gt=1)
    """Mean disagreement over that of the first observation, from which it rings."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


def disagreement(settings: DisagreementSettings) -> RuleMonitor:
    """The monitor with these settings. It is silent where the reference's disagreement is zero: one member has none."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, here = history[0].values[DISAGREEMENT], history[-1].values[DISAGREEMENT]
        if start < SMALLEST or here / start <= settings.largest_ratio:
            return None
        ratio = here / start
        message = f"the reward's members disagree {ratio:.2f} times as much as on the reference's completions"
        return Finding(message, ratio, settings.largest_ratio, {DISAGREEMENT: here, "reference": start})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({DISAGREEMENT}), rule=rule)
