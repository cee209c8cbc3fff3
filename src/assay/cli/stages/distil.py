"""Distil: the policies of a run that learn from better answers than their own: the reward's pick of n, and teachers."""

from assay.alignment import run_best_of_n_sft, run_gkd
from assay.cli.stages.tune import how_it_ended, run_context, start_of, store_policy, watched_run
from assay.cli.walk import Outcome, Walk
from assay.records.errors import InputError, explain
from assay.records.policy import PolicyVersion


def tune_best_of_n_sft(walk: Walk) -> Outcome:
    """SFT on the conservative ensemble's pick of n, with monitors that may end it."""
    settings = walk.config.alignment.best_of_n_sft
    if settings is None:
        return Outcome(skipped=("best-of-n distillation: the recipe does not ask for it",), said="left out")
    seen = watched_run(walk, aggregation=settings.aggregation, is_guarded=settings.is_guarded)
    per_round = -(-len(seen.prompts) // settings.per_device_train_batch_size) * settings.epochs_per_round
    steps = per_round * settings.rounds
    with walk.bar("best-of-n distillation", min(steps, settings.max_steps or steps)) as advance:
        told = run_context(walk, "best-of-n-sft", advance)
        policy = run_best_of_n_sft(walk.fresh_model(), settings, told, seen, start=start_of(walk))
    return store_policy(walk, policy, how_it_ended(policy))


def tune_gkd(walk: Walk) -> Outcome:
    """On-policy distillation of earlier policies, with monitors that may end it."""
    settings = walk.config.alignment.gkd
    if settings is None:
        return Outcome(skipped=("on-policy distillation: the recipe does not ask for it",), said="left out")
    teachers = [_teacher(walk, name) for name in settings.teachers]
    seen = watched_run(walk, is_guarded=settings.is_guarded, has_parts=False)
    completions = len(seen.prompts) * settings.num_generations
    steps = -(-completions // settings.per_device_train_batch_size) * settings.epochs_per_round * settings.rounds
    with walk.bar("distillation", min(steps, settings.max_steps or steps)) as advance:
        told = run_context(walk, "gkd", advance)
        policy = run_gkd(walk.fresh_model(), teachers, settings, told, seen, start=start_of(walk))
    return store_policy(walk, policy, f"{len(teachers)} teachers; {how_it_ended(policy)}")


def _teacher(walk: Walk, name: str) -> PolicyVersion:
    """The latest policy of that name, or the one with that id. Raises InputError for none, or one without weights."""
    records = walk.workspace.records
    named = [policy for policy in records.all(PolicyVersion) if policy.name == name]
    policy = named[-1] if named else records.get(PolicyVersion, name)
    if policy.adapter is None or policy.method == "best_of_n":
        do = "name one that `assay align` made"
        raise InputError(explain(expected="a teacher with weights of its own", got=f"{policy.method} {name}", do=do))
    return policy
