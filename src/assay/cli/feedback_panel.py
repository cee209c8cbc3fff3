"""Feedback panel: `assay feedback panel`: whom a campaign wants, and who came."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.feedback import current_judgements, find_campaign
from assay.feedback.diversity import Diversity, GroupShare, diversity
from assay.feedback.panels import Panel, panel_of, read_panel, told_by
from assay.records.judgement import Judgement


def panel(
    name: Annotated[str, typer.Argument(help="The campaign.")],
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    declare: Annotated[Path | None, typer.Option(help="Traits, quotas and experts (YAML).")] = None,
) -> None:
    """Show who judges a campaign beside whom it wants; small groups are withheld. Or declare whom it wants."""
    space = open_workspace(workspace)
    found = find_campaign(space.records, name)
    if declare is not None:
        wanted = read_panel(declare, campaign=name, now=now())
        space.records.put(wanted, subject=name)
    declared = panel_of(space.records, name) or Panel(campaign=name, created_at=now())
    said = current_judgements(one for one in space.records.all(Judgement) if one.campaign == name)
    told = {one: told_by(space.records, one) for one in {judgement.annotator for judgement in said}}
    space.close()
    _show(diversity(said, declared, told), declared)
    made("campaign", found.id, next_command=f"assay feedback serve --campaign {name} --workspace {workspace}")


def _show(report: Diversity, declared: Panel) -> None:
    console.print(
        f"{report.people} people, {report.answers} answers; {report.experts} experts gave {report.expert_answers}"
    )
    table = Table("group", "target", "people", "share of answers")
    for quota in report.quotas:
        table.add_row(*_row(quota, declared.smallest))
    for view in report.traits:
        evenness = "withheld" if view.evenness is None else f"{view.evenness:.2f}"
        table.add_row(view.trait, "", "", f"evenness {evenness}")
        for group in view.groups:
            table.add_row(*_row(group._replace(name=f"  {group.name}"), declared.smallest))
    if table.row_count:
        console.print(table)


def _row(group: GroupShare, smallest: int) -> tuple[str, str, str, str]:
    target = "" if group.target is None else f"{group.target:.0%}"
    if group.people is None or group.share is None:
        return group.name, target, f"withheld (groups below {smallest})", ""
    return group.name, target, str(group.people), f"{group.share:.0%}"
