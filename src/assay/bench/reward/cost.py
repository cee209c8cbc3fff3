"""Cost: CPU seconds of an ensemble against one member, and of the monitors against a training step.

CPU time, not wall time, so that a loaded machine says the same; medians, so that one bad moment does not.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assay.alignment import OnlineDpoSettings, RunContext, TrainingRewards, Watched, run_online_dpo
from assay.lm import LanguageModel, LoraSettings
from assay.monitors import MonitorBank, default_monitors
from assay.records.conversation import Prompt
from assay.records.observation import Observation
from assay.records.preference import Preference
from assay.rewards import RewardEnsemble, RewardSettings, TrainedReward, train_reward
from assay.storage import ArtifactStore

HISTORY = 24
"""Checkpoints that a bank has seen when it is timed: a long run's."""
LOOP = OnlineDpoSettings(
    learning_rate=1.2e-3,
    beta=0.05,
    rounds=2,
    num_generations=2,
    max_completion_length=52,
    lora=LoraSettings(top_layers=10),
    save_steps=1000,
)
"""The demo's loop, two rounds of it."""
QUICK_LOOP = LOOP.model_copy(update={"rounds": 1, "max_completion_length": 12})
"""The same with less to say."""
LOOP_PROMPTS = 16


class MemberCost(NamedTuple):
    """CPU seconds of one member and of the whole ensemble by repeat, the features' pass in both; and the last fit."""

    one_s: tuple[float, ...]
    ensemble_s: tuple[float, ...]
    trained: TrainedReward

    @property
    def ratio(self) -> float:
        """Median over repeats of ensemble over one."""
        return float(np.median(np.divide(self.ensemble_s, self.one_s)))


class MonitorCost(NamedTuple):
    """CPU seconds: the default monitors on one observation, a training step, and drawing and measuring a checkpoint."""

    observe_s: float
    step_s: float
    checkpoint_s: float

    @property
    def share(self) -> float:
        """Monitors' share of a step, were they asked at every one."""
        return self.observe_s / self.step_s


def measure_members(
    lm: LanguageModel,
    preferences: Sequence[Preference],
    settings: RewardSettings,
    *,
    seed: int,
    repeats: int,
    scratch: Path,
) -> MemberCost:
    """Fit one member and the ensemble in turns. Each repeat reads the features anew, once, and both pay for it."""
    single = settings.model_copy(update={"feature_maps": settings.feature_maps[:1]})
    one, ensemble = [], []
    for repeat in range(repeats):
        cache = scratch / f"features-{repeat}"
        first, _ = _fit(lm, preferences, single, seed=seed, cache=cache)
        again, _ = _fit(lm, preferences, single, seed=seed, cache=cache)
        five, trained = _fit(lm, preferences, settings, seed=seed, cache=cache)
        one.append(first)
        ensemble.append(first - again + five)
    return MemberCost(tuple(one), tuple(ensemble), trained)


def measure_monitors(
    lm: LanguageModel,
    prompts: Sequence[Prompt],
    reward: RewardEnsemble,
    *,
    seed: int,
    scratch: Path,
    now: datetime,
    settings: OnlineDpoSettings = LOOP,
) -> MonitorCost:
    """Run the loop and time its steps, then the default monitors on what it observed.

    The model is left with an adapter: measure with it last.
    """
    marks: list[tuple[str, float]] = []
    seen: list[Observation] = []

    def on_checkpoint(observation: Observation) -> None:
        seen.append(observation)
        marks.append(("checkpoint", time.process_time()))

    context = RunContext(
        name="cost",
        artifacts=ArtifactStore(scratch / "artifacts"),
        directory=scratch / "cost",
        seed=seed,
        now=lambda: now,
        on_step=lambda *_: marks.append(("step", time.process_time())),
        on_checkpoint=on_checkpoint,
    )
    watched = Watched(list(prompts)[:LOOP_PROMPTS], TrainingRewards(reward, reward), (), None)
    run_online_dpo(lm, settings, context, watched, start=None)
    return MonitorCost(
        observe_s=time_bank(seen[-1], now=now),
        step_s=_median_until("step", marks),
        checkpoint_s=_median_until("checkpoint", marks),
    )


def time_bank(observation: Observation, *, now: datetime, repeats: int = 5) -> float:
    """Median CPU seconds of the default monitors on one observation, after `HISTORY` like it, anew each repeat."""
    seconds = []
    for _ in range(repeats):
        bank = MonitorBank(default_monitors())
        for step in range(HISTORY):
            bank.observe(observation.model_copy(update={"step": step}), now)
        started = time.process_time()
        for step in range(HISTORY, 2 * HISTORY):
            bank.observe(observation.model_copy(update={"step": step}), now)
        seconds.append((time.process_time() - started) / HISTORY)
    return float(np.median(seconds))


def _fit(
    lm: LanguageModel, preferences: Sequence[Preference], settings: RewardSettings, *, seed: int, cache: Path
) -> tuple[float, TrainedReward]:
    started = time.process_time()
    trained = train_reward(lm, preferences, settings, seed=seed, cache=cache)
    return time.process_time() - started, trained


def _median_until(kind: str, marks: Sequence[tuple[str, float]]) -> float:
    """Median time up to marks of one kind from whatever mark came before."""
    pairs = zip(marks, marks[1:], strict=False)
    return float(np.median([after - before for (_, before), (what, after) in pairs if what == kind]))
