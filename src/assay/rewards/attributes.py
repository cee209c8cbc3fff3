"""Attributes: one reward head a named attribute (usefulness, honesty, detail, harmlessness), and how they add up.

Takes judgements whose `attributes` hold a choice a name; yields standardised attribute rewards and their weighted sum.
The weights are declared, or learnt: non-negative, by Bradley-Terry on the overall choices, on heads that have not seen
the prompts they are weighed on. One state is read once for all heads.

Catches: an overall reward that is one attribute in disguise (its weight says so), and a gain in one attribute bought
with another (their rewards stand side by side). Does not catch: attributes that annotators cannot tell apart; their
heads correlate (`correlation`), and the split of weight between them then means little.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.optimize import minimize

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import ConfigError, TrainingError, explain
from assay.records.judgement import Judgement
from assay.rewards.bradley_terry import Pairs, fit_head, loss_and_gradient
from assay.rewards.completion_rows import CompletionRows, choice_pairs, prompt_folds, standing
from assay.rewards.features import Features
from assay.rewards.heads import (
    HeadSettings,
    SharedHeads,
    open_heads,
    require_enough,
    save_heads,
    see,
    standardised,
)
from assay.rewards.scores import RewardScores, by_parts

ATTRIBUTES = ("usefulness", "honesty", "detail", "harmlessness")
WEIGHT_RIDGE = 1e-3


class AttributeSettings(HeadSettings):
    """Settings of attribute heads."""

    names: tuple[str, ...] = Field(default=ATTRIBUTES, min_length=1)
    """The attributes, named as in the judgements."""
    weights: dict[str, float] | None = None
    """Declared weight of each attribute; None learns them from the overall choices."""


class AttributeReward(NamedTuple):
    """Attribute heads and the weight [k] of each in the reward."""

    heads: SharedHeads
    weights: np.ndarray

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the backbone layers whose states are read."""
        return self.heads.layers

    def score(self, features: Features) -> RewardScores:
        """Weighted sum; `members` are the attribute rewards, `disagreement` how far they pull apart, no uncertainty."""
        parts = self.heads.score(features)
        return by_parts(parts @ self.weights, parts)

    def weighted(self, declared: Mapping[str, float]) -> "AttributeReward":
        """The same heads under declared weights; a name left out weighs nothing. Raises ConfigError for others."""
        return self._replace(weights=declared_weights(self.heads.names, declared))

    def save(self, directory: Path) -> None:
        """Write heads and weights into a directory."""
        save_heads(self.heads, directory, rest={"weights": self.weights.tolist()})

    @classmethod
    def open(cls, directory: Path) -> "AttributeReward":
        """Read what `save` wrote. Raises StorageError when the directory holds no heads."""
        heads, rest = open_heads(directory)
        return cls(heads, np.array(rest["weights"], dtype=float))


class AttributeQuality(NamedTuple):
    """One attribute: judged pairs, out-of-fold accuracy on decided pairs, and its weight in the reward."""

    attribute: str
    pairs: int
    accuracy: float
    weight: float


class FittedAttributes(NamedTuple):
    """The reward, what each attribute is worth, and the correlation [k, k] of the attribute rewards on the anchor."""

    reward: AttributeReward
    quality: tuple[AttributeQuality, ...]
    correlation: np.ndarray


def declared_weights(names: Sequence[str], declared: Mapping[str, float]) -> np.ndarray:
    """Weights [k] in the order of `names`. Raises ConfigError for a name that is no attribute, or no finite weight."""
    unknown = sorted(set(declared) - set(names))
    weights = np.array([float(declared.get(name, 0.0)) for name in names])
    if unknown or not np.isfinite(weights).all() or not weights.any():
        got = f"{unknown} among the names" if unknown else f"{dict(declared)}"
        expected = f"finite weights, not all zero, for {', '.join(names)}"
        raise ConfigError(explain(expected=expected, got=got, do="declare a weight for each attribute that counts"))
    return weights


def learn_weights(parts: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Non-negative weights [k] of attribute rewards [rows, k] that explain overall choices by Bradley-Terry.

    The reward is then in logits. A negative weight would pay for less of a good thing, so none is allowed.
    """
    solved = minimize(  # type: ignore[call-overload]  # the stubs do not know jac=True with a pair
        lambda weights: loss_and_gradient(weights, parts, pairs, ridge=WEIGHT_RIDGE, sum_to_zero=0.0),
        np.full(parts.shape[1], 1 / parts.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * parts.shape[1],
    )
    return np.asarray(solved.x)


def fit_attributes(
    lm: LanguageModel,
    judgements: Sequence[Judgement],
    settings: AttributeSettings,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> FittedAttributes:
    """Fit a head a name on judgements, and learn the weights on the overall choices unless they are declared.

    Raises TrainingError when an attribute, or where weights are learnt the overall choice, was judged too rarely;
    ConfigError for weights of names that are not there.
    """
    names, weights = settings.names, settings.weights
    rows = CompletionRows()
    held = standing(judgements)
    pairs = {name: choice_pairs(rows, [(j, j.attributes.get(name, "cannot_judge")) for j in held]) for name in names}
    overall = choice_pairs(rows, [(j, j.choice) for j in held])
    group = np.array(rows.group)
    for name in names:
        require_enough(f"judgements of {name!r}", pairs[name], group)
    if weights is None:
        require_enough("overall judgements to learn weights from", overall, group)
    else:
        declared_weights(names, weights)
    seen = see(lm, (rows.prompts, rows.completions), settings, reference=reference, cache=cache, progress=progress)
    theta = np.stack([_fit(seen.x, pairs[name], settings) for name in names], axis=1)
    heads = standardised(names, theta, seen)
    unseen = _out_of_fold(seen.x, pairs, group, settings, np.random.default_rng(seed)) / heads.scale
    learnt = learn_weights(unseen, overall) if weights is None else declared_weights(names, weights)
    quality = tuple(
        AttributeQuality(name, len(pairs[name].chosen), _accuracy(unseen[:, k], pairs[name]), float(learnt[k]))
        for k, name in enumerate(names)
    )
    correlation = np.atleast_2d(np.corrcoef(heads.score(seen.anchor), rowvar=False))
    return FittedAttributes(AttributeReward(heads, learnt), quality, correlation)


def _fit(x: np.ndarray, pairs: Pairs, settings: HeadSettings) -> np.ndarray:
    return fit_head(x, pairs, ridge=settings.ridge, sum_to_zero=settings.sum_to_zero)


def _out_of_fold(
    x: np.ndarray, pairs: Mapping[str, Pairs], group: np.ndarray, settings: HeadSettings, rng: np.random.Generator
) -> np.ndarray:
    """Raw attribute rewards [rows, k], each row's by heads that have seen no pair of its prompt."""
    fold = prompt_folds(group, folds=settings.folds, rng=rng)
    result = np.zeros((len(x), len(pairs)))
    for part in np.unique(fold):
        rows = np.flatnonzero(fold == part)
        for k, (name, those) in enumerate(pairs.items()):
            others = those.take(np.flatnonzero(fold[those.chosen] != part))
            if len(others.chosen) == 0:
                do = "collect it on more prompts"
                got = "all of them in one fold of the prompts"
                raise TrainingError(explain(expected=f"judgements of {name!r} spread over prompts", got=got, do=do))
            result[rows, k] = x[rows] @ _fit(x, others, settings)
    return result


def _accuracy(reward: np.ndarray, pairs: Pairs) -> float:
    """Share of decided pairs that the reward orders as the choice did; one half where none is decided."""
    is_decided = pairs.probability != 0.5
    agrees = (reward[pairs.chosen] > reward[pairs.rejected]) == (pairs.probability > 0.5)
    return float(agrees[is_decided].mean()) if is_decided.any() else 0.5
