"""Bench aggregation: `assay bench aggregation`, adding judgements up measured, with crowd-kit beside it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from assay.bench.aggregation import FULL, QUICK, AggregationMeasurement, bars_of, bench_aggregation
from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console

NO_PEER = (
    "crowd-kit was not measured, so the bars beside it are not: give --peer-python a Python that has crowd-kit==1.4.2"
)


def aggregation(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    peer_python: Annotated[Path | None, typer.Option("--peer-python", help="A Python with crowd-kit 1.4.2.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the simulated panels.")] = 0,
) -> None:
    """Measure what the joint fit costs, the order of pairs in worlds unlike its model, and minority findings."""
    plan = (QUICK if quick else FULL)._replace(peer_python=peer_python, seed=seed)
    measured = bench_aggregation(plan, said=lambda words: console.print(words))
    _show(measured)
    if peer_python is None:
        console.print(f"[yellow]{NO_PEER}[/yellow]")
    details = {
        "plan": {**plan._asdict(), "peer_python": None if peer_python is None else str(peer_python)},
        "measured": {
            **measured._asdict(),
            "costs": [cost._asdict() for cost in measured.costs],
            "minority": measured.minority._asdict(),
        },
    }
    finish("aggregation", bars_of(measured), is_quick=quick, json_file=json_file, details=details)


def _show(measured: AggregationMeasurement) -> None:
    table = Table("right pairs", *measured.order)
    for method in next(iter(measured.order.values())):
        table.add_row(method, *(f"{shares[method]:.4f}" for shares in measured.order.values()))
    if measured.peer_order is not None:
        for method in next(iter(measured.peer_order.values())):
            table.add_row(f"crowd-kit {method}", *(f"{shares[method]:.4f}" for shares in measured.peer_order.values()))
    console.print(table)
    for cost in measured.costs:
        console.print(
            f"{cost.judgements:,} judgements: {cost.cpu_s:.2f} CPU s, {cost.peak_mib:.0f} MiB, {cost.iterations} steps"
        )
    for method, seconds in (measured.peer_cpu_s or {}).items():
        console.print(f"crowd-kit {method}: {seconds:.1f} CPU s, {(measured.peer_peak_mib or {})[method]:.0f} MiB")
    found = measured.minority
    console.print(
        f"planted groups found: {found.power:.2f} (all judge all), {found.sparse_power:.2f} (a quarter each), "
        f"{found.one_pair_power:.2f} (one pair alone)"
    )
