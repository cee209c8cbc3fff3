"""Style drift monitor: ends a run whose completions take up, or drop, a named habit of style.

Every feature `style/<name>` (lists, bold, headings, exclamations, flattery, hedging, agreement, variety of words) is
tested against the first observation; Holm's correction keeps the level over all of them. The shift must also be large.

Catches: the named habits that people and rewards like without need; which one is in the message.
Does not catch: habits that nobody named (`lexical_contrast` looks for these), or a better choice of the same forms.
Sources: style as a confounder in RM-Bench (arXiv 2410.16184) and Singhal et al. (arXiv 2310.03716); Holm (1979).
False alarms: 0.2 % of 2,000 simulated clean runs of 12 checkpoints with 64 completions, 0.4 % over 24, lists going from
15 to 23 % and flattery from 2 to 5 % of completions.
"""

import math
from collections.abc import Mapping, Sequence

from pydantic import Field

from assay.monitors.effects import COUNT, MEAN_LENGTH, surface_shifts
from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "style_drift"


class StyleDriftSettings(Value):
    """Settings of the style drift monitor."""

    largest_shift: float = Field(default=1.0, gt=0)
    """Shift of a feature, in reference standard deviations (at least 0.3, as of a habit in a tenth), that matters."""
    significance: float = Field(default=1e-3, gt=0, lt=1)
    """Chance at a checkpoint that any feature seems to shift when none does."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


def style_drift(settings: StyleDriftSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        shifts = surface_shifts(history[0].values, history[-1].values)
        shifts.pop(MEAN_LENGTH, None)
        z = {name: shift.size / shift.total_error for name, shift in shifts.items()}
        sure = rejected_by_holm(
            {name: math.erfc(abs(at) / math.sqrt(2)) for name, at in z.items()}, settings.significance
        )
        large = [name for name in sure if abs(shifts[name].size) > settings.largest_shift]
        if not large:
            return None
        worst = max(large, key=lambda name: abs(shifts[name].size))
        start, here = history[0].values[worst], history[-1].values[worst]
        message = f"{worst} went from {start:.2f} to {here:.2f} ({z[worst]:+.1f} standard errors)"
        if len(large) > 1:
            message += f"; so did {', '.join(name for name in sorted(large) if name != worst)}"
        evidence = {name: shifts[name].size for name in sorted(large)}
        return Finding(message, abs(shifts[worst].size), settings.largest_shift, evidence)

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({"style/*", COUNT}), rule=rule)


def rejected_by_holm(p_values: Mapping[str, float], level: float) -> list[str]:
    """Names rejected at a familywise `level`: the k-th smallest of m p-values against level / (m - k + 1), in turn."""
    rejected: list[str] = []
    for name, p_value in sorted(p_values.items(), key=lambda item: item[1]):
        if p_value > level / (len(p_values) - len(rejected)):
            break
        rejected.append(name)
    return rejected
