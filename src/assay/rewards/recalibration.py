"""Recalibration: fits the calibration of a stored reward anew, on the prompts that it was not fitted on.

What is reported comes from two halves of the prompts, each read by the calibration that was fitted on the other; the
calibration that is kept is fitted on both.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.lm import LanguageModel
from assay.records.errors import TrainingError, explain
from assay.records.preference import Preference
from assay.records.reward import RewardQuality
from assay.rewards.calibration import CALIBRATIONS, Calibrator, MemberMargins, quality_report
from assay.rewards.completion_rows import CompletionRows, preference_pairs
from assay.rewards.protocol import StoredReward, reading


class Recalibrated(NamedTuple):
    """The new calibration, and the quality under it out of sample."""

    calibrator: Calibrator
    quality: RewardQuality


def recalibrate(
    lm: LanguageModel,
    reward: StoredReward,
    preferences: Sequence[Preference],
    *,
    method: str,
    rng: np.random.Generator,
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> Recalibrated:
    """Calibrate by a named method of `CALIBRATIONS` on preferences whose prompts the reward was not fitted on.

    Raises TrainingError for fewer than four preferences or two prompts, KeyError for an unknown method.
    """
    group = np.unique([p.prompt_id for p in preferences], return_inverse=True)[1]
    count = len(set(group.tolist()))
    if len(preferences) < 4 or count < 2:
        do = "collect more judgements and train again, or raise calibration_share"
        got = f"{len(preferences)} on {count}"
        raise TrainingError(explain(expected="at least 4 held-out preferences on 2 prompts", got=got, do=do))
    rows = CompletionRows()
    pairs = preference_pairs(rows, preferences)
    scores = reading(reward.unshaped(), lm, cache=cache, progress=progress).score_texts(rows.prompts, rows.completions)
    margins, apart = (v[pairs.chosen] - v[pairs.rejected] for v in (scores.reward, scores.members))
    fit = CALIBRATIONS[method]
    is_second = np.isin(group, rng.permutation(count)[: count // 2])
    logits = np.empty(len(margins))
    for half in (is_second, ~is_second):
        logits[half] = fit(margins[~half], pairs.probability[~half]).logits(margins[half])
    kept = fit(margins, pairs.probability)
    # Heads that speak of different things are no estimates of one: only copies of one thing tell how sure they are.
    are_estimates = reward.kind in ("ensemble", "tuned") and apart.shape[1] > 1
    quality = quality_report(
        margins,
        pairs.probability,
        temperature=kept.temperature,
        rewards=scores.reward,
        lengths=np.array([len(text) for text in rows.completions], dtype=np.float64),
        members=MemberMargins(apart.mean(1), apart.std(1)) if are_estimates else None,
        logits=logits,
        calibration=method,
    )
    return Recalibrated(kept, quality)
