"""Ledger: verify the hash chain, show its entries, keep a checkpoint elsewhere."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, made, open_workspace
from assay.governance import read_checkpoint, write_checkpoint
from assay.records.errors import LedgerError, explain
from assay.storage import Ledger

app = typer.Typer(no_args_is_help=True, help="Verify and show the ledger of governance events.")


@app.command()
def verify(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    checkpoint_file: Annotated[Path | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere.")] = None,
) -> None:
    """Recompute every hash; with a checkpoint, also that nothing witnessed was cut off."""
    witness = read_checkpoint(checkpoint_file) if checkpoint_file else None
    found = _ledger(workspace).verify(witness)
    console.print(f"{found.size} entries verified, head {found.head}")
    if witness is None:
        console.print("a cut-off end shows only against a checkpoint; next: assay ledger checkpoint FILE")


@app.command()
def show(
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    event: Annotated[str | None, typer.Option(help="Only entries of this event.")] = None,
) -> None:
    """Print the entries, one a line."""
    for entry in _ledger(workspace).entries(event):
        console.print(f"{entry.seq} {entry.hash[:12]} {escape(entry.body.decode(errors='replace'))}")


@app.command()
def checkpoint(file: Path, workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Write the size and head of the verified chain to FILE; keep it where this host cannot rewrite it."""
    found = write_checkpoint(_ledger(workspace), file)
    made(f"checkpoint of {found.size} entries", found.head, next_command=f"assay ledger verify --checkpoint {file}")


def _ledger(workspace: Path) -> Ledger:
    """The ledger that is there; opening a workspace would make an empty one in place of one that was deleted."""
    if not (workspace / "ledger.db").exists():
        todo = "choose the workspace with --workspace, or restore the file from a backup"
        raise LedgerError(explain(expected=f"a ledger in {workspace}", got="none", do=todo))
    return open_workspace(workspace).ledger
