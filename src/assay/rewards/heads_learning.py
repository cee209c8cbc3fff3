"""Heads learning: fits attribute heads, group heads or a cost on part of the prompts, and judges them on the rest.

Takes preferences and the judgements behind them; yields calibrated heads with their quality as rewards: accuracy, NLL
and ECE of the combined reward against people's preferences (a cost's against people's labels), and each head's accuracy
on what it speaks of.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import TrainingError, explain
from assay.records.judgement import Judgement
from assay.records.preference import Preference
from assay.records.reward import RewardPart, RewardQuality
from assay.rewards.attributes import AttributeReward, fit_attributes
from assay.rewards.bradley_terry import Pairs
from assay.rewards.calibrated_heads import CalibratedHeads
from assay.rewards.calibration import Calibrator, brier, expected_calibration_error, fit_temperature, quality_report
from assay.rewards.calibration import reliability as reliability_bins
from assay.rewards.completion_rows import CompletionRows, preference_pairs, standing
from assay.rewards.cost import CostSettings, FittedCost, Labelled, fit_cost
from assay.rewards.cost_labels import violation_labels
from assay.rewards.groups import fit_group_views, group_views
from assay.rewards.heads import LEAST_PAIRS, LEAST_PROMPTS
from assay.rewards.kinds import RewardChoice
from assay.rewards.protocol import reading
from assay.rewards.scores import RewardScores

Progress = Callable[[int], object]


class Heads(NamedTuple):
    """Calibrated heads, what they are worth, each by name, and what they were fitted on."""

    reward: CalibratedHeads
    quality: RewardQuality
    parts: tuple[RewardPart, ...]
    fitted: int
    rows: tuple[str, ...]
    calibration_prompts: tuple[str, ...] | None
    notes: tuple[str, ...] = ()


class _Folds(NamedTuple):
    fitted: list[Preference]
    held_out: list[Preference]
    prompts: tuple[str, ...]


def learn_attributes(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    judgements: Sequence[Judgement],
    choice: RewardChoice,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Heads:
    """A head an attribute, on people's choices on it; the weighted sum has s.d. 1 on reference completions.

    A head's accuracy is out of fold on the fitted prompts. Raises TrainingError where an attribute was judged too
    rarely, or no preferences are left to hold out.
    """
    folds = _folds(preferences, choice.calibration_share, seed)
    own = {row for p in folds.fitted for row in p.judgements}
    heard = [j for j in standing(judgements) if j.id in own]
    fitted = fit_attributes(
        lm, heard, choice.attributes, seed=seed, reference=reference, cache=cache, progress=progress
    )
    weights = fitted.reward.weights
    # The heads have s.d. 1 on the anchor, so their correlation there gives that of any weighted sum.
    scale = float(np.sqrt(weights @ fitted.correlation @ weights)) or 1.0
    reward = CalibratedHeads("attributes", AttributeReward(fitted.reward.heads, weights / scale))
    calibrated, quality = _calibrated(lm, reward, folds.held_out, cache)
    parts = tuple(
        RewardPart(name=one.attribute, rows=one.pairs, accuracy=one.accuracy, weight=one.weight / scale)
        for one in fitted.quality
    )
    rows = tuple(sorted({j.id for j in heard} | {row for p in folds.held_out for row in p.judgements}))
    return Heads(calibrated, quality, parts, len(heard), rows, folds.prompts)


def learn_groups(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    judgements: Sequence[Judgement],
    choice: RewardChoice,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Heads:
    """A head for everyone and one a group that differs, on the views that preferences hold (`by_group`).

    A head's accuracy is on its own group's views of held-out pairs. Raises TrainingError without such views.
    """
    folds = _folds(preferences, choice.calibration_share, seed)
    fitted = fit_group_views(lm, folds.fitted, choice.groups, reference=reference, cache=cache, progress=progress)
    reward = CalibratedHeads("groups", fitted.reward)
    calibrated, quality = _calibrated(lm, reward, folds.held_out, cache)
    rows = CompletionRows()
    views = group_views(rows, folds.held_out)
    scores = reading(reward, lm, cache=cache).score_texts(rows.prompts, rows.completions)
    parts = tuple(
        RewardPart(name=name, rows=count, accuracy=_accuracy(scores.members[:, k], views.get(name)))
        for k, (name, count) in enumerate(zip(reward.members, fitted.rows, strict=True))
    )
    every = tuple(sorted({row for p in preferences for row in p.judgements}))
    return Heads(calibrated, quality, parts, len(folds.fitted), every, folds.prompts)


def learn_cost(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    judgements: Sequence[Judgement],
    choice: RewardChoice,
    *,
    seed: int,
    reference: Sequence[tuple[Prompt, str]] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Heads:
    """A cost on what people marked in completions and, where they gave any, their choices on harmlessness.

    Its quality is of labels, out of fold. `reference` is not looked at: the zero is fitted, not anchored. Raises
    TrainingError where too little was marked.
    """
    asked = choice.cost
    own = {row for p in preferences for row in p.judgements}
    heard = [j for j in standing(judgements) if j.id in own]
    labels = violation_labels(heard, asked.categories)
    ordered = [(j, j.attributes[asked.attribute]) for j in heard if asked.attribute in j.attributes]
    if not labels:
        do = "collect critiques with a scheme that allows them, or name other `cost.categories`"
        raise TrainingError(explain(expected="completions with critiques by people", got="none", do=do))
    said = [label for _, label in labels]
    fitted = fit_cost(lm, said, asked, seed=seed, choices=ordered, cache=cache, progress=progress)
    quality = _label_quality(fitted, said, asked)
    part = RewardPart(name="cost", rows=len(said), accuracy=quality.accuracy)
    used = {j.id for j, _ in labels} | {j.id for j, _ in ordered}
    found = fitted.quality
    notes = (
        f"quality is of {found.labels} labels ({found.violations} violations), out of fold: "
        f"{found.missed:.0%} of violations missed, {found.accused:.0%} of the others accused",
    )
    reward = CalibratedHeads("cost", fitted.model)
    return Heads(reward, quality, (part,), len(said), tuple(sorted(used)), None, notes)


def _folds(preferences: Sequence[Preference], share: float, seed: int) -> _Folds:
    """Preferences to fit on and, by prompt, those held out. Raises TrainingError where there are too few of both."""
    prompts = sorted({p.prompt_id for p in preferences})
    if len(preferences) < LEAST_PAIRS or len(prompts) < LEAST_PROMPTS:
        got = f"{len(preferences)} on {len(prompts)}"
        expected = f"at least {LEAST_PAIRS} preferences on {LEAST_PROMPTS} prompts"
        raise TrainingError(explain(expected=expected, got=got, do="collect more judgements, on more prompts"))
    order = np.random.default_rng(seed).permutation(len(prompts))
    held_out = {prompts[i] for i in order[: max(1, round(share * len(prompts)))]}
    return _Folds(
        [p for p in preferences if p.prompt_id not in held_out],
        [p for p in preferences if p.prompt_id in held_out],
        tuple(sorted(held_out)),
    )


def _calibrated(
    lm: LanguageModel, reward: CalibratedHeads, preferences: Sequence[Preference], cache: Path | None
) -> tuple[CalibratedHeads, RewardQuality]:
    """The reward with its temperature, and its quality on preferences that it was not fitted on."""
    rows = CompletionRows()
    pairs = preference_pairs(rows, preferences)
    scores: RewardScores = reading(reward, lm, cache=cache).score_texts(rows.prompts, rows.completions)
    margins = scores.reward[pairs.chosen] - scores.reward[pairs.rejected]
    temperature = fit_temperature(margins, pairs.probability)
    lengths = np.array([len(text) for text in rows.completions], dtype=np.float64)
    quality = quality_report(
        margins, pairs.probability, temperature=temperature, rewards=scores.reward, lengths=lengths
    )
    return reward.calibrated(Calibrator(temperature)), quality


def _accuracy(values: np.ndarray, pairs: Pairs | None) -> float | None:
    """Share of decided pairs that a head orders as its group does; None where there is none."""
    if pairs is None:
        return None
    decided = pairs.take(np.flatnonzero(pairs.probability != 0.5))
    if len(decided.chosen) == 0:
        return None
    agrees = (values[decided.chosen] > values[decided.rejected]) == (decided.probability > 0.5)
    return float(agrees.mean())


def _label_quality(fitted: FittedCost, labels: Sequence[Labelled], settings: CostSettings) -> RewardQuality:
    """The quality of a cost in the words of a reward's: its rows are labels, its probability that of a violation."""
    is_violation = np.array([label.is_violation for label in labels])
    odds = fitted.unseen + logit(settings.boundary)
    lengths = np.array([len(label.completion) for label in labels], dtype=np.float64)
    varies = fitted.unseen.std() > 0 and lengths.std() > 0
    bins = reliability_bins(odds, is_violation.astype(float))
    ece = expected_calibration_error(bins)
    return RewardQuality(
        pairs=len(labels),
        accuracy=float(np.mean((fitted.unseen > 0) == is_violation)),
        nll=fitted.quality.nll,
        ece=ece,
        ece_before=ece,
        temperature=1.0,
        reliability=bins,
        length_correlation=float(np.corrcoef(-fitted.unseen, lengths)[0, 1]) if varies else 0.0,
        brier=brier(np.asarray(expit(odds)), is_violation.astype(float)),
        calibration="platt",
    )
