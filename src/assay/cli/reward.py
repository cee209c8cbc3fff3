"""Reward: `assay reward`: learn rewards from preferences, calibrate them and list what they are worth.

The stages are imported inside the commands: torch takes seconds, and a list must not wait for it.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Column, Table

from assay.cli.align_settings import set_option
from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, open_workspace
from assay.cli.reward_probe import attribute, discover, probe
from assay.cli.reward_serve import export, serve
from assay.cli.run import set_values
from assay.cli.steps import ModelOption, SeedOption
from assay.records.reward import RewardKind, RewardQuality, RewardVersion
from assay.storage import SplitName

RewardSetOption = Annotated[list[str] | None, set_option("reward", "aggregation=wco")]

app = typer.Typer(no_args_is_help=True, help="Learn rewards from preferences, look into them, and serve them.")
app.command()(probe)
app.command()(attribute)
app.command()(discover)
app.command()(serve)
app.command()(export)


@app.command("train")
def train(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    kind: Annotated[RewardKind | None, typer.Option("--kind", help="What it is made of; ensemble by default.")] = None,
    name: Annotated[str, typer.Option("--name", help="Another name keeps it beside the proxy, as a part.")] = "proxy",
    settings: RewardSetOption = None,
    model: ModelOption = None,
    seed: SeedOption = 0,
) -> None:
    """Fit the proxy reward, and a watch panel where the watch split has enough data; or a further reward by --name."""
    from assay.cli.config import override
    from assay.cli.stages.learn import train_further, train_rewards
    from assay.cli.standing import open_walk, require
    from assay.cli.walk import run_stage

    section = override({}, set_values(settings))
    section |= {} if kind is None else {"kind": kind}
    stage = train_rewards if name == "proxy" else lambda walk: train_further(walk, name)
    with open_walk(workspace, model=model, seed=seed, reward=section) as walk:
        require(walk, "preferences", SplitName.TRAIN.value, do="assay preferences fit")
        record = run_stage(walk, "rewards", stage, label="rewards")
    made("reward", record.outputs[name], next_command=f"assay align dpo -w {workspace}")


@app.command("show")
def show(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """List the rewards with their held-out quality."""
    whole = [Column(heading, no_wrap=True, min_width=12) for heading in ("id", "name")]
    made_of = Column("made of", no_wrap=True, min_width=10)
    table = Table(*whole, made_of, "members", "pairs", "accuracy", "NLL", "ECE", "length correlation", padding=(0, 0))
    versions = open_workspace(workspace).records.all(RewardVersion)
    for one in versions:
        q = one.quality
        numbers = (f"{q.accuracy:.2f}", f"{q.nll:.3f}", f"{q.ece:.3f}", f"{q.length_correlation:+.2f}")
        table.add_row(
            one.short_id, one.name, one.made_of or "ensemble", str(one.members), str(one.training_pairs), *numbers
        )
    console.print(table)
    for one in versions:
        _print_parts(one)


def _print_parts(version: RewardVersion) -> None:
    """The heads of a reward by name, where each speaks of a thing of its own."""
    for part in version.parts or ():
        accuracy = "not measured" if part.accuracy is None else f"{part.accuracy:.2f}"
        weight = "" if part.weight is None else f", weight {part.weight:.2f}"
        console.print(f"{version.short_id} {escape(part.name)}: accuracy {accuracy}, {part.rows} rows{weight}")
    for note in version.notes:
        console.print(f"{version.short_id} note: {escape(note)}")


@app.command("calibrate")
def calibrate(
    reward: Annotated[str, typer.Argument(help="Id of a reward, or its first digits.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    method: Annotated[
        Literal["temperature", "isotonic"], typer.Option(help="One number, or any increasing curve.")
    ] = "temperature",
    plot: Annotated[Path | None, typer.Option(help="Write the reliability diagram to this file as SVG.")] = None,
    model: ModelOption = None,
    seed: SeedOption = 0,
) -> None:
    """Calibrate a reward anew on the prompts that it was not fitted on; what it says is out of sample."""
    from assay.cli.stages.learn import recalibrate_reward
    from assay.cli.standing import open_walk
    from assay.rewards.reliability_plot import draw_reliability

    with open_walk(workspace, model=model, seed=seed) as walk:
        version = recalibrate_reward(walk, reward, method)
    for table in (_reliability(version.quality), _by_margin(version.quality), _by_spread(version.quality)):
        console.print(table)
    q = version.quality
    by = f"temperature {q.temperature:.2f}" if method == "temperature" else "an isotonic curve"
    spread = "no rank correlation" if q.spread_rank_correlation is None else f"{q.spread_rank_correlation:+.2f}"
    console.print(
        f"{by}: ECE {q.ece_before:.3f} to {q.ece:.3f}, NLL {q.nll:.3f}, Brier {q.brier or 0:.3f} on {q.pairs} pairs; "
        f"spread against error {spread}"
    )
    if plot is not None:
        draw_reliability(q, plot, title=version.name)
        console.print(f"wrote {escape(str(plot))}")
    made("reward", version.id, next_command=f"assay align dpo -w {workspace}")


def _reliability(quality: RewardQuality) -> Table:
    table = Table("predicted", "observed", "pairs, both orders", title="Reliability on held-out prompts")
    for one in quality.reliability:
        table.add_row(f"{one.predicted:.2f}", f"{one.observed:.2f}", str(one.count))
    return table


def _by_margin(quality: RewardQuality) -> Table:
    table = Table("people sure to", "pairs", "accuracy", "NLL", title="By how sure people were")
    for one in quality.by_margin or ():
        accuracy = "-" if one.accuracy is None else f"{one.accuracy:.2f}"
        table.add_row(f"{one.low:.2f} to {one.high:.2f}", str(one.count), accuracy, f"{one.nll:.3f}")
    return table


def _by_spread(quality: RewardQuality) -> Table:
    table = Table("members' spread", "pairs", "mean error", "covered", title="By how far the members are apart")
    for one in quality.by_spread or ():
        table.add_row(f"{one.spread:.2f}", str(one.count), f"{one.error:.2f}", f"{one.covered:.2f}")
    return table
