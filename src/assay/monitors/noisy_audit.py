"""Noisy audit monitor: ends a run that a small panel of people or judges, looking at a few items each time, sees lose.

At each checkpoint the panel says of a few prompts whether the policy's completion beats what it is held against: the
reference's, or sharper the one of an earlier checkpoint. The e-process of `sequential` bets that wins are rarer than
`least_win_rate`; it may be looked at after every item, and its level holds however long the run.

Catches: what people see and no reward does, hacks inside the support among them.
Does not catch: anything fast, for 24 votes a checkpoint are few; against the reference it only sees a policy that is
worse than at the start. The panel then counts as training: it can judge no release.
Source: betting e-values, Shafer, "Testing by betting" (2021), and Ramdas et al. (arXiv 2210.01948).
False alarms: at most `false_alarms` over a run of any length by Ville's inequality, where the policy wins at least at
`least_win_rate`; 0.1 % of 2,000 simulated clean runs of 12 checkpoints with 64 completions and 24 audited
items, the win rate rising from 50 to 65 %.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.monitors.sequential import log_win_rate_e_process
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "noisy_audit"
WINS, LOSSES = "audit/wins", "audit/losses"


class NoisyAuditSettings(Value):
    """Settings of the noisy audit monitor."""

    least_win_rate: float = Field(default=0.5, gt=0, lt=1)
    """Share of the decided items that a healthy policy wins at least."""
    false_alarms: float = Field(default=0.01, gt=0, lt=1)
    """The chance that a run which does ever rings."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


def noisy_audit(settings: NoisyAuditSettings) -> RuleMonitor:
    """The monitor with these settings. Ties are left out of wins and losses."""
    threshold = -math.log(settings.false_alarms)

    def rule(history: Sequence[Observation]) -> Finding | None:
        wins, losses = ([max(0, round(seen.values[name])) for seen in history] for name in (WINS, LOSSES))
        level = float(log_win_rate_e_process(wins, losses, least=settings.least_win_rate)[-1])
        if level < threshold:
            return None
        message = (
            f"the audit saw {wins[-1]} wins and {losses[-1]} losses here, {sum(wins)} and {sum(losses)} in all: "
            f"too few for a win rate of {settings.least_win_rate:g}"
        )
        evidence = {WINS: float(sum(wins)), LOSSES: float(sum(losses))}
        return Finding(message, level, threshold, evidence)

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({WINS, LOSSES}), rule=rule)
