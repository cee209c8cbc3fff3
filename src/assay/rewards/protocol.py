"""Protocol: what every reward offers, whatever it is made of: scores of texts with their spread, or one plain number.

Takes prompts with completions, yields `RewardScores`. `reading` turns any model on frozen features (an ensemble,
attribute heads, group heads, a cost model) into a `Reward` by giving it the language model that reads them; `scoring`
turns any `Reward` into a plain function for those who need only the number.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.rewards.ensemble import RewardScores
from assay.rewards.features import Features, read_features

Score = Callable[[Sequence[Prompt], Sequence[str]], np.ndarray]
"""A reward as a function: prompts [n] and completions [n] to rewards [n]; higher is better."""


class Reward(Protocol):
    """Anything that rewards texts."""

    def score_texts(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> RewardScores:
        """Scores of n completions, each to its own prompt."""
        ...


class FeatureModel(Protocol):
    """A reward that looks at frozen states of a language model; `layers` are those it needs, lowest first."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the backbone layers whose states are read."""
        ...

    def score(self, features: Features) -> RewardScores:
        """Scores of n completions by their features."""
        ...


class _Reading(NamedTuple):
    model: FeatureModel
    lm: LanguageModel
    cache: Path | None

    def score_texts(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> RewardScores:
        features = read_features(self.lm, prompts, completions, layers=self.model.layers, cache=self.cache)
        return self.model.score(features)


def reading(model: FeatureModel, lm: LanguageModel, *, cache: Path | None = None) -> Reward:
    """A reward on frozen features as a reward on texts; features are kept in `cache`, a directory, where given."""
    return _Reading(model, lm, cache)


def scoring(reward: Reward) -> Score:
    """A reward as a plain function that gives the one number that is optimised."""
    return lambda prompts, completions: reward.score_texts(prompts, completions).reward


def by_parts(reward: np.ndarray, parts: np.ndarray) -> RewardScores:
    """Scores of a reward [n] that is made of parts [n, k]; their s.d. stands as disagreement, nothing is an outlier."""
    return RewardScores(
        reward=reward, members=parts, disagreement=parts.std(1), outlier=np.zeros(len(reward), dtype=bool)
    )
