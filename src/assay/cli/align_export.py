"""Align export: `assay align export`: a run written for TRL, verl or OpenRLHF, to be launched on a cluster."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from assay.cli.align_settings import ConfigOption, FromTrlOption, TrlTrainerOption, read_told, set_option
from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console
from assay.cli.steps import ModelOption, OwnSeedOption, require_data


class PeerName(StrEnum):
    """The trainers that a run can be written for."""

    TRL = "trl"
    VERL = "verl"
    OPENRLHF = "openrlhf"


class MethodName(StrEnum):
    """The methods that a run can be written of."""

    SFT = "sft"
    DPO = "dpo"
    GRPO = "grpo"


def export(
    method: Annotated[MethodName, typer.Argument(help="The method whose run is written.")],
    to: Annotated[PeerName, typer.Option("--to", help="The trainer that it is written for.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory to write; there must be none yet.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    config: ConfigOption = None,
    settings: Annotated[list[str] | None, set_option("alignment", "dpo.beta=0.2")] = None,
    model: ModelOption = None,
    seed: OwnSeedOption = None,
    from_trl: FromTrlOption = None,
    trl_trainer: TrlTrainerOption = None,
) -> None:
    """Write data, settings, reward and launch script of a run for TRL, verl or OpenRLHF."""
    told = read_told(method, from_trl, trl_trainer, config, settings)
    from assay.cli.stages.elsewhere import export_run
    from assay.cli.standing import open_walk

    chosen = (told.seed if seed is None else seed) or 0
    with open_walk(workspace, model=model, seed=chosen, alignment=told.section) as walk:
        require_data(walk, method)
        bundle = export_run(walk, method, to.value, out)
    for difference in bundle.differences:
        console.print(f"[yellow]otherwise than here:[/yellow] {escape(difference)}")
    console.print(f"[bold]written[/bold] {escape(str(out))}: {escape(', '.join(sorted(bundle.files)))}")
    console.print(f"next: [cyan]{escape(str(out / 'launch.sh'))}[/cyan] where {to.value} is installed")
