"""Migrate: brings a workspace's database of before to the tables of this Assay."""

from rich.markup import escape

from assay.cli.context import DEFAULT_WORKSPACE, WorkspaceOption, console, existing_workspace
from assay.storage.workspace import migrate_workspace


def migrate(workspace: WorkspaceOption = DEFAULT_WORKSPACE) -> None:
    """Bring a workspace's database to the tables of this Assay, all of it or none; stop what serves it first."""
    done = migrate_workspace(existing_workspace(workspace))
    if done.before == done.after:
        console.print(f"the database is at revision {done.after} already")
    else:
        console.print(f"the database went from revision {done.before or 'none'} to [bold]{done.after}[/bold]")
    if done.copy:
        console.print(f"copy of before: {escape(str(done.copy))}")
        console.print("delete it when all is well: erasing does not reach it")
    console.print(f"next: [cyan]assay init --show -w {escape(str(workspace))}[/cyan]")
