"""No gain monitor: ends a run that has left its reference and has nothing to show for it.

Distance is the price of optimisation. A run that pays it while even the reward that it optimises does not rise is a
random walk: each step takes the policy away from what people wrote and saw, towards nothing.

Catches: a learning rate too high for what the reward can tell apart; a reward that says nothing on these prompts.
Does not catch: a reward that rises for the wrong reason, which is what the other monitors are for; a gain that was lost
again before the policy had gone far.
Source: reward against sqrt(KL) rises from the start of any working run, by best-of-n and by gradients alike (Gao,
Schulman, Hilton, arXiv 2210.10760, equations 1 and 2).
False alarms: 7 of 2,000 simulated clean runs of 12 checkpoints with 64 completions, and 18 of 2,000 of 24, the reward
rising by 1.5 reference s.d. over 6 nats; a healthy run that gains more slowly rings more often. Of runs whose reward
stands still it finds 18 of 20: a start that was measured low makes later checkpoints look like gains.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "no_gain"
KL, PROXY, COUNT = "alignment/kl", "alignment/proxy_reward", "completions/count"


class NoGainSettings(Value):
    """Settings of the no gain monitor."""

    free_nats: float = Field(default=2.0, gt=0)
    """KL in nats a completion, beyond that of the start, up to which no gain is asked for."""
    z: float = Field(default=1.5, ge=0)
    """Standard errors by which the reward should have risen; its s.d. at the start counts as 1."""
    patience: int = Field(default=2, ge=1)
    """Checkpoints in a row without gain after which it rings."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for; it would go back to where the run began."""


def no_gain(settings: NoGainSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, recent = history[0], history[1:][-settings.patience :]
        spent = [seen.values[KL] - start.values[KL] for seen in recent]
        if len(recent) < settings.patience or min(spent) <= settings.free_nats:
            return None
        gains = [seen.values[PROXY] - start.values[PROXY] for seen in recent]
        wanted = settings.z * math.sqrt(2 / max(1.0, history[-1].values[COUNT]))
        if max(gains) >= wanted:
            return None
        message = (
            f"{spent[-1]:.1f} nats from the reference, and the reward has risen by {gains[-1]:+.2f} reference s.d."
        )
        return Finding(message, gains[-1], wanted, {"kl": spent[-1], "best_step": float(start.step)})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({KL, PROXY, COUNT}), rule=rule)
