"""Last state: a linear reward on the state of the last token behind the model's final norm, the backbone frozen.

Takes preferences, yields a head [width] without a constant: the one head that a transformers classifier can hold as it
is (`export`), and the start of fine-tuning (`finetune`). With `depth` below 1 the model is cut there: the final norm
follows the last layer that is kept, and scoring computes no layer above.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import Field

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import ModelError, explain
from assay.records.preference import Preference
from assay.records.record import Value
from assay.rewards.bradley_terry import fit_head
from assay.rewards.completion_rows import CompletionRows, preference_pairs
from assay.rewards.feature_maps import fit_map
from assay.rewards.features import Features, read_features
from assay.rewards.heads import require_enough
from assay.rewards.scores import RewardScores, by_parts


class LastStateSettings(Value):
    """Settings of a linear head on the last state."""

    depth: float = Field(default=1.0, gt=0, le=1)
    """Share of the layers that are kept."""
    directions: int = Field(default=64, ge=1)
    """Principal directions of the states on which the head may lie."""
    ridge: float = Field(default=0.02, gt=0)
    """Ridge penalty."""
    sum_to_zero: float = Field(default=0.01, ge=0)
    """Weight of the sum-to-zero term."""


class LastStateReward(NamedTuple):
    """A head [width] on the last token's state behind layer `layer` and the final norm; rewards are logits."""

    lm: LanguageModel
    head: np.ndarray
    layer: int
    cache: Path | None = None

    def score_texts(self, prompts: Sequence[Prompt], completions: Sequence[str]) -> RewardScores:
        """Rewards of n completions; one member, so no disagreement."""
        features = read_features(self.lm, prompts, completions, layers=(self.layer,), cache=self.cache)
        reward = final_norm(self.lm, features.last[:, 0]).astype(np.float64) @ self.head
        return by_parts(reward, reward[:, None])


def fit_last_state(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: LastStateSettings,
    *,
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> LastStateReward:
    """Fit the head by Bradley-Terry. Raises TrainingError for too few preferences, ModelError without a final norm."""
    rows = CompletionRows()
    pairs = preference_pairs(rows, preferences)
    count = lm.causal.config.num_hidden_layers
    layer = max(1, round(settings.depth * count))
    require_enough("preferences", pairs, np.array(rows.group))
    features = read_features(lm, rows.prompts, rows.completions, layers=(layer,), cache=cache, progress=progress)
    normed = final_norm(lm, features.last[:, 0])[:, None]
    behind = Features(normed, normed, features.surface)
    view = fit_map("last-high", behind, directions=settings.directions)
    theta = fit_head(view.apply(behind), pairs, ridge=settings.ridge, sum_to_zero=settings.sum_to_zero)
    return LastStateReward(lm, view.directions[0].T @ (theta / view.scale), layer, cache)


@torch.no_grad()
def final_norm(lm: LanguageModel, states: np.ndarray) -> np.ndarray:
    """States float32 [n, width] behind the model's final norm. Raises ModelError where there is none by that name."""
    norm = getattr(lm.body, "norm", None)
    if norm is None:
        do = "fine-tune the reward instead, or take a model of the Llama, Mistral, Qwen or Gemma family"
        got = f"none in {type(lm.causal).__name__}"
        raise ModelError(explain(expected="a final norm between states and head", got=got, do=do))
    return np.asarray(norm(torch.from_numpy(states).to(norm.weight.dtype)).float().numpy())
