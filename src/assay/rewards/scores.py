"""Scores: what any reward says of completions: one number each, the parts it is made of, their spread, outliers."""

from typing import NamedTuple

import numpy as np


class RewardScores(NamedTuple):
    """Scores of n completions: aggregated `reward` [n], `members` [n, k], s.d. `disagreement` [n], `outlier` [n]."""

    reward: np.ndarray
    members: np.ndarray
    disagreement: np.ndarray
    outlier: np.ndarray


def by_parts(reward: np.ndarray, parts: np.ndarray) -> RewardScores:
    """Scores of a reward [n] that is made of parts [n, k]; their s.d. stands as disagreement, nothing is an outlier."""
    return RewardScores(
        reward=reward, members=parts, disagreement=parts.std(1), outlier=np.zeros(len(reward), dtype=bool)
    )
