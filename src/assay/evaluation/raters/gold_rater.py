"""Gold rater: the programmatic gold as a rater, for the demo's simulated world. Takes a Gold, yields chances.

Catches: all that the gold's formula names (see `gold`). Does not catch: what the formula leaves out; and it knows the
demo's prompts only.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from assay.evaluation.gold import Gold
from assay.evaluation.statistics import Floats

SHARPNESS = 4.0
"""Logits a unit of gold: half a unit is a clear preference (0.88)."""


class GoldRater:
    """P(first better) = sigmoid(4 (gold_first - gold_second)). Raises InputError for prompts without a key."""

    name = "gold"
    catches: tuple[str, ...] = ("missing content", "padding", "flattery", "truncation", "repetition", "wrong refusals")
    does_not_catch: tuple[str, ...] = ("false statements around the right keywords", "rudeness")

    def __init__(self, gold: Gold) -> None:
        self._gold = gold
        self.identity = gold.identity

    def compare(self, prompts: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Floats:
        """Probability that `first` is better, shape [n]."""
        difference = self._gold.score(prompts, first) - self._gold.score(prompts, second)
        return np.asarray(expit(SHARPNESS * difference), dtype=np.float64)
