"""Reward: `assay reward`: learn rewards from preferences and list what they are worth.

The stages are imported inside the commands: torch takes seconds, and a list must not wait for it.
"""

from typing import Annotated

import typer
from rich.table import Column, Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, open_workspace
from assay.cli.run import set_values
from assay.cli.steps import ModelOption, SeedOption, set_option
from assay.records.reward import RewardVersion
from assay.storage import SplitName

RewardSetOption = Annotated[list[str] | None, set_option("reward", "aggregation=wco")]

app = typer.Typer(no_args_is_help=True, help="Learn rewards from preferences.")


@app.command("train")
def train(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    settings: RewardSetOption = None,
    model: ModelOption = None,
    seed: SeedOption = 0,
) -> None:
    """Fit the proxy reward, and a watch panel where the watch split has enough data."""
    from assay.cli.config import override
    from assay.cli.stages.learn import train_rewards
    from assay.cli.standing import open_walk, require
    from assay.cli.walk import run_stage

    section = override({}, set_values(settings))
    with open_walk(workspace, model=model, seed=seed, reward=section) as walk:
        require(walk, "preferences", SplitName.TRAIN.value, do="assay preferences fit")
        record = run_stage(walk, "rewards", train_rewards, label="rewards")
    made("reward", record.outputs["proxy"], next_command=f"assay align dpo -w {workspace}")


@app.command("show")
def show(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """List the rewards with their held-out quality."""
    whole = [Column(heading, no_wrap=True, min_width=12) for heading in ("id", "name")]
    table = Table(*whole, "members", "pairs", "accuracy", "NLL", "ECE", "length correlation", padding=(0, 0))
    for one in open_workspace(workspace).records.all(RewardVersion):
        q = one.quality
        numbers = (f"{q.accuracy:.2f}", f"{q.nll:.3f}", f"{q.ece:.3f}", f"{q.length_correlation:+.2f}")
        table.add_row(one.short_id, one.name, str(one.members), str(one.training_pairs), *numbers)
    console.print(table)
