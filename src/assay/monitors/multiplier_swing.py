"""Multiplier swing monitor: asks a person where a constraint's multiplier swings up and down instead of settling.

Reads every `constraints/<name>/oscillation`, the share of a multiplier's last moves that turned round, and the
multiplier itself over the last checkpoints. It rings where most moves turn round and the swing is large against the
multiplier's own mean: turning round alone is what sampling noise does to a multiplier that has settled.

Catches: gains that are too large for the noise or for the delay between a multiplier and its effect; the policy then
learns by turns to break the limit and to overpay for keeping it.
Does not catch: a slow wave, longer than the window; a swing in the cost under a multiplier that hardly moves.
Source: oscillation of Lagrangian methods and its damping in Stooke et al. 2020 (arXiv 2007.03964).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions and one constraint that binds.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "multiplier_swing"
CONSTRAINTS, OSCILLATION, MULTIPLIER = "constraints/", "/oscillation", "/multiplier"


class MultiplierSwingSettings(Value):
    """Settings of the multiplier swing monitor."""

    turns: float = Field(default=0.6, gt=0, le=1)
    """Share of the multiplier's last moves that turned round, from which it rings."""
    least_swing: float = Field(default=1.5, gt=0)
    """Range of the multiplier over the window, as a share of its mean there, from which turning round matters."""
    floor: float = Field(default=0.2, gt=0)
    """A mean below this counts as this: a multiplier that is nearly 0 prices nothing, however it flickers."""
    window: int = Field(default=6, ge=3)
    """Checkpoints over which range and mean are taken; it is silent before there are so many."""
    action: Action = "ask_a_person"
    """What the alarm asks for."""


def multiplier_swing(settings: MultiplierSwingSettings) -> RuleMonitor:
    """The monitor with these settings. It is silent in a run without constraints."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        found = [_swing(history, name, settings) for name in _constrained(history[-1])]
        return max((one for one in found if one is not None), key=lambda one: one.value, default=None)

    reads = frozenset({f"{CONSTRAINTS}*"})
    return RuleMonitor(name=NAME, action=settings.action, reads=reads, rule=rule)


def _swing(history: Sequence[Observation], name: str, settings: MultiplierSwingSettings) -> Finding | None:
    key = f"{CONSTRAINTS}{name}{MULTIPLIER}"
    seen = [value for one in history[-settings.window :] if math.isfinite(value := one.values.get(key, math.nan))]
    turns = history[-1].values.get(f"{CONSTRAINTS}{name}{OSCILLATION}", 0.0)
    if len(seen) < settings.window or not settings.turns <= turns <= 1:
        return None
    mean = sum(seen) / len(seen)
    swing = (max(seen) - min(seen)) / max(mean, settings.floor)
    if not settings.least_swing <= swing < math.inf:
        return None
    message = f"the multiplier of {name} swings by {swing:.0%} of its mean, and {turns:.0%} of its moves turned round"
    evidence = {key: seen[-1], "mean": mean, "lowest": min(seen), "highest": max(seen), "turns": turns}
    return Finding(message, swing, settings.least_swing, evidence)


def _constrained(observation: Observation) -> list[str]:
    """Names of what is constrained."""
    names = observation.values
    return sorted(
        name.removeprefix(CONSTRAINTS).removesuffix(MULTIPLIER)
        for name in names
        if name.startswith(CONSTRAINTS) and name.endswith(MULTIPLIER)
    )
