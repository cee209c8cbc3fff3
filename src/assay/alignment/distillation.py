"""Distillation: runs that learn from better answers than their own: the reward's pick of n, and earlier policies."""

from collections.abc import Sequence

from assay.alignment.best_of_n_sft import BestOfNSftTask
from assay.alignment.gkd import GkdTask
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
from assay.alignment.settings import BestOfNSftSettings, GkdSettings
from assay.alignment.teachers import Teachers
from assay.lm import LanguageModel, Sampling
from assay.records.errors import TrainingError, explain
from assay.records.policy import PolicyVersion
from assay.records.record import digest


def run_best_of_n_sft(
    lm: LanguageModel,
    settings: BestOfNSftSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Fine-tune on the proxy's pick of n of the policy's own completions, from `start`, round after round."""
    ref = prepare_policy(lm, adapter_path(context, start), settings, seed=context.seed)
    sampling = Sampling(max_tokens=settings.max_completion_length, temperature=settings.temperature, seed=context.seed)
    sampler = PolicySampler(
        lm, watched.prompts, sampling, n=settings.num_generations, ref_adapter=ref, source=context.completions
    )
    scorer = StepScorer(lm, sampler, watched.rewards)
    task = BestOfNSftTask(lm, sampler, lambda step: scorer.at(step).proxy.reward, settings, seed=context.seed)
    measuring = measuring_with(lm, sampler, scorer, watched, context, every=settings.measure_steps)
    observer = observing(measuring, task, sampler, context, begun("best_of_n_sft", task, context, watched))
    data_hash = digest([[message.model_dump() for message in prompt] for prompt in watched.prompts])
    steps = take_steps(lm, task, settings, context, data_hash, observer, *begins_with(start, watched))
    outcome = watched_outcome(lm, observer, watched, start, steps, data_hash)
    return version_of("best_of_n_sft", settings, context, outcome)


def run_gkd(
    lm: LanguageModel,
    teachers: Sequence[PolicyVersion],
    settings: GkdSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Distil `teachers`, policies on this base, into a student that begins at `start`, on the student's own samples.

    What the teachers were trained on counts as the student's training signals too. `settings.teachers` is not read
    here but kept as the ids of those that taught. Raises TrainingError without a teacher or with one of another base.
    """
    _check_teachers(lm, teachers)
    settings = settings.model_copy(update={"teachers": tuple(teacher.id for teacher in teachers)})
    ref = prepare_policy(lm, adapter_path(context, start), settings, seed=context.seed)
    adapters = [adapter_path(context, teacher) for teacher in teachers]
    sampling = Sampling(max_tokens=settings.max_completion_length, temperature=1.0, seed=context.seed)
    sampler = PolicySampler(
        lm, watched.prompts, sampling, n=settings.num_generations, ref_adapter=ref, source=context.completions
    )
    scorer = StepScorer(lm, sampler, watched.rewards)
    task = GkdTask(lm, sampler, Teachers(lm, adapters, mean=settings.teacher_mean), settings, seed=context.seed)
    measuring = measuring_with(lm, sampler, scorer, watched, context, every=task.steps_per_round)
    observer = observing(measuring, task, sampler, context, begun("gkd", task, context, watched))
    data_hash = digest([[message.model_dump() for message in prompt] for prompt in watched.prompts])
    steps = take_steps(lm, task, settings, context, data_hash, observer, *begins_with(start, watched))
    outcome = watched_outcome(lm, observer, watched, start, steps, data_hash)
    inherited = [signal for teacher in teachers for signal in teacher.training_signals]
    signals = {signal.content_hash: signal for signal in (*watched.training_signals, *inherited)}
    return version_of("gkd", settings, context, {**outcome, "training_signals": tuple(signals.values())})


def _check_teachers(lm: LanguageModel, teachers: Sequence[PolicyVersion]) -> None:
    strangers = [teacher.short_id for teacher in teachers if teacher.base_model != lm.source]
    if strangers or not teachers:
        got = f"others: {', '.join(strangers)}" if strangers else "none"
        do = "name policies that were tuned from this model"
        raise TrainingError(explain(expected=f"teachers on the base {lm.source!r}", got=got, do=do))
