"""Bench annotation: `assay bench annotation`, the annotation site under many people, and under kill -9."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from assay.bench.annotation import FULL, QUICK, AnnotationMeasurement, bars_of, bench_annotation
from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console, now


def annotation(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    items: Annotated[int | None, typer.Option(min=100, help="Items of the campaign; else 100,000.")] = None,
    rate: Annotated[float | None, typer.Option(min=1, help="Answers a second that people offer; else 220.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Server processes; else 8.")] = None,
    seconds: Annotated[float | None, typer.Option(min=5, help="How long they work; else 60.")] = None,
    database: Annotated[str | None, typer.Option(help="URL of an empty database; else SQLite.")] = None,
    workspace: Annotated[Path | None, typer.Option("--workspace", "-w", help="Keep the campaign here.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws what people answer, and when.")] = 0,
) -> None:
    """Measure how fast the site takes answers of 50 people and whether one is lost or doubled when it is killed."""
    plan = QUICK if quick else FULL
    given: dict[str, Any] = {"items": items, "rate": rate, "workers": workers, "seconds": seconds, "database": database}
    plan = plan._replace(seed=seed, **{name: value for name, value in given.items() if value is not None})
    with TemporaryDirectory() as temporary:
        measured = bench_annotation(
            plan, workspace or Path(temporary), clock=now, said=lambda words: console.print(words)
        )
    _show(measured)
    details = {"plan": plan._replace(database="given" if database else None)._asdict(), "measured": _plain(measured)}
    finish("annotation", bars_of(measured), is_quick=quick, json_file=json_file, details=details)


def _plain(measured: AnnotationMeasurement) -> dict[str, object]:
    parts = {name: getattr(measured, name)._asdict() for name in ("submit", "to_next", "reckoned", "over_kill")}
    return {**measured._asdict(), **parts}


def _show(measured: AnnotationMeasurement) -> None:
    console.print(f"{measured.items:,} items opened in {measured.open_s:.0f} s; {measured.cpu_ms:.1f} CPU ms a submit")
    for name, spread in (("submit", measured.submit), ("submit to next", measured.to_next)):
        told = ", ".join(f"{part} {value:.0f}" for part, value in spread._asdict().items())
        console.print(f"{name}, ms: {told}")
    console.print(
        f"{measured.reckoned.stored} judgements, {measured.over_kill.stored} after kill -9; "
        f"{measured.resent} tries until the site was back after {measured.restart_s:.1f} s"
    )
    for fault in measured.faults[:5]:
        console.print(f"fault: {fault}", markup=False)
