"""Bench overoptimisation: `assay bench overoptimisation`, the safeguards against the literature and the peers.

The room is imported inside the command: torch takes seconds, and `--help` must not wait for it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Column, Table

from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console, now
from assay.records.errors import ConfigError, explain

if TYPE_CHECKING:
    from assay.bench.overoptimisation import Plan
    from assay.bench.overoptimisation.claims import RegimeReport
    from assay.bench.overoptimisation.metrics import DetectorSummary

QUICK_WORLD = {"prompts": 16, "candidates": 256, "reference": 1024}
QUICK_SEEDS = 4


def overoptimisation(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Seeds a regime; 1,000 as committed.")] = None,
    regimes: Annotated[str | None, typer.Option("--regimes", help="Only these, comma-separated.")] = None,
    world: Annotated[Path | None, typer.Option("--world", help="YAML with `world` and `regimes` of your own.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curves into this .svg or .png file.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; one a core.")] = None,
) -> None:
    """Optimise every arm's reward exactly, hold gold against it, and let detectors watch.

    Half an hour on two cores for 1,000 seeds a regime, three minutes for 100.
    """
    from assay.bench.overoptimisation import bars_of, load_plan, plot_curves, report, run_plan

    plan = _chosen(load_plan(world), regimes=regimes, seeds=seeds, is_quick=quick)
    total = plan.seeds * len(plan.regimes)
    with Progress(console=console) as progress:
        bar = progress.add_task("seeds", total=total)
        results = run_plan(
            plan,
            workers=workers or os.cpu_count() or 1,
            now=now(),
            progress=lambda played: progress.advance(bar, played),
        )
    found = report(plan, results)
    for regime in found.regimes.values():
        console.print(_arms(regime))
        console.print(_detectors(f"{regime.regime}: detectors", regime.detectors))
    if found.unseen_detectors:
        console.print(_detectors("all regimes that nothing was tuned on: detectors", found.unseen_detectors))
    if plot is not None:
        plot_curves(found, plot)
        console.print(f"curves: {plot}")
    details = found.model_dump(mode="json")
    finish("overoptimisation", bars_of(found), is_quick=quick, json_file=json_file, details=details)


def _chosen(plan: "Plan", *, regimes: str | None, seeds: int | None, is_quick: bool) -> "Plan":
    """The plan cut down to what was asked for; a quick one keeps off the evaluation seeds.

    Raises ConfigError for regimes that it does not have.
    """
    names = list(plan.regimes) if regimes is None else [name.strip() for name in regimes.split(",") if name.strip()]
    unknown = [name for name in names if name not in plan.regimes]
    if unknown or not names:
        expected = f"regimes among {', '.join(plan.regimes)}"
        got = ", ".join(unknown) or "none"
        raise ConfigError(explain(expected=expected, got=got, do="name one of these, or bring your own with --world"))
    changes: dict[str, object] = {"seeds": seeds or plan.seeds, "regimes": {name: plan.regimes[name] for name in names}}
    if is_quick:
        small = plan.world.model_copy(update=QUICK_WORLD)
        changes |= {"world": small, "seeds": seeds or QUICK_SEEDS, "first_seed": 0}
    return plan.model_copy(update=changes)


def _arms(regime: "RegimeReport") -> Table:
    tuned = "" if regime.is_tuned_on else ", not tuned on"
    columns = ("gold at stop [95 %]", "kept", "peak", "end", "area", "over-opt.", "n", "planted word")
    table = Table(
        _name("arm"), *columns, title=f"{regime.regime} ({regime.seeds} seeds{tuned}): best-of-n, gold in base s.d."
    )
    tilted = {f"{name}, tilt": arm for name, arm in regime.tilted.items()}
    for name, arm in {**regime.arms, **tilted}.items():
        gold = f"{arm.gold.value:+.2f} [{arm.gold.low:+.2f}, {arm.gold.high:+.2f}]"
        figures = (f"{arm.kept.value:.2f}", f"{arm.peak:+.2f}", f"{arm.final:+.2f}", f"{arm.area:+.2f}")
        stop = "" if name in tilted else f"{arm.stop:.0f}"
        word = f"{arm.prevalence['planted word']:.2f}"
        table.add_row(name, gold, *figures, f"{arm.over_optimised:.0%}", stop, word)
    return table


def _detectors(title: str, detectors: "dict[str, DetectorSummary]") -> Table:
    some = next(iter(detectors.values()))
    columns = ("precision", "recall", "lead", "lead, sqrt(KL)", "false alarms", "long healthy", "gold kept")
    table = Table(_name("detector"), *columns, title=f"{title} ({some.runs} runs, {some.hacked} of them hacked)")
    for name, one in detectors.items():
        shares = [_share(value) for value in (one.precision, one.recall)]
        alarms = [_share(value) for value in (one.false_alarms, one.false_alarms_long_healthy)]
        leads = [_number(value) for value in (one.lead, one.lead_sqrt_kl)]
        table.add_row(name, *shares, *leads, *alarms, f"{one.gold_kept:.2f}")
    return table


def _name(header: str) -> Column:
    return Column(header, no_wrap=True)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:+.1f}"
