"""Online: runs that learn from the policy's own samples, round after round, one function a method.

Takes prompts and a reward; yields a policy version. `online_run` gives the policy its adapter and what draws
and scores its samples, the method makes its task of them, and `pushed` takes the steps under the observer's eyes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.alignment.grpo import GrpoTask
from assay.alignment.online_dpo import OnlineDpoTask
from assay.alignment.ppo import PpoTask
from assay.alignment.runs import (
    RunContext,
    Watched,
    adapter_path,
    begins_with,
    begun,
    keeps_best_of,
    measuring_with,
    observing,
    prepare_policy,
    take_steps,
    version_of,
    watched_outcome,
)
from assay.alignment.sampling import PolicySampler
from assay.alignment.scoring import StepCosts, StepScorer
from assay.alignment.settings import BestOfNSftSettings, GkdSettings, GrpoSettings, OnlineDpoSettings, PpoSettings
from assay.alignment.trainer import Task
from assay.lm import LanguageModel, Sampling
from assay.records.identity import ScorerIdentity
from assay.records.policy import Method, PolicyVersion
from assay.records.record import digest

SamplingSettings = OnlineDpoSettings | GrpoSettings | PpoSettings | BestOfNSftSettings | GkdSettings
"""Settings of the methods that sample."""


@dataclass(frozen=True)
class OnlineRun:
    """A run that samples: what it was told, what draws its samples, and what scores them."""

    lm: LanguageModel
    settings: SamplingSettings
    context: RunContext
    watched: Watched
    start: PolicyVersion | None
    sampler: PolicySampler
    scorer: StepScorer

    def rewards_at(self, step: int) -> np.ndarray:
        """Proxy rewards [m] of the samples at a step."""
        return self.scorer.at(step).proxy.reward

    def pushed(
        self, method: Method, task: Task, *, every: int, inherited: Sequence[ScorerIdentity] = ()
    ) -> PolicyVersion:
        """Take the task's steps, measured every `every` of them; `inherited` are signals of others than the run."""
        lm, settings, context, watched = self.lm, self.settings, self.context, self.watched
        measuring = measuring_with(lm, self.sampler, self.scorer, watched, context, every=every)
        begin = begun(method, task, context, watched)
        keeps_best = keeps_best_of(settings.load_best_model_at_end, watched)
        observer = observing(measuring, task, self.sampler, context, begin, keeps_best=keeps_best)
        data_hash = digest([[message.model_dump() for message in prompt] for prompt in watched.prompts])
        steps = take_steps(lm, task, settings, context, data_hash, observer, *begins_with(self.start, watched))
        outcome = watched_outcome(lm, observer, watched, self.start, steps, data_hash)
        signals = {signal.content_hash: signal for signal in (*watched.training_signals, *inherited)}
        return version_of(method, settings, context, outcome | {"training_signals": tuple(signals.values())})


def run_online_dpo(
    lm: LanguageModel,
    settings: OnlineDpoSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Push the policy against the proxy reward from `start`, in rounds, until the monitors end it or the rounds do."""
    run = online_run(lm, settings, context, watched, start, temperature=settings.temperature)
    task = OnlineDpoTask(
        lm, run.sampler, run.rewards_at, settings, seed=context.seed, costs_at=StepCosts(run.sampler, watched.costs).at
    )
    return run.pushed("online_dpo", task, every=task.steps_per_round)


def run_grpo(
    lm: LanguageModel,
    settings: GrpoSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Push the policy against the proxy reward by policy gradients, in rounds, until monitors end it or rounds do."""
    run = online_run(lm, settings, context, watched, start)
    task = GrpoTask(
        lm,
        run.sampler,
        run.rewards_at,
        settings,
        seed=context.seed,
        costs_at=StepCosts(run.sampler, watched.costs).at,
    )
    return run.pushed("grpo", task, every=task.steps_per_round)


def run_ppo(
    lm: LanguageModel,
    settings: PpoSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Push the policy against the proxy reward with a critic, in rounds, until monitors end it or the rounds do."""
    run = online_run(lm, settings, context, watched, start)
    task = PpoTask(lm, run.sampler, run.rewards_at, settings, seed=context.seed)
    return run.pushed("ppo", task, every=task.steps_per_round)


def online_run(
    lm: LanguageModel,
    settings: SamplingSettings,
    context: RunContext,
    watched: Watched,
    start: PolicyVersion | None,
    *,
    temperature: float = 1.0,
) -> OnlineRun:
    """Give the model the policy's adapter, and the run what draws and scores the policy's samples."""
    ref = prepare_policy(lm, adapter_path(context, start), settings, seed=context.seed)
    sampling = Sampling(max_tokens=settings.max_completion_length, temperature=temperature, seed=context.seed)
    sampler = PolicySampler(
        lm, watched.prompts, sampling, n=settings.num_generations, ref_adapter=ref, source=context.completions
    )
    return OnlineRun(lm, settings, context, watched, start, sampler, StepScorer(lm, sampler, watched.rewards))
