"""Steps: `assay align` and `assay evaluate`: one stage of the walk at a time, on a workspace.

The stages are imported inside the commands: torch takes seconds, and a roll-back or an audit must not wait for it.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from assay.cli.align_settings import ConfigOption, FromTrlOption, TrlTrainerOption, read_told, set_option
from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, made
from assay.cli.run import ResumeOption, set_values
from assay.records.errors import ConfigError, InputError, explain
from assay.records.judgement import Demonstration
from assay.records.policy import PolicyVersion
from assay.storage import SplitName

if TYPE_CHECKING:
    from assay.alignment.distributed import Group
    from assay.cli.walk import Walk

ModelOption = Annotated[
    str | None, typer.Option(help="Where the model lies now, if it moved; the one that `assay init` named by default.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random.")]
OwnSeedOption = Annotated[int | None, typer.Option(help="Seed of everything random; 0, or that of --from-trl.")]
AlignSetOption = Annotated[list[str] | None, set_option("alignment", "dpo.beta=0.2")]
EvaluationSetOption = Annotated[list[str] | None, set_option("evaluation", "max_prompts=32")]

ProcessesOption = Annotated[int, typer.Option(min=1, help="Share each step out to so many processes; sft and dpo.")]
DistributedOption = Annotated[
    Literal["none", "ddp", "fsdp2"],
    typer.Option(help="What processes share: rows (ddp; the same as none), or the frozen weights as well (fsdp2)."),
]
RayOption = Annotated[bool, typer.Option("--ray", help="Let Ray Train start the processes; needs `assay[ray]`.")]
SHAREABLE = ("sft", "dpo")
PUSHING = ("online_dpo", "grpo", "ppo", "best_of_n_sft")
"""Methods whose reward may have parts."""

align = typer.Typer(no_args_is_help=True, help="Tune a policy under the eyes of the monitors.")


METHODS = {
    "sft": "Fine-tune on the training demonstrations.",
    "dpo": "DPO on people's preferences.",
    "online-dpo": "Push the policy against the learnt reward, guarded.",
    "grpo": "Push the policy against the learnt reward by policy gradients (GRPO, RLOO, REINFORCE++), guarded.",
    "ppo": "Push the policy against the learnt reward with a critic (PPO), guarded.",
    "best-of-n-sft": "Fine-tune on the learnt reward's pick of n completions, guarded.",
    "gkd": "Distil earlier policies into one, on its own samples, guarded.",
}


FuncsOption = Annotated[
    list[str] | None,
    typer.Option("--reward-funcs", help="A part of the reward: learnt, a rule, or a stored reward (repeatable)."),
]
WeightsOption = Annotated[
    list[float] | None, typer.Option("--reward-weights", help="The parts' weights, in their order (repeatable).")
]


def _align_by(method: str) -> Callable[..., None]:
    """The command of one method; all take the same options, and say which are none of theirs."""

    def command(
        workspace: WorkspaceOption = DEFAULT_WORKSPACE,
        config: ConfigOption = None,
        settings: AlignSetOption = None,
        resume: ResumeOption = False,
        model: ModelOption = None,
        seed: OwnSeedOption = None,
        processes: ProcessesOption = 1,
        distributed: DistributedOption = "none",
        with_ray: RayOption = False,
        from_trl: FromTrlOption = None,
        trl_trainer: TrlTrainerOption = None,
        funcs: FuncsOption = None,
        weights: WeightsOption = None,
    ) -> None:
        from assay.cli.processes import as_one_of, is_launched, start

        parts = _Parts(funcs or [], weights or [])
        if any(parts) and method not in PUSHING:
            do = "leave --reward-funcs and --reward-weights out"
            got = method.replace("_", "-")
            raise ConfigError(explain(expected="a method that pushes against a reward", got=got, do=do))
        if (processes > 1 or with_ray) and not is_launched(os.environ):
            _require_shareable(method)
            if with_ray:
                from assay.cli.ray_train import start_under_ray

                start_under_ray(sys.argv[1:], processes, scratch=workspace / "scratch" / "ray")
            else:
                start(sys.argv[1:], processes)
            return
        with as_one_of(distributed, os.environ) as group:
            told = read_told(method, from_trl, trl_trainer, config, settings, is_heard=group.is_leader)
            _name_parts(told.section, parts)
            chosen = told.seed if seed is None else seed
            _tune(method, workspace, told.section, resume=resume, model=model, seed=chosen or 0, group=group)

    return command


for _method, _help in METHODS.items():
    align.command(_method, help=_help)(_align_by(_method.replace("-", "_")))


class _Parts(NamedTuple):
    """Parts of a reward as flags name them, with as many weights or none."""

    funcs: list[str]
    weights: list[float]


def _name_parts(section: dict[str, Any], parts: _Parts) -> None:
    """Write the parts that flags name into a recipe's `alignment`; what it says of a part of the name is kept."""
    from assay.rewards.rules import RULES

    if parts.weights and len(parts.weights) != len(parts.funcs):
        got = f"{len(parts.weights)} for {len(parts.funcs)}"
        do = "give --reward-weights once for each --reward-funcs, or not at all"
        raise ConfigError(explain(expected="a weight for each part of the reward", got=got, do=do))
    if not parts.funcs:
        return
    known = section.get("reward_parts") or {}
    section["reward_parts"] = {}
    for number, func in enumerate(parts.funcs):
        name = f"reward-{func[:12]}" if re.fullmatch(r"[0-9a-f]{8,64}", func) else func
        kind = {} if func == "learnt" else {"rule" if func in RULES else "reward": func}
        weight = {"weight": parts.weights[number]} if parts.weights else {}
        section["reward_parts"][name] = {**kind, **known.get(name, {}), **weight}


def evaluate(
    policy: Annotated[str, typer.Argument(help="Id of a policy, or its first digits.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    settings: EvaluationSetOption = None,
    model: ModelOption = None,
    seed: SeedOption = 0,
) -> None:
    """Judge a policy against the base model by raters that training never used."""
    from assay.cli.config import override
    from assay.cli.stages.judge import judge
    from assay.cli.standing import open_walk, require
    from assay.cli.walk import run_stage

    section = override({}, set_values(settings))
    with open_walk(workspace, model=model, seed=seed, evaluation=section) as walk:
        found = walk.workspace.records.get(PolicyVersion, policy)
        if found.adapter is None or found.method == "best_of_n":
            do = "name one that `assay align` made"
            raise InputError(explain(expected="a policy with weights of its own", got=found.method, do=do))
        require(walk, "preferences", SplitName.HELD_OUT.value, do="assay preferences fit --split held_out")
        record = run_stage(walk, "evaluation", lambda walk: judge(walk, found), label="evaluation")
    next_command = f"assay report -w {workspace}, then assay release request {found.short_id} -w {workspace}"
    made("evidence", record.outputs["evidence"], next_command=next_command)


def _require_shareable(method: str) -> None:
    if method not in SHAREABLE:
        name, do = method.replace("_", "-"), "leave --processes out; its steps follow draws that one process makes"
        raise ConfigError(explain(expected=f"{' or '.join(SHAREABLE)} with --processes", got=name, do=do))


def _tune(
    method: str,
    workspace: Path,
    section: dict[str, Any],
    *,
    resume: bool,
    model: str | None,
    seed: int,
    group: "Group",
) -> None:
    from assay.cli.stages import distil, tune
    from assay.cli.standing import open_walk
    from assay.cli.walk import run_stage

    name, stage = {
        "sft": ("sft", tune.tune_sft),
        "dpo": ("dpo", tune.tune_dpo),
        "online_dpo": ("guarded", tune.tune_guarded),
        "grpo": ("grpo", tune.tune_grpo),
        "ppo": ("ppo", tune.tune_ppo),
        "best_of_n_sft": ("best-of-n-sft", distil.tune_best_of_n_sft),
        "gkd": ("gkd", distil.tune_gkd),
    }[method]
    with open_walk(workspace, model=model, seed=seed, resume=resume, group=group, alignment=section) as walk:
        require_data(walk, method)
        if not group.is_leader:
            stage(walk)
            return
        record = run_stage(walk, name, stage, label=name)
    policy = record.outputs["policy"]
    made("policy", policy, next_command=f"assay evaluate {policy[:12]} -w {workspace}")


def require_data(walk: "Walk", method: str) -> None:
    """Raise InputError that says what to do where the workspace lacks what a method learns from."""
    from assay.cli.standing import require

    if method != "sft":
        require(walk, "preferences", SplitName.TRAIN.value, do="assay preferences fit")
        require(walk, "rewards", "proxy", do="assay reward train")
    elif not walk.workspace.records.count(Demonstration, split=SplitName.TRAIN.value):
        do = f"import some with `assay feedback import FILE -w {walk.workspace.directory}`"
        raise InputError(explain(expected="demonstrations in the train split", got="none", do=do))
