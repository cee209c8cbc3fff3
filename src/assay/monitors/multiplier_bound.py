"""Multiplier bound monitor: asks a person where a constraint's multiplier lies at its bound and the limit stays broken.

Reads every `constraints/<name>/at_bound`, the updates in a row at which a multiplier was held at its bound while its
constraint was violated. From then on the run has no more to answer with: it is not constrained, whatever it was told.

Catches: a limit that this policy cannot keep, a biased cost (the multiplier then teaches refusal), a bound that is too
low for the reward's scale.
Does not catch: a cost that measures the wrong thing and is kept; a limit that is broken by a little for ever without
the multiplier rising, as with no integral gain.
Source: a multiplier pinned at its maximum with a refusing policy is the failure reported of safe RLHF (Dai et al. 2023,
arXiv 2310.12773), whose code bounds it at 5.
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions and one constraint that binds.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "multiplier_bound"
CONSTRAINTS, AT_BOUND = "constraints/", "/at_bound"


class MultiplierBoundSettings(Value):
    """Settings of the multiplier bound monitor."""

    updates: int = Field(default=3, ge=1)
    """Updates in a row at the bound, with the limit broken, from which it rings."""
    action: Action = "ask_a_person"
    """What the alarm asks for."""


def multiplier_bound(settings: MultiplierBoundSettings) -> RuleMonitor:
    """The monitor with these settings. It is silent in a run without constraints."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        here = history[-1].values
        known = {name: value for name, value in here.items() if name.startswith(CONSTRAINTS) and math.isfinite(value)}
        held = {name: value for name, value in known.items() if name.endswith(AT_BOUND)}
        worst = max(held, key=lambda name: held[name], default="")
        if not worst or held[worst] < settings.updates:
            return None
        what = worst.removeprefix(CONSTRAINTS).removesuffix(AT_BOUND)
        message = f"the multiplier of {what} lies at its bound for {held[worst]:.0f} updates, and the limit is broken"
        evidence = {name: value for name, value in known.items() if name.startswith(f"{CONSTRAINTS}{what}/")}
        return Finding(message, held[worst], settings.updates, evidence)

    reads = frozenset({f"{CONSTRAINTS}*"})
    return RuleMonitor(name=NAME, action=settings.action, reads=reads, rule=rule)
