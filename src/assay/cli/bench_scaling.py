"""Bench scaling: `assay bench scaling`, how speed and memory go with the batch, the prompt, completions and processes.

The room is imported inside the command: torch takes seconds, and `--help` must not wait for it.
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console

if TYPE_CHECKING:
    from assay.bench.scaling import Row


def scaling(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    model: Annotated[str, typer.Option("--model", help="default, or a directory.")] = "default",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of every process.")] = 1,
    steps: Annotated[int, typer.Option("--steps", min=2, help="Steps of every run; the first is left out.")] = 3,
    pairs: Annotated[list[int] | None, typer.Option(min=1, help="Pairs a step (repeatable).")] = None,
    prompt_words: Annotated[list[int] | None, typer.Option(min=1, help="Words of a prompt (repeatable).")] = None,
    completions: Annotated[list[int] | None, typer.Option(min=2, help="Completions a prompt (repeatable).")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the texts and the adapter.")] = 0,
) -> None:
    """Measure tokens a second and peak memory against pairs a step, prompt length, completions and processes."""
    from assay.bench.scaling import ScalingPlan, bars_of, bench_scaling, rows_of
    from assay.bench.scaling import quick as at_quick_sizes

    plan = ScalingPlan(model, steps=steps, threads=threads, seed=seed)
    plan = at_quick_sizes(plan) if quick else plan
    plan = plan._replace(
        pairs=_asked(pairs, plan.pairs),
        prompt_words=_asked(prompt_words, plan.prompt_words),
        completions=_asked(completions, plan.completions),
    )
    with tempfile.TemporaryDirectory() as scratch:
        rows = rows_of(bench_scaling(plan, scratch=Path(scratch), said=lambda words: console.print(words)))
    _show(rows)
    details = {"plan": plan._asdict(), "rows": [row._asdict() for row in rows]}
    finish("scaling", bars_of(rows), is_quick=quick, json_file=json_file, details=details)


def _asked(values: list[int] | None, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(values))) if values else otherwise


def _show(rows: "list[Row]") -> None:
    table = Table("varied", "run", "tokens a step", "CPU s", "clock s", "tokens a CPU s", "drawn a CPU s", "MiB above")
    for row in rows:
        drawn = "" if row.drawn_a_cpu_s is None else f"{row.drawn_a_cpu_s:.1f}"
        seconds, rate = (f"{row.cpu_s:.2f}", f"{row.clock_s:.2f}"), f"{row.tokens_a_cpu_s:.0f}"
        table.add_row(row.varied, row.run, str(row.tokens), *seconds, rate, drawn, f"{row.above_mib:.0f}")
    console.print(table)
    loads = [row.load for row in rows]
    held = min(row.loaded_mib for row in rows), max(row.loaded_mib for row in rows)
    console.print(f"held before the first step: {held[0]:.0f} to {held[1]:.0f} MiB a process")
    console.print(f"load of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores")
