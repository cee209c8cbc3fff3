"""Walk: runs the stages of a recipe in order, records each, and goes on from the last finished one when resumed.

A stage is a function of the walk that returns what it made. Stages meet only in the workspace: each reads the records
that earlier stages stored, so a resumed walk sees what an uninterrupted one would.
"""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from safetensors import SafetensorError

from assay.alignment.distributed import ALONE, Group
from assay.cli.config import RunConfig
from assay.cli.context import console, now
from assay.lm import LanguageModel, load
from assay.records.errors import ConfigError, ModelError, StorageError, explain
from assay.records.record import digest
from assay.records.run import StageRecord
from assay.storage import Workspace
from assay.storage.lock import run_lock

STEPS = "steps"
"""Name under which stages are recorded that single commands ran; a whole walk may stand beside them."""


@dataclass
class Outcome:
    """What a stage made: ids by name, tokens it sampled, what it left out and why, and a line for the terminal."""

    outputs: dict[str, str] = field(default_factory=dict)
    tokens: int = 0
    skipped: tuple[str, ...] = ()
    said: str = ""


class Advance(Protocol):
    """Moves a progress bar on by a count, and says something beside it."""

    def __call__(self, count: int, said: str | None = None, /) -> None:
        """`said` None leaves what stands there."""
        ...


Stage = Callable[["Walk"], Outcome]


@dataclass
class Walk:
    """One run: its workspace, configuration, finished stages, and how progress is shown."""

    workspace: Workspace
    config: RunConfig
    resume: bool
    done: dict[str, StageRecord] = field(default_factory=dict)
    group: Group = ALONE
    own_scratch: Path | None = None
    _progress: Progress | None = None

    @property
    def scratch(self) -> Path:
        """Directory for checkpoints and caches of this run, or of this process where another one leads it."""
        return self.own_scratch or self.workspace.directory / "scratch"

    def output(self, stage: str, name: str) -> str | None:
        """What a finished stage made under a name, or None when it made no such thing or was skipped."""
        return self.done[stage].outputs.get(name) if stage in self.done else None

    def fresh_model(self) -> LanguageModel:
        """The configured base model without adapters, loaded anew: adapters of one stage never leak into the next.

        Raises ModelError when its weights are not those that the walk began with.
        """
        lm = load(self.config.model)
        began_with = self.output("model", "model")
        if began_with is not None and began_with != lm.id:
            got, do = (
                f"weights {lm.id[:12]}",
                "restore the model (and ASSAY_DTYPE, if the processor is another), or begin anew elsewhere",
            )
            raise ModelError(explain(expected=f"{lm.source!r} with weights {began_with[:12]}", got=got, do=do))
        return lm

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Advance]:
        """A progress bar; call the yielded function with how much was done, and with what to say beside the bar."""
        if self._progress is None:
            yield lambda _count, _said=None: None
            return
        task = self._progress.add_task(what, total=total, said="")

        def advance(count: int, said: str | None = None) -> None:
            if self._progress is not None:
                told: dict[str, Any] = {} if said is None else {"said": said}
                self._progress.update(task, advance=count, **told)

        try:
            yield advance
        finally:
            self._progress.remove_task(task)


def run_walk(directory: Path, config: RunConfig, stages: Sequence[tuple[str, Stage]], *, resume: bool) -> Workspace:
    """Run the stages that are not done yet, and return the workspace; its lock is held meanwhile.

    Raises BusyError when another run holds the directory, ConfigError when it holds a run and `resume` is not set.
    """
    with run_lock(directory), ExitStack() as unless_done:
        workspace = Workspace(directory)
        unless_done.callback(workspace.close)
        workspace.artifacts.clean()
        stored = workspace.records.all(StageRecord)
        finished = {s.stage: s for s in stored if s.run == config.name}
        _check_continuation(directory, config, stored, resume=resume)
        walk = Walk(workspace, config, resume)
        for number, (name, stage) in enumerate(stages, start=1):
            label = f"[{number}/{len(stages)}] {name}"
            if name in finished:
                walk.done[name] = finished[name]
                console.print(f"[dim]{escape(label)}: done before[/dim]")
                continue
            walk.done[name] = run_stage(walk, name, stage, label=label)
        unless_done.pop_all()
    return workspace


def run_stage(walk: Walk, name: str, stage: Stage, *, label: str) -> StageRecord:
    """Run one stage with its progress bars, store what it took and made, and say so."""
    wall, cpu = time.monotonic(), time.process_time()
    # In a narrow terminal what is said is cut off, never the count or the time that is left.
    whole, rest = Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis")
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(table_column=whole),
        TimeElapsedColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole),
        TextColumn("[dim]{task.fields[said]}[/dim]", table_column=rest),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as walk._progress:
        outcome = _shielded(stage, walk)
    walk._progress = None
    record = StageRecord(
        created_at=now(),
        run=walk.config.name,
        stage=name,
        config_hash=walk.config.hash,
        outputs=outcome.outputs,
        seconds=round(time.monotonic() - wall, 2),
        cpu_seconds=round(time.process_time() - cpu, 2),
        peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        tokens=outcome.tokens,
        skipped=outcome.skipped,
    )
    walk.workspace.records.put(record, subject=walk.config.name)
    console.print(f"{escape(label)}: {escape(outcome.said or 'done')} [dim]({record.seconds:.0f} s)[/dim]")
    for reason in outcome.skipped:
        console.print(f"    [yellow]skipped:[/yellow] {escape(reason)}")
    return record


def _shielded(stage: Stage, walk: Walk) -> Outcome:
    """What the stage makes. safetensors has an error of its own for a full disk and for a damaged file."""
    try:
        return stage(walk)
    except SafetensorError as error:
        do = "free disk space or restore the file, then run again with --resume; nothing was half-written"
        where = walk.workspace.directory
        raise StorageError(
            explain(expected=f"to read and write weights below {where}", got=str(error), do=do)
        ) from error


def _check_continuation(directory: Path, config: RunConfig, stored: Sequence[StageRecord], *, resume: bool) -> None:
    own = [s for s in stored if s.run == config.name]
    strangers = sorted({s.run for s in stored} - {config.name, STEPS})
    if strangers:
        do, got = "choose another directory with --out", f"stages of {strangers[0]!r}"
        raise ConfigError(explain(expected=f"{directory} to hold no other run", got=got, do=do))
    if own and not resume:
        do = "go on with --resume, or choose another directory with --out"
        got = f"{len(own)} finished stages of {config.name!r}"
        raise ConfigError(explain(expected=f"{directory} to hold no run yet", got=got, do=do))
    others = sorted({s.config_hash for s in own} - {config.hash})
    if others:
        do = "resume with the configuration that the run was started with, or choose another directory with --out"
        raise ConfigError(explain(expected=f"configuration {config.hash[:12]}", got=f"{others[0][:12]}", do=do))


def stage_seed(config: RunConfig, name: str) -> int:
    """A seed for one stage, different for each, from the run's seed."""
    return int(digest([config.seed, name])[:8], 16)
