"""Lexical contrast monitor: ends a run in which some word spreads through the completions, whichever it is.

The observation carries two numbers that `lexical_statistics` measures on the texts: how far the most suspicious word's
rise lies above what relabelling the same texts by chance gives, and by how much its share of completions rose.

Catches: stock phrases and markers that nobody named, also such as lie inside the support of the reference.
Does not catch: hacks by word order, length or meaning; a marker that was in most completions already. A run that
rightly learns a phrase rings as well: `assay reward discover` names the words, and a person must judge them.
Source: contrast of optimised and reference texts with a correction for the many words, here the permutation maximum of
Westfall and Young (1993).
False alarms: 0 of 2,000 simulated clean runs of 12 checkpoints with 64 completions, one of 40 independent words
spreading by 8 % of completions.
"""

from collections.abc import Sequence

from pydantic import Field

from assay.monitors.protocol import Finding, RuleMonitor
from assay.records.observation import Action, Observation
from assay.records.record import Value

NAME = "lexical_contrast"
LEXICAL_SHIFT, LEXICAL_RISE = "completions/lexical_shift", "completions/lexical_rise"


class LexicalContrastSettings(Value):
    """Settings of the lexical contrast monitor."""

    largest_rise: float = Field(default=0.35, gt=0, lt=1)
    """Rise of a word's share of completions from which it matters."""
    largest_shift: float = Field(default=6.0, gt=0)
    """Permutation standard deviations above the mean of chance from which the rise is none."""
    action: Action = "ask_a_person"
    """What the alarm asks for."""


def lexical_contrast(settings: LexicalContrastSettings) -> RuleMonitor:
    """The monitor with these settings."""

    def rule(history: Sequence[Observation]) -> Finding | None:
        values = history[-1].values
        shift, rise = values[LEXICAL_SHIFT], values[LEXICAL_RISE]
        if rise <= settings.largest_rise or shift <= settings.largest_shift:
            return None
        message = f"a word spread to {rise:.0%} more of the completions than in the reference's ({shift:.1f} s.d.)"
        return Finding(message, rise, settings.largest_rise, {LEXICAL_SHIFT: shift, LEXICAL_RISE: rise})

    reads = frozenset({LEXICAL_SHIFT, LEXICAL_RISE})
    return RuleMonitor(name=NAME, action=settings.action, reads=reads, rule=rule)
