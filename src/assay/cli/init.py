"""Init: makes a workspace, or says what one holds."""

from typing import Annotated

import typer
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.storage import Workspace


def init(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: Annotated[
        str, typer.Option(help="default, a directory, or a hub id: the model that everything starts from.")
    ] = ("default"),
    show: Annotated[bool, typer.Option("--show", help="Only say what the workspace holds.")] = False,
) -> None:
    """Make a workspace with its reference policy, or show what one holds."""
    if show:
        _show(open_workspace(workspace))
        return
    opened = Workspace(workspace)
    reference = PolicyVersion(
        created_at=now(),
        name="reference",
        base_model=model,
        adapter=None,
        ref_policy=None,
        method="reference",
        provenance=Provenance(seed=0, data_hash="", code_version=code_version(), config_hash=digest(model)),
    )
    opened.records.put(reference, subject=reference.name)
    made("reference policy", reference.id, next_command=f"assay feedback import FILE -w {workspace}")


def _show(workspace: Workspace) -> None:
    table = Table("kind", "records")
    for kind, count in workspace.records.kinds().items():
        table.add_row(kind, str(count))
    console.print(table)
    ledger = workspace.ledger.verify()
    console.print(f"ledger: {ledger.size} entries, head {ledger.head[:12]}")
