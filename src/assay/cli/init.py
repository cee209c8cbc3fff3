"""Init: makes a workspace, or says what one holds."""

from typing import Annotated

import typer
from rich.table import Table

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, now, open_workspace
from assay.records.errors import ConfigError, explain
from assay.records.policy import PolicyVersion
from assay.records.provenance import Provenance, code_version
from assay.records.record import digest
from assay.storage import Workspace
from assay.storage.lock import run_lock


def init(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    model: Annotated[
        str, typer.Option(help="default, a directory, or a hub id: the model that everything starts from.")
    ] = ("default"),
    database: Annotated[
        str | None,
        typer.Option(envvar="ASSAY_DATABASE_URL", help="Where a new workspace keeps its records; else SQLite in it."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only say what the workspace holds.")] = False,
) -> None:
    """Make a workspace with its reference policy, or show what one holds."""
    if show:
        _show(open_workspace(workspace))
        return
    with run_lock(workspace):
        opened = Workspace(workspace, database=database)
        try:
            reference = _reference(opened, model)
        finally:
            opened.close()
    made("reference policy", reference.id, next_command=f"assay feedback import FILE -w {workspace}")


def _reference(workspace: Workspace, model: str) -> PolicyVersion:
    """The workspace's reference policy, made where there is none; one of another model is refused."""
    for reference in workspace.records.all(PolicyVersion):
        if reference.method != "reference":
            continue
        if reference.base_model == model:
            return reference
        do = "choose another directory with --workspace: rewards and policies of two models do not mix"
        got = f"{reference.base_model!r} in {workspace.directory}"
        raise ConfigError(explain(expected=f"a workspace of the model {model!r}, or none", got=got, do=do))
    reference = PolicyVersion(
        created_at=now(),
        name="reference",
        base_model=model,
        adapter=None,
        ref_policy=None,
        method="reference",
        provenance=Provenance(seed=0, data_hash="", code_version=code_version(), config_hash=digest(model)),
    )
    workspace.records.put(reference, subject=reference.name)
    return reference


def _show(workspace: Workspace) -> None:
    table = Table("kind", "records")
    for kind, count in workspace.records.kinds().items():
        table.add_row(kind, str(count))
    console.print(table)
    ledger = workspace.ledger.verify()
    console.print(f"ledger: {ledger.size} entries, head {ledger.head[:12]}")
