"""Context: what every command needs: the workspace, the clock, and one way to print an id and the next command."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from assay.records.errors import ConfigError, explain
from assay.storage import Workspace
from assay.storage.workspace import is_workspace

PIPED_COLUMNS = 160
"""Width of tables that go to a file or a pipe, where the default of 80 would cut numbers off."""


def _width() -> int | None:
    """None, the terminal's own or what COLUMNS says, where there is one of them."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_COLUMNS


console = Console(soft_wrap=True, highlight=False, width=_width())
error_console = Console(soft_wrap=True, highlight=False, stderr=True)

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="The project's directory.")]

DEFAULT_WORKSPACE = Path("runs/assay")


def now() -> datetime:
    """The current time in UTC; the only clock that the command line hands to the rooms."""
    return datetime.now(UTC)


def existing_workspace(directory: Path) -> Path:
    """The directory of a workspace that is there. Raises ConfigError when there is none."""
    if not is_workspace(directory):
        todo = f"make one with `assay init --workspace {directory}`"
        raise ConfigError(explain(expected=f"a workspace in {directory}", got="none", do=todo))
    return directory


def open_workspace(directory: Path) -> Workspace:
    """Open an existing workspace. Raises ConfigError when there is none."""
    return Workspace(existing_workspace(directory))


def made(what: str, record_id: str, *, next_command: str) -> None:
    """Say what a command made and what to do next."""
    console.print(f"[bold]{escape(what)}[/bold] {escape(record_id)}")
    console.print(f"next: [cyan]{escape(next_command)}[/cyan]")
