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
from assay.rewards.calibration import CALIBRATIONS, MemberMargins, quality_report
from assay.rewards.ensemble import RewardEnsemble
from assay.rewards.features import read_features


class Recalibrated(NamedTuple):
    """The reward under its new calibration, and its quality out of sample."""

    ensemble: RewardEnsemble
    quality: RewardQuality


def recalibrate(
    lm: LanguageModel,
    ensemble: RewardEnsemble,
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
    rows = list(dict.fromkeys((p.prompt, text) for p in preferences for text in (p.chosen, p.rejected)))
    number = {row: i for i, row in enumerate(rows)}
    prompts, texts = zip(*rows, strict=True)
    features = read_features(lm, prompts, texts, layers=ensemble.layers, cache=cache, progress=progress)
    scores = ensemble.unshaped().score(features)
    chosen = np.array([number[p.prompt, p.chosen] for p in preferences])
    rejected = np.array([number[p.prompt, p.rejected] for p in preferences])
    margins, apart = (v[chosen] - v[rejected] for v in (scores.reward, scores.members))
    probability = np.array([p.probability for p in preferences])
    fit = CALIBRATIONS[method]
    is_second = np.isin(group, rng.permutation(count)[: count // 2])
    logits = np.empty(len(margins))
    for half in (is_second, ~is_second):
        logits[half] = fit(margins[~half], probability[~half]).logits(margins[half])
    kept = fit(margins, probability)
    quality = quality_report(
        margins,
        probability,
        temperature=kept.temperature,
        rewards=scores.reward,
        lengths=np.array([len(text) for text in texts], dtype=np.float64),
        members=MemberMargins(apart.mean(1), apart.std(1)),
        logits=logits,
        calibration=method,
    )
    return Recalibrated(ensemble.calibrated(kept), quality)
