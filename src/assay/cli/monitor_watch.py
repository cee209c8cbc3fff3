"""Watch: `assay monitor watch RUN` follows a run in the terminal: curves, alarms, what was done, sample completions."""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from assay.cli.context import console
from assay.monitors.run_files import find_run_file, read_trail
from assay.monitors.trail import RunTrail
from assay.records.errors import InputError

CURVES = {
    "proxy": "alignment/proxy_reward",
    "panel": "watch/panel_reward",
    "KL": "alignment/kl",
    "entropy": "alignment/entropy",
    "disagreement": "rewards/disagreement",
    "outliers": "rewards/outlier_rate",
    "length": "completions/mean_length",
    "repetition": "completions/repetition",
    "margins": "rewards/margins",
    "loss": "alignment/loss",
}
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 40
SHOWN_CHARACTERS = 300
SHOWN_EVENTS = 8


def watch(
    run: Annotated[
        Path,
        typer.Argument(
            help="A workspace, a run's directory, a trainer's output directory, a run log or a trainer_state.json."
        ),
    ],
    once: Annotated[bool, typer.Option("--once", help="Print how it stands now and end.")] = False,
    every_s: Annotated[float, typer.Option("--every", help="Seconds between two looks.", min=0.05)] = 2.0,
    completions: Annotated[
        int | None,
        typer.Option(help="trainer_state.json: how many sampled completions one log entry averages over.", min=1),
    ] = None,
) -> None:
    """Follow a run until it ends: curves from its first checkpoint on, alarms, actions, the last completions."""
    file = find_run_file(run)
    trail = read_trail(file, completions=completions)
    screen = Console(highlight=False)  # unlike the other commands' it wraps: a live display would cut long lines off
    if once:
        screen.print(board(trail, file))
    else:
        _follow(run, trail, file, screen=screen, every_s=every_s, completions=completions)
    console.print(f"next: [cyan]assay monitor audit {escape(str(file))}[/cyan]")


def _follow(
    run: Path, trail: RunTrail, file: Path, *, screen: Console, every_s: float, completions: int | None
) -> None:
    """Redraw until the run ends, or until the person who looks has seen enough (Ctrl-C)."""
    with Live(board(trail, file), console=screen, auto_refresh=False) as live, suppress(KeyboardInterrupt):
        while trail.ended is None:
            time.sleep(every_s)
            # A trainer writes a new file with each checkpoint; one that is half-written is read at the next look.
            with suppress(InputError):
                file = find_run_file(run)
                trail = read_trail(file, completions=completions)
                live.update(board(trail, file), refresh=True)


def board(trail: RunTrail, file: Path) -> RenderableType:
    """All that is known of a run, for the terminal."""
    last = trail.observations[-1].step if trail.observations else 0
    of = f" of {trail.steps}" if trail.steps else ""
    state = "running" if trail.ended is None else f"ended: {trail.ended}"
    kept = "" if trail.kept_step is None else f"; the checkpoint at step {trail.kept_step} is kept"
    watched = ", ".join(trail.monitors) if trail.monitors else "nobody"
    parts: list[RenderableType] = [
        Text(f"{trail.name} ({trail.method}), step {last}{of}, {state}{kept}", style="bold"),
        Text(f"{file}; watched by {watched}", style="dim"),
        _curves(trail),
        *_events(trail),
        *(
            Panel(Text(_short(one.text)), title=Text(_short(one.prompt, 80)), title_align="left", style="dim")
            for one in trail.completions
        ),
    ]
    return Group(*parts)


def sparkline(values: Sequence[float], *, width: int = WIDTH) -> str:
    """A curve as a row of bars, the least value lowest; more values than `width` are averaged in `width` groups.

    A value that is not finite is a gap; a curve that does not move lies at the bottom.
    """
    groups = [[value for value in group if math.isfinite(value)] for group in _groups(values, width)]
    means = [math.fsum(group) / len(group) if group else math.nan for group in groups]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, span = min(finite, default=0.0), max(finite, default=0.0) - min(finite, default=0.0)
    return "".join(
        " " if math.isnan(mean) else BARS[round((mean - low) / (span or 1.0) * (len(BARS) - 1))] for mean in means
    )


def _groups(values: Sequence[float], width: int) -> list[Sequence[float]]:
    """The values that each character of a row stands for."""
    count = min(width, len(values))
    cuts = [round(i * len(values) / count) for i in range(count + 1)] if count else []
    return [values[start:end] for start, end in pairwise(cuts)]


def _curves(trail: RunTrail) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "first", "curve", "last"):
        table.add_column(heading, justify="right" if heading in ("first", "last") else "left", no_wrap=True)
    for label, metric in CURVES.items():
        values = [seen.values.get(metric, math.nan) for seen in trail.observations]
        known = [value for value in values if math.isfinite(value)]
        if known:
            table.add_row(label, f"{known[0]:.3g}", sparkline(values), f"{known[-1]:.3g}")
    steps = {alarm.step for alarm in trail.alarms}
    if steps:
        marks = _groups([float(seen.step in steps) for seen in trail.observations], WIDTH)
        row = "".join("^" if any(group) else " " for group in marks)
        table.add_row("alarms", "", Text(row, style="red"), str(len(trail.alarms)))
    return table


def _events(trail: RunTrail) -> list[Text]:
    """Alarms and what was done about them, the last few in their order."""
    said = [(a.step, 0, f"{a.monitor} ({a.action.replace('_', ' ')}): {a.message}", "red") for a in trail.alarms]
    said += [(a.step, 1, a.said, "yellow") for a in trail.actions]
    said.sort(key=lambda one: one[:2])
    return [Text(f"step {step}: {what}", style=style) for step, _, what, style in said[-SHOWN_EVENTS:]]


def _short(text: str, length: int = SHOWN_CHARACTERS) -> str:
    return text if len(text) <= length else f"{text[:length]}…"
