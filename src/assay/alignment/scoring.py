"""Scoring: what the run's own rewards say of samples: the proxy that is optimised and the watch panel that is not.

Both are training-side signals: the watch panel never enters a loss, but it may stop a run, so it counts as training for
the firewall.
"""

from typing import NamedTuple

import numpy as np

from assay.alignment.sampling import PolicySampler
from assay.lm import LanguageModel
from assay.rewards.protocol import RewardModel, Texts
from assay.rewards.scores import RewardScores


class TrainingRewards(NamedTuple):
    """The proxy reward, and a watch panel fitted on other people and prompts (None where data did not allow one)."""

    proxy: RewardModel
    watch: RewardModel | None


class ScoredSamples(NamedTuple):
    """Proxy scores and watch-panel rewards [m] of the same completions."""

    proxy: RewardScores
    watch: np.ndarray | None


class StepScorer:
    """Scores the policy's samples of a step by proxy and watch panel, once a step; layers that both read are read once.

    The method learns from `proxy`, the observer measures both.
    """

    def __init__(self, lm: LanguageModel, sampler: PolicySampler, rewards: TrainingRewards) -> None:
        self._lm, self._sampler, self._rewards = lm, sampler, rewards
        self._last: tuple[int, ScoredSamples] | None = None

    def at(self, step: int) -> ScoredSamples:
        """Scores of the samples that the policy gives before step `step`, in their order."""
        if self._last is None or self._last[0] != step:
            samples = self._sampler.at(step)
            prompts = [self._sampler.prompts[i] for i in samples.prompt_index]
            texts = Texts(self._lm, prompts, samples.texts)
            watch = self._rewards.watch
            scored = ScoredSamples(
                self._rewards.proxy.score_on(texts), None if watch is None else watch.score_on(texts).reward
            )
            self._last = (step, scored)
        return self._last[1]
