"""Bench walk: `assay bench walk`, the demo measured."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from assay.bench.walk import WalkMeasurement, bars_of, bench_walk, stage_rows
from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console


def walk(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Keep the run in this empty directory.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="default, a directory, or a hub id.")] = None,
) -> None:
    """Run the demo and print seconds a stage, memory, tokens a second, and the gold that both loops kept."""
    with tempfile.TemporaryDirectory() as scratch:
        measured = bench_walk(out or Path(scratch) / "run", is_quick=quick, model=model)
    _show(measured)
    details = {"stages": stage_rows(measured), "verdict": measured.verdict}
    finish("walk", bars_of(measured), is_quick=quick, json_file=json_file, details=details)


def _show(measured: WalkMeasurement) -> None:
    table = Table("stage", "seconds", "CPU seconds", "tokens sampled a second")
    for row in stage_rows(measured):
        rate = row["tokens_per_second"]
        shown = "" if rate is None else f"{rate:.0f}"
        table.add_row(str(row["stage"]), f"{row['seconds']:.1f}", f"{row['cpu_seconds']:.1f}", shown)
    console.print(table)
    for curve in measured.curves:
        kept = "nothing gained" if curve.kept is None else f"kept {curve.kept:.2f}"
        peak, final = curve.peak_gold or 0.0, curve.final_gold or 0.0
        console.print(f"{curve.name}: gold peaks at {peak:+.2f} s.d. and ends at {final:+.2f}; {kept}")
