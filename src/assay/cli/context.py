"""Context: what every command needs: the workspace, the clock, and one way to print an id and the next command."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from assay.records.errors import ConfigError, explain
from assay.storage import Workspace
from assay.storage.workspace import is_workspace

console = Console(soft_wrap=True, highlight=False)
error_console = Console(soft_wrap=True, highlight=False, stderr=True)

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="The project's directory.")]

DEFAULT_WORKSPACE = Path("runs/assay")


def now() -> datetime:
    """The current time in UTC; the only clock that the command line hands to the rooms."""
    return datetime.now(UTC)


def open_workspace(directory: Path) -> Workspace:
    """Open an existing workspace. Raises ConfigError when there is none."""
    if not is_workspace(directory):
        todo = f"make one with `assay init --workspace {directory}`"
        raise ConfigError(explain(expected=f"a workspace in {directory}", got="none", do=todo))
    return Workspace(directory)


def made(what: str, record_id: str, *, next_command: str) -> None:
    """Say what a command made and what to do next."""
    console.print(f"[bold]{escape(what)}[/bold] {escape(record_id)}")
    console.print(f"next: [cyan]{escape(next_command)}[/cyan]")
