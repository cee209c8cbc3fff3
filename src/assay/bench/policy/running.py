"""Running: fits the rewards of a seed and lets the project's own optimiser push the policy against each of them.

Takes the base, people's preferences and prompts; yields policy versions with their checkpoints, and best-of-n paths.
Every loop is `alignment.run_online_dpo` as users run it, and DPO on the labels is `alignment.run_dpo`; nothing here,
and nothing that this module imports, can reach gold.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.alignment import (
    DpoSettings,
    OnlineDpoSettings,
    RunContext,
    TrainingRewards,
    Watched,
    run_dpo,
    run_online_dpo,
)
from assay.bench.policy.arms import BEST_OF_N_ARMS, REWARDS, LabelArm, LoopArm, RewardKind
from assay.lm import LoraSettings, Sampling, generate, load
from assay.records.conversation import Prompt
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.rewards import RewardEnsemble, read_features, train_reward
from assay.rewards.best_of_n import best_of_n_kl, best_of_n_weights
from assay.storage import ArtifactStore

LOOP = OnlineDpoSettings(
    learning_rate=6e-4,
    lr_scheduler_type="constant",
    beta=0.05,
    rounds=20,
    num_generations=4,
    per_device_train_batch_size=8,
    max_completion_length=48,
    save_steps=100_000,
    lora=LoraSettings(r=8, alpha=16),
)
"""The loop of every arm."""


class Rewards(NamedTuple):
    """The rewards of a seed by kind, and the watch panel, fitted on other people and prompts, of each."""

    proxy: Mapping[RewardKind, RewardEnsemble]
    watch: Mapping[RewardKind, RewardEnsemble]
    accuracy: float
    """Held-out accuracy of the plain reward on people's labels."""


class BestOfN(NamedTuple):
    """Best-of-n for growing n: `n` and `kl` [c] in nats, `weights` [c, prompts, N] of the candidates, `proxy` [c]."""

    n: tuple[int, ...]
    kl: np.ndarray
    weights: np.ndarray
    proxy: np.ndarray


class Candidates(NamedTuple):
    """Completions of the base, `each` a prompt: `texts` in the order of the prompts, and each arm's path."""

    texts: list[str]
    each: int
    paths: dict[str, BestOfN]


def fit_rewards(
    base: Path,
    preferences: Sequence[Preference],
    watched: Sequence[Preference],
    reference: Sequence[tuple[Prompt, str]],
    *,
    seed: int,
) -> Rewards:
    """Fit both kinds on both panels; `reference` are completions of the base that nobody labelled."""
    lm = load(str(base))
    proxy: dict[RewardKind, RewardEnsemble] = {}
    watch: dict[RewardKind, RewardEnsemble] = {}
    accuracy = 0.0
    for kind, settings in REWARDS.items():
        trained = train_reward(lm, preferences, settings, seed=seed, reference=reference)
        proxy[kind] = trained.ensemble
        watch[kind] = train_reward(lm, watched, settings, seed=seed + 1, reference=reference).ensemble
        accuracy = trained.quality.accuracy if kind == "plain" else accuracy
    return Rewards(proxy, watch, accuracy)


class Course(NamedTuple):
    """What all arms of a seed share: the base, the prompts, where checkpoints go, the seed, and the loop's settings."""

    base: Path
    prompts: Sequence[Prompt]
    artifacts: ArtifactStore
    scratch: Path
    seed: int
    loop: OnlineDpoSettings = LOOP


def run_loop(course: Course, name: str, arm: LoopArm, rewards: Rewards, *, now: datetime) -> PolicyVersion:
    """One run of an arm from the base. Arms of one seed draw with the same seed, so that twins go the same way."""
    directory = course.scratch / name
    context = RunContext(name=name, artifacts=course.artifacts, directory=directory, seed=course.seed, now=lambda: now)
    proxy = rewards.proxy[arm.reward].with_aggregation(arm.aggregation)
    bank = None if arm.bank is None else arm.bank()
    watched = Watched(course.prompts, TrainingRewards(proxy, rewards.watch[arm.reward]), (), bank)
    asked = course.loop.model_copy(update={"aggregation": arm.aggregation, "is_guarded": bank is not None})
    return run_online_dpo(load(str(course.base)), asked, context, watched, start=None)


def run_labels(
    course: Course, name: str, arm: LabelArm, preferences: Sequence[Preference], rewards: Rewards, *, now: datetime
) -> PolicyVersion:
    """One pass of DPO over the labels from the base, at the loop's step size and batch; the stack's reward looks on."""
    context = RunContext(
        name=name, artifacts=course.artifacts, directory=course.scratch / name, seed=course.seed, now=lambda: now
    )
    seen = TrainingRewards(rewards.proxy["stack"], rewards.watch["stack"])
    watched = Watched(course.prompts, seen, (), None if arm.bank is None else arm.bank())
    loop = course.loop
    settings = DpoSettings(
        learning_rate=loop.learning_rate,
        lr_scheduler_type=loop.lr_scheduler_type,
        warmup_ratio=0.0,
        per_device_train_batch_size=loop.per_device_train_batch_size,
        soft_labels=False,
        surface_offset=arm.surface,
        max_completion_length=loop.max_completion_length,
        save_steps=loop.save_steps,
        lora=loop.lora,
    )
    return run_dpo(load(str(course.base)), preferences, settings, context, watched, start=None)


def run_best_of_n(course: Course, rewards: Rewards, *, count: int) -> Candidates:
    """Best-of-n of all arms on the same `count` candidates a prompt, exactly, for n = 1, 2, 4, ..."""
    lm, prompts = load(str(course.base)), course.prompts
    sampling = Sampling(max_tokens=course.loop.max_completion_length, seed=course.seed)
    texts = [completion.text for completion in generate(lm, prompts, sampling, n=count)]
    repeated = [prompt for prompt in prompts for _ in range(count)]
    layers = rewards.proxy["plain"].layers
    features = read_features(lm, repeated, texts, layers=layers)
    sizes = tuple(2**k for k in range(count.bit_length()) if 2**k <= count)
    paths = {}
    for name, arm in BEST_OF_N_ARMS.items():
        reward = rewards.proxy[arm.reward].with_aggregation(arm.aggregation).score(features).reward
        rows = reward.reshape(len(prompts), count)
        weights = np.stack([best_of_n_weights(rows, n) for n in sizes])
        kl = np.array([best_of_n_kl(n) for n in sizes])
        paths[name] = BestOfN(sizes, kl, weights, (weights * rows).sum(2).mean(1))
    return Candidates(texts, count, paths)
