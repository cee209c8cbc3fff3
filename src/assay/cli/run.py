"""Run: `assay demo` and `assay run RECIPE`: the whole walk, with progress, resumable, ending with the report."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from assay.cli.config import RunConfig, parse_config, read_config
from assay.cli.context import console
from assay.cli.stages.plan import stages_of
from assay.cli.walk import run_walk
from assay.records.errors import ConfigError
from assay.records.run import StageRecord

OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Directory of the run; runs/NAME by default.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Overrule a setting: --set alignment.dpo.beta=0.2 (repeatable).")
]
ModelOption = Annotated[str | None, typer.Option("--model", help="default, a directory, or a hub id.")]


def demo(
    out: OutOption = None,
    resume: ResumeOption = False,
    model: ModelOption = None,
    settings: SetOption = None,
) -> None:
    """The whole walk on SmolLM2-135M with a simulated panel: where the unguarded loop hacks, where the guard stops."""
    text = files("assay.cli").joinpath("demo.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.safe_load(text)
    for key, value in _overrides(model, None, settings).items():
        place = data
        *path, last = key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    walk(parse_config(data, where="the demo's settings"), out, resume=resume)


def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe in YAML, such as recipes/pandalm.yaml.")],
    judgements: Annotated[Path | None, typer.Option("--judgements", help="File of judgements to import.")] = None,
    out: OutOption = None,
    resume: ResumeOption = False,
    model: ModelOption = None,
    settings: SetOption = None,
) -> None:
    """Run the walk that a recipe describes."""
    walk(read_config(recipe, overrides=_overrides(model, judgements, settings)), out, resume=resume)


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


def _overrides(model: str | None, judgements: Path | None, settings: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if model is not None:
        found["model"] = model
    if judgements is not None:
        found["feedback.judgements"] = str(judgements)
    for setting in settings or []:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise ConfigError(f"expected --set KEY=VALUE; got {setting!r}; name a key of the recipe, with dots")
        found[key] = yaml.safe_load(value)
    return found
