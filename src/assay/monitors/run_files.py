"""Run files: finds the record of a run on disk and reads its trail.

A run is named by a workspace directory (its run log that was written last), by a run's own directory, by a trainer's
output directory (its newest checkpoint), or by the file itself: a run log, or a `trainer_state.json`.
"""

from pathlib import Path

from assay.monitors.run_log import RUN_LOG, read_run_log
from assay.monitors.trail import RunTrail, trail_of_log
from assay.monitors.trainer_state import TRAINER_STATE, trail_of_trainer_state
from assay.records.errors import InputError, explain


def find_run_file(place: Path) -> Path:
    """The run log or trainer's state that a place stands for. Raises InputError where there is none."""
    if place.is_file():
        return place
    for found in (
        [place / RUN_LOG],
        sorted((place / "scratch").glob(f"*/{RUN_LOG}"), key=lambda path: (path.stat().st_mtime, path)),
        [place / TRAINER_STATE],
        sorted(place.glob(f"checkpoint-*/{TRAINER_STATE}"), key=_step_of),
    ):
        if found and found[-1].is_file():
            return found[-1]
    do = "name a workspace, a run's directory or a trainer's output directory, once the run has measured a checkpoint"
    got = "neither" if place.exists() else "no such file or directory"
    raise InputError(explain(expected=f"{RUN_LOG} or {TRAINER_STATE} in {place}", got=got, do=do))


def read_trail(file: Path, *, completions: int | None = None) -> RunTrail:
    """The trail in a run log or a trainer's state. `completions` is how many a trainer's log entry averages over."""
    if file.suffix == ".jsonl":
        return trail_of_log(read_run_log(file))
    return trail_of_trainer_state(file, completions=completions)


def _step_of(state: Path) -> tuple[int, str]:
    step = state.parent.name.rpartition("-")[2]
    return (int(step) if step.isdecimal() else -1, state.parent.name)
