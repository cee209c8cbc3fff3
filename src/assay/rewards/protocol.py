"""Protocol: what every reward offers, whatever it is made of: scores of texts with their spread, or one plain number.

A `RewardModel` scores `Texts`: prompts with completions, and the language model that reads them where states are asked
for. `reading` makes a `Reward` of one by giving it that language model, `scoring` a plain function for those who need
only the number. A `StoredReward` is a reward model that a reward version can hold: each kind has one form that is
written (`save`) and opened again (`assay.rewards.stored`).
"""

from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.reward import RewardKind
from assay.rewards.calibration import Calibrator
from assay.rewards.features import Features, read_features
from assay.rewards.scores import RewardScores

Score = Callable[[Sequence[Prompt], Sequence[str]], np.ndarray]
"""A reward as a function: prompts [n] and completions [n] to rewards [n]; higher is better."""


class Texts:
    """What is scored: n prompts with a completion each, and their features, read once for all who look at them."""

    def __init__(
        self,
        lm: LanguageModel,
        prompts: Sequence[Prompt],
        completions: Sequence[str],
        *,
        cache: Path | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self.prompts, self.completions = prompts, completions
        self._lm, self._cache, self._progress = lm, cache, progress
        self._read: dict[tuple[int, ...], Features] = {}

    def features(self, layers: tuple[int, ...]) -> Features:
        """Features of these layers of the language model, its adapters off."""
        if layers not in self._read:
            self._read[layers] = read_features(
                self._lm, self.prompts, self.completions, layers=layers, cache=self._cache, progress=self._progress
            )
        return self._read[layers]


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


@runtime_checkable
class RewardModel(Protocol):
    """A reward that says itself what it needs of the texts: their features, or nothing but the words."""

    def score_on(self, texts: Texts) -> RewardScores:
        """Scores of n completions."""
        ...


class StoredReward(RewardModel, Protocol):
    """A reward model as a reward version holds it, with the calibration of its margins."""

    @property
    def kind(self) -> RewardKind:
        """Which form it has."""
        ...

    @property
    def members(self) -> Sized:
        """The heads or weights that it is made of."""
        ...

    @property
    def aggregation(self) -> str:
        """How its members become one reward."""
        ...

    @property
    def calibrator(self) -> Calibrator:
        """How margins of this reward become probabilities."""
        ...

    def calibrated(self, calibrator: Calibrator) -> Self:
        """The same reward under another calibration."""
        ...

    def unshaped(self) -> Self:
        """The same reward before shaping: what margins and probabilities are taken from."""
        ...

    def with_aggregation(self, name: str) -> Self:
        """The same members under another aggregation, where members are estimates of one thing; else the same."""
        ...

    def save(self, directory: Path) -> None:
        """Write it into a directory."""
        ...


class _Reading(NamedTuple):
    model: RewardModel | FeatureModel
    lm: LanguageModel
    cache: Path | None
    progress: Callable[[int], object] | None

    def score_texts(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> RewardScores:
        texts = Texts(self.lm, prompts, completions, cache=self.cache, progress=self.progress)
        if isinstance(self.model, RewardModel):
            return self.model.score_on(texts)
        return self.model.score(texts.features(self.model.layers))


def reading(
    model: RewardModel | FeatureModel,
    lm: LanguageModel,
    *,
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> Reward:
    """A reward model as a reward on texts; features are kept in `cache`, a directory, where given."""
    return _Reading(model, lm, cache, progress)


def scoring(reward: Reward) -> Score:
    """A reward as a plain function that gives the one number that is optimised."""
    return lambda prompts, completions: reward.score_texts(prompts, completions).reward
