"""Plan: which stages a recipe runs, in order."""

from assay.cli.config import RunConfig
from assay.cli.stages.collect import (
    fit_preferences,
    import_feedback,
    open_model,
    simulate_feedback,
    write_demonstrations,
)
from assay.cli.stages.distil import tune_best_of_n_sft, tune_gkd
from assay.cli.stages.judge import judge_latest
from assay.cli.stages.learn import train_rewards
from assay.cli.stages.release import decide_release
from assay.cli.stages.serve import serve_release
from assay.cli.stages.tune import tune_best_of_n, tune_dpo, tune_grpo, tune_guarded, tune_ppo, tune_sft, tune_unguarded
from assay.cli.walk import Outcome, Stage, Walk
from assay.evaluation.report import report_from_workspace

COLLECT_SIMULATED: tuple[tuple[str, Stage], ...] = (
    ("demonstrations", write_demonstrations),
    ("sft", tune_sft),
    ("feedback", simulate_feedback),
)
COLLECT_FROM_FILE: tuple[tuple[str, Stage], ...] = (("feedback", import_feedback), ("sft", tune_sft))
TUNE_AND_JUDGE: tuple[tuple[str, Stage], ...] = (
    ("preferences", fit_preferences),
    ("rewards", train_rewards),
    ("dpo", tune_dpo),
    ("unguarded", tune_unguarded),
    ("guarded", tune_guarded),
    ("grpo", tune_grpo),
    ("ppo", tune_ppo),
    ("best-of-n-sft", tune_best_of_n_sft),
    ("gkd", tune_gkd),
    ("best-of-n", tune_best_of_n),
    ("evaluation", judge_latest),
    ("release", decide_release),
    ("deployment", serve_release),
)


def write_report(walk: Walk) -> Outcome:
    """Write the report on what the walk found, where there is evidence."""
    if walk.output("evaluation", "evidence") is None:
        return Outcome(skipped=("report: there is no evidence to report on",), said="left out")
    path = report_from_workspace(walk.workspace, walk.workspace.directory / "report.html")
    return Outcome({"report": str(path)}, said=str(path))


def stages_of(config: RunConfig) -> list[tuple[str, Stage]]:
    """The stages of a run. The simulated panel judges what the fine-tuned model says, so SFT comes first there."""
    collect = COLLECT_SIMULATED if config.feedback.source == "simulated" else COLLECT_FROM_FILE
    return [("model", open_model), *collect, *TUNE_AND_JUDGE, ("report", write_report)]
