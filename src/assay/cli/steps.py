"""Steps: `assay reward`, `assay align` and `assay evaluate`: one stage of the walk at a time, on a workspace.

The stages are imported inside the commands: torch takes seconds, and a roll-back or an audit must not wait for it.
"""

from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, open_workspace
from assay.records.errors import AssayError, ConfigError, explain
from assay.records.policy import PolicyVersion
from assay.records.reward import RewardVersion
from assay.storage.lock import run_lock

ModelOption = Annotated[str, typer.Option(help="default, a directory, or a hub id.")]
SeedOption = Annotated[int, typer.Option(help="Seed of everything random.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML with the keys of a recipe's `alignment`.")]

reward = typer.Typer(no_args_is_help=True, help="Learn rewards from preferences.")


@reward.command("train")
def train(workspace: WorkspaceOption = DEFAULT_WORKSPACE, model: ModelOption = "default", seed: SeedOption = 0) -> None:
    """Fit the proxy reward, and a watch panel where the watch split has enough data."""
    from assay.cli.stages.learn import train_rewards
    from assay.cli.standing import walk_over

    with run_lock(workspace):
        outcome = train_rewards(walk_over(open_workspace(workspace), model=model, seed=seed))
    _say(outcome.said, outcome.skipped)
    made("reward", outcome.outputs["proxy"], next_command=f"assay align dpo -w {workspace}")


@reward.command("show")
def show(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """List the rewards with their held-out quality."""
    table = Table("id", "name", "members", "pairs", "accuracy", "NLL", "ECE", "length correlation")
    for one in open_workspace(workspace).records.all(RewardVersion):
        q = one.quality
        numbers = (f"{q.accuracy:.2f}", f"{q.nll:.3f}", f"{q.ece:.3f}", f"{q.length_correlation:+.2f}")
        table.add_row(one.short_id, one.name, str(one.members), str(one.training_pairs), *numbers)
    console.print(table)


align = typer.Typer(no_args_is_help=True, help="Tune a policy under the eyes of the monitors.")


@align.command("sft")
def sft(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    model: ModelOption = "default",
    seed: SeedOption = 0,
) -> None:
    """Fine-tune on the training demonstrations."""
    _tune("sft", workspace, config, model=model, seed=seed)


@align.command("dpo")
def dpo(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    model: ModelOption = "default",
    seed: SeedOption = 0,
) -> None:
    """DPO on people's preferences."""
    _tune("dpo", workspace, config, model=model, seed=seed)


@align.command("online-dpo")
def online_dpo(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    model: ModelOption = "default",
    seed: SeedOption = 0,
) -> None:
    """Push the policy against the learnt reward, guarded."""
    _tune("online_dpo", workspace, config, model=model, seed=seed)


def evaluate(
    policy: Annotated[str, typer.Argument(help="Id of a policy, or its first digits.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: ModelOption = "default",
    seed: SeedOption = 0,
) -> None:
    """Judge a policy against the base model by raters that training never used."""
    from assay.cli.stages.judge import judge
    from assay.cli.standing import walk_over

    with run_lock(workspace):
        opened = open_workspace(workspace)
        found = opened.records.get(PolicyVersion, policy)
        walk = walk_over(opened, model=model, seed=seed)
        if walk.output("model", "policy") is None:
            do = f"make one with `assay init -w {workspace}`"
            raise ConfigError(explain(expected="a reference policy to compare with", got="none", do=do))
        outcome = judge(walk, found)
    _say(outcome.said, outcome.skipped)
    made("evidence", outcome.outputs["evidence"], next_command=f"assay report -w {workspace}")


def _tune(method: str, workspace: Path, config: Path | None, *, model: str, seed: int) -> None:
    from assay.cli.config import parse_alignment
    from assay.cli.stages import tune
    from assay.cli.standing import walk_over

    stages = {"sft": tune.tune_sft, "dpo": tune.tune_dpo, "online_dpo": tune.tune_guarded}
    settings = parse_alignment({method: {}} if config is None else _read(config), where=str(config))
    with run_lock(workspace):
        outcome = stages[method](walk_over(open_workspace(workspace), model=model, seed=seed, alignment=settings))
    _say(outcome.said, outcome.skipped)
    if "policy" not in outcome.outputs:
        do = f"give the keys of `{method}` in the file, and import what it needs"
        raise AssayError(explain(expected="a policy", got="; ".join(outcome.skipped), do=do))
    policy = outcome.outputs["policy"]
    made("policy", policy, next_command=f"assay evaluate {policy[:12]} -w {workspace}")


def _read(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        do = "name a YAML file with the keys of a recipe's `alignment`"
        raise ConfigError(explain(expected=f"settings in {path}", got=str(error), do=do)) from error


def _say(said: str, skipped: tuple[str, ...]) -> None:
    console.print(said)
    for reason in skipped:
        console.print(f"[yellow]skipped:[/yellow] {reason}")
