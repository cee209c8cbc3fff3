"""KL budget monitor: ends a run that has moved further from its reference than it was allowed to.

Catches: a run that goes on too long or with too weak a penalty, whatever it exploits.
Does not catch: hacks that cost little KL; and it ends healthy long runs too. No one budget suits two runs (the best one
differs by a factor of ten between clean and biased data), so it is the last line and not the first.
Source: Gao, Schulman, Hilton, "Scaling laws for reward model overoptimization" (arXiv 2210.10760): gold falls again
beyond a distance sqrt(KL) that depends on the data.
False alarms: none on a clean run by construction while its true KL stays below the budget less its sampling error.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "kl_budget"
KL = "alignment/kl"


class KlBudgetSettings(Value):
    """Settings of the KL budget monitor."""

    budget_nats: float = Field(default=15.0, gt=0)
    """KL to the reference, in nats a completion, that a run may spend."""
    action: Action = "stop"
    """What the alarm asks for."""


def kl_budget(settings: KlBudgetSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        kl = history[-1].values[KL]
        if kl <= settings.budget_nats:
            return None
        message = f"KL to the reference is {kl:.1f} nats, above the budget of {settings.budget_nats:g}"
        return Finding(message, kl, settings.budget_nats, {KL: kl})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({KL}), rule=rule)
