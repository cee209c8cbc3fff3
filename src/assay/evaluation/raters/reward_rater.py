"""Reward rater: a held-out reward as a rater. Takes any scorer of (prompt, completion), yields Bradley-Terry chances.

Catches: what its preferences taught it, quality that no rule can name among it.
Does not catch: the errors of its kind. A reward with the same backbone as the training reward tends to err alike, so it
must be fitted on other people's judgements, and the firewall reports a shared backbone.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from assay.evaluation.statistics import Floats
from assay.records.conversation import user_prompt
from assay.records.identity import ScorerIdentity


class Scorer(Protocol):
    """Anything that scores completions and has an identity: a reward ensemble, a single reward, the gold."""

    @property
    def identity(self) -> ScorerIdentity:
        """Identity by content, for the firewall."""

    def score(self, prompts: Sequence[Any], completions: Sequence[str]) -> NDArray[np.floating]:
        """One score a pair, shape [n]."""


class RewardRater:
    """A scorer as a rater: P(first better) = sigmoid((s_first - s_second) / temperature).

    `as_prompt` turns a prompt text into what the scorer takes: a conversation of one message, unless told otherwise.
    `name` also names its metrics; governance takes no metric that speaks of a reward, hence the default.
    """

    catches: tuple[str, ...] = ("whatever its held-out preferences taught it",)
    does_not_catch: tuple[str, ...] = ("errors shared with a training reward on the same backbone", "false statements")

    def __init__(
        self,
        scorer: Scorer,
        *,
        name: str = "held-out preferences",
        temperature: float = 1.0,
        as_prompt: Callable[[str], Any] = user_prompt,
    ) -> None:
        self.name = name
        self.identity = scorer.identity.model_copy(update={"name": name})
        self._scorer, self._temperature, self._as_prompt = scorer, temperature, as_prompt

    def compare(self, prompts: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Floats:
        """Probability that `first` is better, shape [n]."""
        asked = [self._as_prompt(prompt) for prompt in prompts]
        difference = self._scorer.score(asked, first) - self._scorer.score(asked, second)
        return np.asarray(expit(np.asarray(difference, dtype=np.float64) / self._temperature), dtype=np.float64)
