"""Repetition monitor: ends a run whose completions begin to say the same words again and again.

Catches: loops and stuffed phrases within a completion, the usual end of a run that went on too long.
Does not catch: the same completion for every prompt (nothing repeats within one), or repetition in other words.
Source: n-gram repetition as in Welleck et al., "Neural text generation with unlikelihood training" (arXiv 1908.04319).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions that repeat 6 % of their 3-grams.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "repetition"
REPETITION = "completions/repetition"


class RepetitionSettings(Value):
    """Settings of the repetition monitor."""

    largest_rise: float = Field(default=0.1, gt=0, lt=1)
    """Rise of the mean share of repeated 3-grams above the first observation's, from which it rings."""
    action: Action = "roll_back_to_checkpoint"
    """What the alarm asks for."""


def repetition_monitor(settings: RepetitionSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        start, here = history[0].values[REPETITION], history[-1].values[REPETITION]
        if here - start <= settings.largest_rise:
            return None
        message = f"{here:.0%} of 3-grams are repeats, against {start:.0%} in the reference's completions"
        return Finding(message, here - start, settings.largest_rise, {REPETITION: here, "reference": start})

    return RuleMonitor(name=NAME, action=settings.action, reads=frozenset({REPETITION}), rule=rule)
