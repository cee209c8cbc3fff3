"""Bench: the project's claims, measured: a table for people, `--json` for machines, exit 1 when a bar falls short."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from assay.bench.bars import bars_as_json
from assay.bench.walk import WalkMeasurement, bars_of, bench_walk
from assay.cli.context import console
from assay.storage.artifacts import write_atomically

app = typer.Typer(no_args_is_help=True, help="Measure what the project claims.")


@app.callback()
def group() -> None:
    """Measure what the project claims."""


@app.command()
def walk(
    quick: Annotated[bool, typer.Option("--quick", help="Under a minute; its numbers are no claim.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every bar to this file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the run in this empty directory.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="default, a directory, or a hub id.")] = None,
) -> None:
    """Run the demo and print seconds a stage, memory, tokens a second, and the gold that both loops kept."""
    with tempfile.TemporaryDirectory() as scratch:
        measured = bench_walk(out or Path(scratch) / "run", is_quick=quick, model=model)
    _show(measured)
    bars = bars_of(measured)
    table = Table("bar", "measured", "required", "holds")
    for bar in bars:
        value = "not measured" if bar.measured is None else f"{bar.measured:.3g}"
        table.add_row(bar.name, value, bar.required, "yes" if bar.holds else "[red]no[/red]")
    console.print(table)
    if quick:
        console.print("[yellow]quick: a few steps only; these numbers are no claim[/yellow]")
    if json_file is not None:
        write_atomically(json_file, json.dumps(bars_as_json(bars), indent=1).encode())
    raise typer.Exit(0 if all(bar.holds for bar in bars) else 1)


def _show(measured: WalkMeasurement) -> None:
    table = Table("stage", "seconds", "CPU seconds", "tokens sampled a second")
    for stage in measured.stages:
        rate = f"{stage.tokens / stage.seconds:.0f}" if stage.tokens and stage.seconds else ""
        table.add_row(stage.stage, f"{stage.seconds:.1f}", f"{stage.cpu_seconds:.1f}", rate)
    console.print(table)
    for curve in measured.curves:
        kept = "nothing gained" if curve.kept is None else f"kept {curve.kept:.2f}"
        peak, final = curve.peak_gold or 0.0, curve.final_gold or 0.0
        console.print(f"{curve.name}: gold peaks at {peak:+.2f} s.d. and ends at {final:+.2f}; {kept}")
