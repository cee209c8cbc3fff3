"""Bench training: `assay bench training`, our trainers measured, with TRL's own beside them.

The room is imported inside the command: torch takes seconds, and `--help` must not wait for it.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from assay.cli.bench import JsonOption, QuickOption, finish
from assay.cli.context import console, now

if TYPE_CHECKING:
    from assay.bench.training import TrainingMeasurement

NO_PEER = (
    "TRL was not measured, so the bars beside it are not: give --peer-python a Python that has trl==1.16.0 "
    "(`make peers` makes one in .venv)"
)


def training(
    quick: QuickOption = False,
    json_file: JsonOption = None,
    data: Annotated[Path, typer.Option("--data", help="Directory with hh-rlhf-harmless.")] = Path("data"),
    model: Annotated[str, typer.Option("--model", help="default, or a directory.")] = "default",
    peer_python: Annotated[Path | None, typer.Option("--peer-python", help="A Python with TRL 1.16.")] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of every run.")] = 1,
    max_length: Annotated[int | None, typer.Option("--max-length", min=16, help="Tokens of prompt and answer.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws the pairs and the adapter.")] = 0,
) -> None:
    """Measure steps of DPO, reward training and GRPO beside TRL's: seconds, peak memory, and the losses themselves."""
    from assay.bench.training import TrainingPlan, bars_of, bench_training
    from assay.bench.training import quick as at_quick_sizes

    plan = TrainingPlan(data, model, peer_python, threads=threads, seed=seed)
    plan = at_quick_sizes(plan) if quick else plan
    plan = plan if max_length is None else plan._replace(max_length=max_length)
    with tempfile.TemporaryDirectory() as scratch:
        measured = bench_training(plan, scratch=Path(scratch), now=now(), said=lambda words: console.print(words))
    _show(measured)
    if peer_python is None:
        console.print(f"[yellow]{NO_PEER}[/yellow]")
    plain = {**plan._asdict(), "data": str(data), "peer_python": None if peer_python is None else str(peer_python)}
    details = {
        "plan": plain,
        "dpo": {
            pairs: {name: told.model_dump() for name, told in rows.items()} for pairs, rows in measured.dpo.items()
        },
        "reward": {name: told.model_dump() for name, told in measured.reward.items()},
        "grpo": {name: told.model_dump() for name, told in measured.grpo.items()},
        "two_epochs": measured.two_epochs.model_dump(),
    }
    finish("training", bars_of(measured), is_quick=quick, json_file=json_file, details=details)


def _show(measured: "TrainingMeasurement") -> None:
    from assay.bench.training import speed_up

    table = Table("trainer", "pairs a step", "run", "CPU s a step", "clock s a step", "before", "peak MiB", "ours is")
    sides = [("DPO", str(pairs), rows) for pairs, rows in measured.dpo.items()]
    sides += [("reward", "", measured.reward), ("GRPO", "", measured.grpo)]
    for trainer, pairs, rows in sides:
        for name, told in rows.items():
            cpu, clock = (f"{_median(seconds[1:]):.2f}" for seconds in (told.step_cpu_s, told.step_s))
            faster = speed_up(rows, name)
            numbers = (cpu, clock, f"{told.before_cpu_s:.1f}", f"{told.peak_mib:.0f}", f"{faster:.2f}x")
            table.add_row(trainer, pairs, name, *numbers)
    console.print(table)


def _median(values: tuple[float, ...]) -> float:
    return sorted(values)[len(values) // 2]
