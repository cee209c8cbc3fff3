"""Bench: the project's claims, measured: a table for people, `--json` for machines, exit 1 when a bar falls short."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from assay.bench.bars import Bar, bars_as_json
from assay.cli.context import console
from assay.storage.artifacts import write_atomically

app = typer.Typer(no_args_is_help=True, help="Measure what the project claims.")

QuickOption = Annotated[bool, typer.Option("--quick", help="Under a minute; its numbers are no claim.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write every bar, and what it rests on, to this file.")]


@app.callback()
def group() -> None:
    """Measure what the project claims."""


def finish(
    name: str,
    bars: Sequence[Bar],
    *,
    is_quick: bool,
    json_file: Path | None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Print the bars, write them where asked, and end the command: with 1 when one falls short."""
    table = Table("bar", "measured", "required", "holds")
    for bar in bars:
        value = "not measured" if bar.measured is None else f"{bar.measured:.3g}"
        table.add_row(bar.name, value, bar.required, "yes" if bar.holds else "[red]no[/red]")
    console.print(table)
    if is_quick:
        console.print("[yellow]quick: a few steps only; these numbers are no claim[/yellow]")
    if json_file is not None:
        plain = bars_as_json(name, bars, is_quick=is_quick, details=details)
        write_atomically(json_file, json.dumps(plain, indent=1).encode())
    raise typer.Exit(0 if all(bar.holds for bar in bars) else 1)
