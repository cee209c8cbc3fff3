"""Whole: runs a configured walk from end to end and says where the report is. The heavy half of `run`."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from assay.cli.config import RunConfig, override, parse_config, read_config
from assay.cli.context import console
from assay.cli.stages.plan import stages_of
from assay.cli.walk import run_walk
from assay.records.run import StageRecord


def walk_demo(overrides: dict[str, Any], out: Path | None, *, resume: bool) -> None:
    """Walk the demo."""
    data: dict[str, Any] = yaml.safe_load(files("assay.cli").joinpath("demo.yaml").read_text(encoding="utf-8"))
    walk(parse_config(override(data, overrides), where="the demo's settings"), out, resume=resume)


def walk_recipe(recipe: Path, overrides: dict[str, Any], out: Path | None, *, resume: bool) -> None:
    """Walk a recipe."""
    walk(read_config(recipe, overrides=overrides), out, resume=resume)


def walk(config: RunConfig, out: Path | None, *, resume: bool) -> None:
    """Run all stages and say where the report is and what to do next."""
    directory = out or Path("runs") / config.name
    if config.feedback.source == "simulated":
        console.print(
            "[yellow]The people of this run are simulated; its numbers say nothing about real people.[/yellow]"
        )
    workspace = run_walk(directory, config, stages_of(config), resume=resume)
    try:
        stages = {s.stage: s for s in workspace.records.all(StageRecord, subject=config.name)}
        ledger = workspace.ledger.verify()
        console.print(f"ledger: {ledger.size} entries verified, head {ledger.head[:12]}")
        total = sum(s.seconds for s in stages.values())
        peak = max(s.peak_memory_mib for s in stages.values())
        console.print(f"total {total:.0f} s, peak memory {peak / 1024:.1f} GiB")
        report = stages["report"].outputs.get("report")
        if report:
            console.print(f"[bold]report[/bold] {report}")
        console.print(f"next: [cyan]assay ledger show -w {directory}[/cyan], or `assay --help`")
    finally:
        workspace.close()
