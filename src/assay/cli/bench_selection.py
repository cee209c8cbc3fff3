"""Bench selection: `assay bench selection`, labels that choosing what to ask saves against drawing at random.

The benchmark is imported inside the command: torch takes seconds, and other commands must not wait for it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console, now

if TYPE_CHECKING:
    from assay.bench.selection import SelectionMeasurement


def selection(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    data: Annotated[Path | None, typer.Option("--data", help="Directory with pandalm/testset-v1.json.")] = None,
    model: Annotated[str, typer.Option(help="The backbone that PandaLM is seen through.")] = "default",
    seeds: Annotated[int | None, typer.Option(min=2, help="Pools of each kind; else 40.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first seed.")] = 2000,
) -> None:
    """Measure the labels that selection saves, on two kinds of simulated pools and on PandaLM where it is given."""
    from assay.bench.selection import FULL, QUICK, bars_of, bench_selection

    plan = (QUICK if quick else FULL)._replace(seed=seed, data=data, model=model)
    plan = plan._replace(seeds=seeds or plan.seeds)
    with TemporaryDirectory() as scratch:
        measured = bench_selection(
            plan, scratch=Path(scratch), now=now(), said=lambda words: console.print(words, markup=False)
        )
    _show(measured)
    details = {
        "plan": {
            **plan._asdict(),
            "data": None if data is None else str(data),
            "rounds": plan.rounds._asdict(),
            "real_rounds": plan.real_rounds._asdict(),
        },
        "pools": {
            name: {**outcome._asdict(), "saving": outcome.saving._asdict()} for name, outcome in measured.pools.items()
        },
    }
    finish("selection", bars_of(measured), is_quick=quick, json_file=json_file, details=details)


def _show(measured: "SelectionMeasurement") -> None:
    table = Table("pool", "random", "selected", "labels saved", "95 %", "bias: random arm", "the other arm")
    for name, outcome in measured.pools.items():
        one = outcome.saving
        ends = f"{outcome.random[-1]:.3f}", f"{outcome.selected[-1]:.3f}"
        gaps = f"{outcome.random_gap:+.3f} ({outcome.random_gap_error:.3f})", f"{outcome.informative_gap:+.3f}"
        table.add_row(name, *ends, f"{one.saved:.0%}", f"{one.low:+.2f} to {one.high:+.2f}", *gaps)
    console.print(table)
