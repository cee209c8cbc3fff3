"""Training: fits a reward ensemble to preferences and reports what it is worth on pairs it has not seen.

Pairs are split by prompt into a fitting fold and a calibration fold; each member sees a bootstrap of the fitting fold
(whole prompts are drawn, pairs of one prompt are not independent) through its own feature map.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field, field_validator

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import TrainingError, explain
from assay.records.preference import Preference
from assay.records.record import Value
from assay.records.reward import RewardQuality
from assay.rewards.aggregation import AGGREGATIONS
from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.calibration import fit_temperature, quality_report
from assay.rewards.ensemble import Member, RewardEnsemble
from assay.rewards.feature_maps import FEATURE_MAPS, fit_map, is_map
from assay.rewards.features import Features, read_features
from assay.rewards.outliers import fit_outliers


class RewardSettings(Value):
    """Settings of a reward ensemble."""

    feature_maps: tuple[str, ...] = ("mean-low+surface", "last-low", "mean-high", "last-high", "mean-last+surface")
    """One feature map a member; their number is the number of members. `+surface` adds the text's surface (length,
    lists, marks): members with and without it disagree where only the surface speaks for a completion."""
    layers: tuple[float, float] = (0.3, 0.5)
    """Depth of the lower and higher layer whose states are read, as shares of the backbone's depth."""
    directions: int = Field(default=24, ge=1)
    """Principal directions that each block of states keeps."""
    ridge: float = Field(default=0.02, gt=0)
    """Ridge penalty of each head."""
    sum_to_zero: float = Field(default=0.01, ge=0)
    """Weight of the sum-to-zero term."""
    aggregation: str = "uwo"
    """How members become one reward: single, mean, wco, uwo or entropic."""
    calibration_share: float = Field(default=0.25, gt=0, lt=1)
    """Share of prompts held out of the fit for temperature and quality."""

    @field_validator("feature_maps")
    @classmethod
    def _maps_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(name for name in value if not is_map(name))
        if unknown or not value:
            raise ValueError(f"expected names among {sorted(FEATURE_MAPS)}, or with +surface; got {unknown or 'none'}")
        return value

    @field_validator("aggregation")
    @classmethod
    def _aggregation_exists(cls, value: str) -> str:
        if value not in AGGREGATIONS:
            raise ValueError(f"expected one of {sorted(AGGREGATIONS)}; got {value!r}")
        return value


class TrainedReward(NamedTuple):
    """A fitted ensemble, its held-out quality, each member's held-out accuracy, and how many pairs fitted it."""

    ensemble: RewardEnsemble
    quality: RewardQuality
    member_accuracy: tuple[float, ...]
    fitted_pairs: int


class _Table(NamedTuple):
    prompts: list[Prompt]
    completions: list[str]
    pairs: Pairs
    group: np.ndarray


def train_reward(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: RewardSettings,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> TrainedReward:
    """Fit an ensemble on preferences. `reference` completions (default: those judged) set scale and outlier model.

    Raises TrainingError when there are fewer than eight preferences or fewer than four prompts.
    """
    table = _tabulate(preferences)
    groups = np.unique(table.group)
    if len(preferences) < 8 or len(groups) < 4:
        do = "collect more judgements, on more prompts"
        got = f"{len(preferences)} on {len(groups)}"
        raise TrainingError(explain(expected="at least 8 preferences on 4 prompts", got=got, do=do))
    depth = lm.causal.config.num_hidden_layers
    layers = tuple(max(1, min(depth, round(share * depth))) for share in settings.layers)
    features = read_features(lm, table.prompts, table.completions, layers=layers, cache=cache, progress=progress)
    anchor = features
    if reference:
        prompts, texts = zip(*reference, strict=True)
        anchor = read_features(lm, prompts, texts, layers=layers, cache=cache)
    rng = np.random.default_rng(seed)
    held_out = rng.permutation(groups)[: max(1, round(settings.calibration_share * len(groups)))]
    is_fitted = ~np.isin(table.group, held_out)
    fitted, calibration = table.pairs.take(np.flatnonzero(is_fitted)), table.pairs.take(np.flatnonzero(~is_fitted))
    seen = features.take(np.unique(np.concatenate([fitted.chosen, fitted.rejected])))
    members = tuple(
        _fit_member(name, features, seen, anchor, fitted, table.group[is_fitted], settings, rng)
        for name in settings.feature_maps
    )
    ensemble = RewardEnsemble(members, settings.aggregation, 1.0, fit_outliers(anchor), layers)
    return _calibrated(ensemble, features, calibration, table.completions, fitted_pairs=int(is_fitted.sum()))


def _fit_member(
    name: str,
    features: Features,
    seen: Features,
    anchor: Features,
    pairs: Pairs,
    group: np.ndarray,
    settings: RewardSettings,
    rng: np.random.Generator,
) -> Member:
    view = fit_map(name, seen, directions=settings.directions)
    groups = np.unique(group)
    rows = [np.flatnonzero(group == g) for g in rng.choice(groups, size=len(groups))]
    sample = pairs.take(np.concatenate(rows))
    theta = fit_head(view.apply(features), sample, ridge=settings.ridge, sum_to_zero=settings.sum_to_zero)
    raw = view.apply(anchor) @ theta
    return Member(view, theta, float(raw.mean()), float(raw.std()) or 1.0)


def _calibrated(
    ensemble: RewardEnsemble, features: Features, pairs: Pairs, completions: Sequence[str], *, fitted_pairs: int
) -> TrainedReward:
    scores = ensemble.score(features)
    margins = scores.reward[pairs.chosen] - scores.reward[pairs.rejected]
    by_member = scores.members[pairs.chosen] > scores.members[pairs.rejected]
    temperature = fit_temperature(margins, pairs.probability)
    rows = np.unique(np.concatenate([pairs.chosen, pairs.rejected]))
    lengths = np.array([len(completions[i]) for i in rows], dtype=np.float64)
    quality = quality_report(
        margins, pairs.probability, temperature=temperature, rewards=scores.reward[rows], lengths=lengths
    )
    accuracy = tuple(float(a) for a in by_member.mean(0))
    return TrainedReward(ensemble._replace(temperature=temperature), quality, accuracy, fitted_pairs)


def _tabulate(preferences: Sequence[Preference]) -> _Table:
    """Each distinct (prompt, completion) once, with pairs pointing at rows and a group number a prompt."""
    rows: dict[tuple[str, str], int] = {}
    groups: dict[str, int] = {}
    prompts: list[Prompt] = []
    completions: list[str] = []

    def row(preference: Preference, completion: str) -> int:
        key = (preference.prompt_id, completion)
        if key not in rows:
            rows[key] = len(rows)
            prompts.append(preference.prompt)
            completions.append(completion)
        return rows[key]

    chosen = np.array([row(p, p.chosen) for p in preferences], dtype=int)
    rejected = np.array([row(p, p.rejected) for p in preferences], dtype=int)
    probability = np.array([p.probability for p in preferences])
    weight = np.array([p.weight for p in preferences])
    group = np.array([groups.setdefault(p.prompt_id, len(groups)) for p in preferences], dtype=int)
    return _Table(prompts, completions, Pairs(chosen, rejected, probability, weight), group)
