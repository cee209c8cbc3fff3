"""Bench policy: `assay bench policy`, token policies pushed against hackable rewards, guarded and unguarded.

The room is imported inside the command: torch takes seconds, and `--help` must not wait for it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console

if TYPE_CHECKING:
    from assay.bench.policy import SeedOutcome


def policy(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many worlds.")] = 5,
    first_seed: Annotated[
        int | None, typer.Option("--first-seed", min=0, help="1000; seeds below are for development.")
    ] = None,
    processes: Annotated[int | None, typer.Option("--processes", min=1, help="Default: one a core.")] = None,
    peer_python: Annotated[Path | None, typer.Option("--peer-python", help="A Python with TRL 1.16.")] = None,
) -> None:
    """Train a small transformer, push it against learnt rewards arm by arm, and say what each arm kept of the gold."""
    from assay.bench.policy import PolicySettings, bars_of, gap_to_wco, rows_of, run_seeds
    from assay.bench.policy.presets import FIRST_SEED, QUICK
    from assay.bench.policy.summary import GUARDED

    settings = QUICK if quick else PolicySettings()
    first = FIRST_SEED if first_seed is None else first_seed
    chosen = list(range(first, first + (1 if quick else seeds)))
    workers = min(len(chosen), processes or os.cpu_count() or 1)
    outcomes = run_seeds(chosen, settings, processes=workers, peer_python=peer_python, done=_say)
    _show(outcomes)
    gaps = {name: gap_to_wco(outcomes, name) for name in GUARDED}
    details = {
        "settings": settings.model_dump(mode="json"),
        "gap_to_wco": {name: None if gap is None else gap._asdict() for name, gap in gaps.items()},
        "rows": [row._asdict() for row in rows_of(outcomes)],
        "seeds": [outcome.model_dump(mode="json") for outcome in outcomes],
    }
    finish("policy", bars_of(outcomes), is_quick=quick, json_file=json_file, details=details)


def _say(outcome: "SeedOutcome") -> None:
    console.print(
        f"seed {outcome.seed}: base loss {outcome.base_loss:.2f}, {outcome.pairs} pairs, "
        f"reward's held-out accuracy {outcome.reward_accuracy:.2f}"
    )


def _show(outcomes: "Sequence[SeedOutcome]") -> None:
    from assay.bench.policy import gap_to_wco, rows_of
    from assay.bench.policy.summary import GUARDED, base_prevalence

    base = base_prevalence(outcomes)
    table = Table(Column("arm", no_wrap=True), "best", "at stop", "kept", "over-opt.", "KL", *base, "words")
    table.add_row("base", "", "0.00", "", "", "", *(f"{share:.0%}" for share in base.values()), _words(outcomes))
    for row in rows_of(outcomes):
        kept = "-" if row.kept is None else f"{row.kept:.2f}"
        shares = (f"{row.prevalence[name]:.0%}" for name in base)
        numbers = (f"{row.peak:.2f}", f"{row.stop:.2f}", kept, f"{row.over_optimised:.0%}", f"{row.kl:.1f}")
        table.add_row(row.arm, *numbers, *shares, f"{row.words:.1f}")
    console.print(table)
    for name in GUARDED:
        gap = gap_to_wco(outcomes, name)
        if gap is not None:
            console.print(
                f"{name} where it stops less WCO's best stop: {gap.mean:+.2f} s.d. [{gap.low:+.2f}, {gap.high:+.2f}]"
            )


def _words(outcomes: "Sequence[SeedOutcome]") -> str:
    return f"{sum(outcome.base.words for outcome in outcomes) / len(outcomes):.1f}"
