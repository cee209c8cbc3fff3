"""Scoring: what the run's own rewards say of samples: the proxy that is optimised and the watch panel that is not.

Both are training-side signals: the watch panel never enters a loss, but it may stop a run, so it counts as training for
the firewall.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from assay.alignment.faults import scorer_faults
from assay.alignment.sampling import PolicySampler
from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import ConfigError, explain
from assay.rewards.protocol import RewardModel, Score, Texts
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
            with scorer_faults("the reward", step):
                proxy = self._rewards.proxy.score_on(texts)
            with scorer_faults("the watch panel", step):
                scored = ScoredSamples(proxy, None if watch is None else watch.score_on(texts).reward)
            self._last = (step, scored)
        return self._last[1]


class StepCosts:
    """Scores the policy's samples of a step by named costs, each once a step. Higher costs more.

    Raises ConfigError for a name that is not among them.
    """

    def __init__(self, sampler: PolicySampler, costs: Mapping[str, Score]) -> None:
        self._sampler, self._costs = sampler, {"words": words, **costs}
        self._last: dict[str, tuple[int, np.ndarray]] = {}

    def at(self, name: str, step: int) -> np.ndarray:
        """A cost [m] of the samples that the policy gives before step `step`, in their order."""
        if name not in self._costs:
            do = f"name one of {', '.join(sorted(self._costs))}, or kl or reward"
            raise ConfigError(explain(expected="a constraint on something that is measured", got=repr(name), do=do))
        if name not in self._last or self._last[name][0] != step:
            samples = self._sampler.at(step)
            prompts = [self._sampler.prompts[i] for i in samples.prompt_index]
            with scorer_faults(f"the cost {name}", step):
                self._last[name] = (step, self._costs[name](prompts, samples.texts))
        return self._last[name][1]


def words(prompts: Sequence[Prompt], completions: Sequence[str]) -> np.ndarray:
    """Words of each completion, split at white space [n]."""
    return np.array([len(text.split()) for text in completions], dtype=np.float64)
