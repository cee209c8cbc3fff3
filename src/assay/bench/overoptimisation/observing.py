"""Observing: what a real run would show of its checkpoints: sampled completions as the numbers that monitors read.

Takes what was sampled at a path's checkpoints and an arm's own rewards; yields observations under the product's metric
names, the first of which describes the reference texts. Nothing here sees gold.
"""

from typing import NamedTuple

import numpy as np

from assay.bench.overoptimisation.world import NAMED, Seen
from assay.monitors.combined import PROXY
from assay.monitors.effects import (
    COUNT,
    DISAGREEMENT,
    DISAGREEMENT_SD,
    HALF_A,
    HALF_B,
    HALF_GAP_SD,
    LENGTH_SD,
    MEAN_LENGTH,
    OUTLIER_RATE,
    SD,
    STYLE,
)
from assay.monitors.kl_budget import KL
from assay.records.observation import Observation

PER_PROMPT = 4
"""Completions sampled of each prompt at a checkpoint."""
WORDS_MEAN, WORDS_SD = 100.0, 20.0
"""What a length of 0, and a deviation of length, is in words."""


class Material(NamedTuple):
    """What one run is measured by: the reward that it optimises [prompts, N], its members [prompts, N, k], the same of
    the reference texts [m] and [m, k], and which candidates [prompts, N] and reference texts [m] are outliers.
    """

    reward: np.ndarray
    members: np.ndarray
    reference_reward: np.ndarray
    reference_members: np.ndarray
    is_outlier: np.ndarray
    reference_is_outlier: np.ndarray


class Watched(NamedTuple):
    """A run as its detectors see it: observations [c + 1], the reference first; and of every checkpoint the samples'
    rewards [c, s] and members' rewards [c, s, k].
    """

    observations: tuple[Observation, ...]
    rewards: np.ndarray
    members: np.ndarray


def watch(seen: Seen, material: Material, drawn: np.ndarray, kl: np.ndarray) -> Watched:
    """Describe the candidates `drawn` [c, prompts, per_prompt] at checkpoints of KL [c]."""
    prompt = np.arange(drawn.shape[1])[None, :, None]
    flat = (len(drawn), -1)
    rewards = material.reward[prompt, drawn].reshape(flat)
    members = material.members[prompt, drawn].reshape(*flat, material.members.shape[-1])
    outliers = material.is_outlier[prompt, drawn].reshape(flat)
    surface = seen.candidates.surface[prompt, drawn].reshape(*flat, len(NAMED))
    reference = material.reference_reward[None], material.reference_members[None], material.reference_is_outlier[None]
    scale = float(material.reference_reward.std()) or 1.0
    start = _values(*reference, seen.reference.surface[None], kl=np.zeros(1), scale=scale)
    values = [*start, *_values(rewards, members, outliers, surface, kl=kl, scale=scale)]
    return Watched(tuple(Observation(step=i, values=each) for i, each in enumerate(values)), rewards, members)


def _values(
    rewards: np.ndarray, members: np.ndarray, outliers: np.ndarray, surface: np.ndarray, *, kl: np.ndarray, scale: float
) -> list[dict[str, float]]:
    """Values of each checkpoint, of rewards [c, s], members [c, s, k], outliers [c, s], surface [c, s, 2], KL [c]."""
    spread = members.std(2)
    half_a, half_b = members[..., 0::2].mean(2), members[..., 1::2].mean(2)
    middle, deviation = surface.mean(1), surface.std(1)
    columns = {
        KL: kl,
        PROXY: rewards.mean(1) / scale,
        COUNT: np.full(len(kl), rewards.shape[1]),
        DISAGREEMENT: spread.mean(1),
        DISAGREEMENT_SD: spread.std(1),
        OUTLIER_RATE: outliers.mean(1),
        HALF_A: half_a.mean(1),
        HALF_B: half_b.mean(1),
        HALF_GAP_SD: (half_a - half_b).std(1),
        MEAN_LENGTH: WORDS_MEAN + WORDS_SD * middle[:, 0],
        LENGTH_SD: WORDS_SD * deviation[:, 0],
    }
    for column, name in enumerate(NAMED[1:], start=1):
        columns |= {STYLE + name: middle[:, column], STYLE + name + SD: deviation[:, column]}
    lists = [column.astype(float).tolist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]
