"""Distillation: runs that learn from better answers than their own: the reward's pick of n, and earlier policies."""

from collections.abc import Sequence

from assay.alignment.best_of_n_sft import BestOfNSftTask
from assay.alignment.gkd import GkdTask
from assay.alignment.online import online_run
from assay.alignment.runs import RunContext, Watched, adapter_path
from assay.alignment.settings import BestOfNSftSettings, GkdSettings
from assay.alignment.teachers import Teachers
from assay.lm import LanguageModel
from assay.records.errors import TrainingError, explain
from assay.records.policy import PolicyVersion


def run_best_of_n_sft(
    lm: LanguageModel,
    settings: BestOfNSftSettings,
    context: RunContext,
    watched: Watched,
    *,
    start: PolicyVersion | None,
) -> PolicyVersion:
    """Fine-tune on the proxy's pick of n of the policy's own completions, from `start`, round after round."""
    run = online_run(lm, settings, context, watched, start, temperature=settings.temperature)
    task = BestOfNSftTask(lm, run.sampler, run.rewards_at, settings, seed=context.seed)
    return run.pushed("best_of_n_sft", task, every=settings.measure_steps)


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
    run = online_run(lm, settings, context, watched, start)
    adapters = [adapter_path(context, teacher) for teacher in teachers]
    task = GkdTask(lm, run.sampler, Teachers(lm, adapters, mean=settings.teacher_mean), settings, seed=context.seed)
    inherited = [signal for teacher in teachers for signal in teacher.training_signals]
    return run.pushed("gkd", task, every=task.steps_per_round, inherited=inherited)


def _check_teachers(lm: LanguageModel, teachers: Sequence[PolicyVersion]) -> None:
    strangers = [teacher.short_id for teacher in teachers if teacher.base_model != lm.source]
    if strangers or not teachers:
        got = f"others: {', '.join(strangers)}" if strangers else "none"
        do = "name policies that were tuned from this model"
        raise TrainingError(explain(expected=f"teachers on the base {lm.source!r}", got=got, do=do))
