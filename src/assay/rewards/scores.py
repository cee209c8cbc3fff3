"""Scores: what any reward says of completions: one number each, the parts it is made of, their spread, outliers."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class RewardScores(NamedTuple):
    """Scores of n completions: aggregated `reward` [n], `members` [n, k], s.d. `disagreement` [n], `outlier` [n].

    `are_estimates` says whether members estimate one thing, so that their spread is uncertainty; `knows_outliers`
    whether anything looked for outliers. `ceiling` is the highest reward there is, None without a bound that can be
    reached. `components` are the contributions [n] of named parts, where the reward is made of such.
    """

    reward: np.ndarray
    members: np.ndarray
    disagreement: np.ndarray
    outlier: np.ndarray
    are_estimates: bool = True
    knows_outliers: bool = True
    ceiling: float | None = None
    components: Mapping[str, np.ndarray] | None = None

    @property
    def at_ceiling(self) -> float | None:
        """Share of completions with the highest reward there is; None without a ceiling."""
        if self.ceiling is None:
            return None
        return float(np.mean(self.reward >= self.ceiling - 1e-9 * max(1.0, abs(self.ceiling))))


def by_parts(reward: np.ndarray, parts: np.ndarray, *, ceiling: float | None = None) -> RewardScores:
    """Scores of a reward [n] that is made of parts [n, k]: they are no estimates, and nobody looked for outliers."""
    nothing = np.zeros(len(reward), dtype=bool)
    return RewardScores(reward, parts, parts.std(1), nothing, False, False, ceiling)
