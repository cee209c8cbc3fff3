"""Walk benchmark: runs `assay demo` as a process of its own and reads what it stored.

Measures seconds a stage, CPU seconds, peak memory, tokens sampled a second, and the gold that both loops kept. The
figures of `quick` come from a few steps and are no claim.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, TypedDict

from assay.bench.bars import Bar
from assay.records.errors import LedgerError, StorageError, explain
from assay.records.evidence import Curve, Evidence
from assay.records.run import StageRecord
from assay.storage import Workspace

QUICK = (
    "sampling.candidates=2",
    "sampling.max_tokens=8",
    "alignment.sft.num_train_epochs=1",
    "alignment.online_dpo.rounds=1",
    "alignment.online_dpo.max_completion_length=8",
    "alignment.unguarded_rounds=1",
    "alignment.max_prompts=4",
    "alignment.best_of_n=2",
    "evaluation.max_prompts=8",
    "evaluation.max_tokens=8",
)
"""Settings of a run under a minute."""
LIMIT_S = 600.0
MEMORY_GIB = 6.0


class WalkMeasurement(NamedTuple):
    """What one walk took and kept; `stages` in the order in which they ran."""

    seconds: float
    peak_memory_gib: float
    stages: tuple[StageRecord, ...]
    curves: tuple[Curve, ...]
    verdict: str
    ledger_entries: int | None
    """Entries of the verified ledger; None where it does not verify."""


class StageRow(TypedDict):
    """What one stage took, as plain data."""

    stage: str
    seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    tokens_per_second: float | None


def bench_walk(out: Path, *, is_quick: bool = False, model: str | None = None) -> WalkMeasurement:
    """Run the demo into an empty directory and measure it. Raises StorageError when it fails, with its last words."""
    command = [sys.executable, "-m", "assay", "demo", "--out", str(out)]
    command += ["--model", model] if model else []
    command += [word for setting in QUICK for word in ("--set", setting)] if is_quick else []
    started = time.monotonic()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own command)
    seconds = time.monotonic() - started
    if finished.returncode != 0:
        words = " ".join((finished.stdout + finished.stderr).split()[-60:])
        raise StorageError(explain(expected="the demo to finish", got=words, do="run `assay demo` by hand and mend it"))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return read_walk(out, seconds=seconds, peak_memory_gib=peak)


def read_walk(directory: Path, *, seconds: float, peak_memory_gib: float) -> WalkMeasurement:
    """What a finished walk stored; memory is the larger of what the caller and the stages saw.

    Raises StorageError when there is no evidence.
    """
    workspace = Workspace(directory)
    try:
        evidence = workspace.records.latest(Evidence)
        if evidence is None:
            do = "run the walk to its end"
            raise StorageError(explain(expected=f"evidence in {directory}", got="none", do=do))
        stages = tuple(workspace.records.all(StageRecord))
        peak = max(peak_memory_gib, *(stage.peak_memory_mib / 1024 for stage in stages))
        return WalkMeasurement(seconds, peak, stages, evidence.curves, evidence.verdict, _ledger_size(workspace))
    finally:
        workspace.close()


def stage_rows(measured: WalkMeasurement) -> list[StageRow]:
    """A row a stage, in order."""
    return [
        StageRow(
            stage=stage.stage,
            seconds=stage.seconds,
            cpu_seconds=stage.cpu_seconds,
            peak_memory_mib=stage.peak_memory_mib,
            tokens_per_second=stage.tokens / stage.seconds if stage.tokens and stage.seconds else None,
        )
        for stage in measured.stages
    ]


def bars_of(measured: WalkMeasurement) -> list[Bar]:
    """The claims on the demo. A fall of the unguarded gold counts as 1, none as 0."""
    curves = {curve.name: curve for curve in measured.curves}
    unguarded, guarded = curves.get("unguarded"), curves.get("guarded")
    entries = None if measured.ledger_entries is None else float(measured.ledger_entries)
    falls = None if unguarded is None or unguarded.falls_after_peak is None else float(unguarded.falls_after_peak)
    return [
        Bar("seconds of the demo", measured.seconds, LIMIT_S, "at_most", "s"),
        Bar("peak memory", measured.peak_memory_gib, MEMORY_GIB, "at_most", "GiB"),
        Bar("unguarded gold falls after its peak", falls, 1.0, "at_least"),
        Bar("gold kept by the guarded loop", None if guarded is None else guarded.kept, 0.9, "at_least"),
        Bar("ledger entries verified", entries, 1.0, "at_least"),
    ]


def _ledger_size(workspace: Workspace) -> int | None:
    try:
        return workspace.ledger.verify().size
    except LedgerError:
        return None
