"""Length drift monitor: ends a run whose completions grow or shrink beyond chance and beyond measure.

Both must hold: the mean length is many standard errors from the first observation's, and it changed by a large share.

Catches: the commonest hack, more words for the same content; and the collapse to a stock phrase.
Does not catch: any hack at equal length, or padding where the first completions filled the token limit already.
A run that rightly learns to say more rings too: length is a proxy of a proxy.
Source: Singhal et al., "A long way to go" (arXiv 2310.03716): 70 to 90 % of a PPO run's reward gain can be length.
False alarms: 0.8 % of 2,000 simulated clean runs of 12 checkpoints with 64 completions, 1.5 % over 24, lengths growing
by a tenth.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "length_drift"
MEAN_LENGTH = "completions/mean_length"
LENGTH_SD = "completions/length_sd"
COUNT = "completions/count"


class LengthDriftSettings(Value):
    """Settings of the length drift monitor."""

    largest_z: float = Field(default=4.5, gt=0)
    """Standard errors between the mean lengths, either way, from which a change is no chance."""
    largest_change: float = Field(default=0.35, gt=0)
    """Change of the mean length, as a share of the first, from which it matters."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


def length_drift(settings: LengthDriftSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, here = history[0].values, history[-1].values
        difference = here[MEAN_LENGTH] - start[MEAN_LENGTH]
        change = difference / max(start[MEAN_LENGTH], 1.0)
        # Equal lengths at the start have no spread; half a word stands in, so that no z is infinite.
        error = max(start[LENGTH_SD], 0.5) * math.sqrt(1 / max(start[COUNT], 1) + 1 / max(here[COUNT], 1))
        z = difference / error
        if abs(z) <= settings.largest_z or abs(change) <= settings.largest_change:
            return None
        message = f"completions are {change:+.0%} in length against the reference ({z:+.1f} standard errors)"
        evidence = {MEAN_LENGTH: here[MEAN_LENGTH], "reference": start[MEAN_LENGTH], "z": z}
        return Finding(message, change, math.copysign(settings.largest_change, change), evidence)

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({MEAN_LENGTH, LENGTH_SD, COUNT}), rule=rule)
