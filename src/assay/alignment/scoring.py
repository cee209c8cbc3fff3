"""Scoring: what the run's own rewards say of samples: the proxy that is optimised and the watch panel that is not.

Both are training-side signals: the watch panel never enters a loss, but it may stop a run, so it counts as training for
the firewall.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.rewards import RewardEnsemble, RewardScores, read_features


class TrainingRewards(NamedTuple):
    """The proxy reward, and a watch panel fitted on other people and prompts (None where data did not allow one)."""

    proxy: RewardEnsemble
    watch: RewardEnsemble | None


class ScoredSamples(NamedTuple):
    """Proxy scores and watch-panel rewards [m] of the same completions."""

    proxy: RewardScores
    watch: np.ndarray | None


def score_samples(
    lm: LanguageModel, rewards: TrainingRewards, prompts: Sequence[Prompt], completions: Sequence[str]
) -> ScoredSamples:
    """Score completions by proxy and watch panel from one reading of the features: both read the same layers."""
    watch = rewards.watch
    features = read_features(lm, prompts, completions, layers=rewards.proxy.layers)
    return ScoredSamples(rewards.proxy.score(features), None if watch is None else watch.score(features).reward)
