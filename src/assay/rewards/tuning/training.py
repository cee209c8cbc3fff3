"""Tuned training: fine-tunes one member a seed, standardises, calibrates, and says what the reward is worth.

Takes preferences and a way to open the model anew; yields a `TunedReward` (an ensemble over LoRA seeds, or their
weights averaged into one) with its quality on prompts that no member was fitted on.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from assay.lm import LanguageModel
from assay.records.conversation import Prompt
from assay.records.errors import TrainingError, explain
from assay.records.preference import Preference
from assay.records.reward import RewardQuality
from assay.rewards.bradley_terry import Pairs
from assay.rewards.calibration import MemberMargins, fit_temperature, quality_report
from assay.rewards.completion_rows import CompletionRows, preference_pairs
from assay.rewards.heads import require_enough
from assay.rewards.tuning.finetune import FinetuneSettings, Progress, finetune
from assay.rewards.tuning.last_state import LastStateSettings, fit_last_state
from assay.rewards.tuning.tuned import TunedReward, warm_average


class TrainedTuned(NamedTuple):
    """The reward, its held-out quality, each member's held-out accuracy, fitted pairs, and the log of each seed.

    `calibration_prompts` are the identities of the prompts that were held out of the fit.
    """

    reward: TunedReward
    quality: RewardQuality
    member_accuracy: tuple[float, ...]
    fitted_pairs: int
    logs: tuple[list[dict[str, float]], ...]
    calibration_prompts: tuple[str, ...]


def train_tuned(
    open_model: Callable[[], LanguageModel],
    preferences: Sequence[Preference],
    settings: FinetuneSettings,
    *,
    seeds: Sequence[int],
    reference: Sequence[tuple[Prompt, str]] = (),
    progress: Progress | None = None,
) -> TrainedTuned:
    """Train a member a seed, each in a model opened anew, all on the same prompts; the first seed holds out the others.

    `reference` completions (default: those fitted) set the scale. Raises TrainingError for fewer than eight preferences
    or four prompts, or no seeds.
    """
    rows = CompletionRows()
    pairs = preference_pairs(rows, preferences)
    group = np.array(rows.group)
    require_enough("preferences", pairs, group)
    if not seeds:
        raise TrainingError(explain(expected="at least one seed", got="none", do="name a seed for each member"))
    prompts = np.random.default_rng(seeds[0]).permutation(np.unique(group))
    held_out = prompts[: max(1, round(settings.calibration_share * len(prompts)))]
    is_held_out = np.isin(group[pairs.chosen], held_out)
    fitted = [p for p, out in zip(preferences, is_held_out, strict=True) if not out]
    head = fit_last_state(open_model(), fitted, LastStateSettings()).head if settings.starts_frozen else None
    runs = [finetune(open_model(), fitted, settings, seed=s, head=head, progress=progress) for s in seeds]
    trained = tuple(run.weights for run in runs)
    members = (warm_average(trained),) if settings.is_averaged else trained
    texts = list(zip(rows.prompts, rows.completions, strict=True))
    anchor = reference or [text for text, g in zip(texts, group, strict=True) if g not in held_out]
    reward = TunedReward(open_model(), members, settings.aggregation)
    reward.standardise(anchor)
    quality, accuracy = _calibrate(reward, rows, pairs.take(np.flatnonzero(is_held_out)))
    prompts_out = sorted({p.prompt_id for p, out in zip(preferences, is_held_out, strict=True) if out})
    return TrainedTuned(reward, quality, accuracy, len(fitted), tuple(run.log for run in runs), tuple(prompts_out))


def _calibrate(reward: TunedReward, rows: CompletionRows, pairs: Pairs) -> tuple[RewardQuality, tuple[float, ...]]:
    """Set the temperature on pairs not fitted on; their quality, and each member's accuracy."""
    used = np.unique(np.concatenate([pairs.chosen, pairs.rejected]))
    texts = [rows.completions[i] for i in used]
    scores = reward.score_texts([rows.prompts[i] for i in used], texts)
    chosen, rejected = np.searchsorted(used, pairs.chosen), np.searchsorted(used, pairs.rejected)
    margins = scores.reward[chosen] - scores.reward[rejected]
    reward.temperature = fit_temperature(margins, pairs.probability)
    gaps = scores.members[chosen] - scores.members[rejected]
    spread = MemberMargins(gaps.mean(1), gaps.std(1)) if len(reward.members) > 1 else None
    quality = quality_report(
        margins,
        pairs.probability,
        temperature=reward.temperature,
        rewards=scores.reward,
        lengths=np.array([len(text) for text in texts], dtype=float),
        members=spread,
    )
    return quality, tuple(float(a) for a in (gaps > 0).mean(0))
