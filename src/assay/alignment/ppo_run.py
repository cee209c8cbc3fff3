"""PPO run: from prompts and a reward to a policy version, with its trail of checkpoints and alarms."""

from assay.alignment.ppo import PpoTask
from assay.alignment.runs import (
    RunContext,
    Watched,
    adapter_path,
    begins_with,
    begun,
    measuring_with,
    observing,
    prepare_policy,
    take_steps,
    version_of,
    watched_outcome,
)
from assay.alignment.sampling import PolicySampler
from assay.alignment.scoring import StepScorer
from assay.alignment.settings import PpoSettings
from assay.lm import LanguageModel, Sampling
from assay.records.policy import PolicyVersion
from assay.records.record import digest


def run_ppo(
    lm: LanguageModel,
    settings: PpoSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Push the policy against the proxy reward with a critic, in rounds, until monitors end it or the rounds do."""
    ref = prepare_policy(lm, adapter_path(context, start), settings, seed=context.seed)
    sampling = Sampling(max_tokens=settings.max_completion_length, temperature=1.0, seed=context.seed)
    sampler = PolicySampler(
        lm, watched.prompts, sampling, n=settings.num_generations, ref_adapter=ref, source=context.completions
    )
    scorer = StepScorer(lm, sampler, watched.rewards)
    task = PpoTask(lm, sampler, lambda step: scorer.at(step).proxy.reward, settings, seed=context.seed, ref_adapter=ref)
    measuring = measuring_with(lm, sampler, scorer, watched, context, every=task.steps_per_round)
    observer = observing(measuring, task, sampler, context, begun("ppo", task, context, watched))
    data_hash = digest([[message.model_dump() for message in prompt] for prompt in watched.prompts])
    steps = take_steps(lm, task, settings, context, data_hash, observer, *begins_with(start, watched))
    return version_of("ppo", settings, context, watched_outcome(lm, observer, watched, start, steps, data_hash))
