"""Processes: `assay align ... --processes N` starts the same command in N processes; each finds its place among them.

torch's own launcher starts them, so `torchrun --nproc-per-node N -m assay align ...` is the same thing, also on several
machines that see one workspace. Process 0 speaks for all: what the others print is read only where they fail.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from assay.alignment.distributed import ALONE, LOST, Group, Mode, joined
from assay.cli.context import console
from assay.records.errors import ConfigError, TrainingError, explain

PROGRAM = (sys.executable, "-m", "assay")
GO_ON = "run again with --resume: the last checkpoint is whole"


def is_launched(environ: Mapping[str, str]) -> bool:
    """Whether a launcher started this process as one of several."""
    return int(environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in environ


@contextmanager
def as_one_of(mode: Mode, environ: Mapping[str, str]) -> Iterator[Group]:
    """The group of this run for the block: this process alone, or those that a launcher started.

    All but process 0 are silent, errors excepted. Raises ConfigError for a mode of several processes in one.
    """
    if not is_launched(environ):
        if mode != "none":
            do = f"add --processes N, or start it with torchrun; one process needs no {mode}"
            raise ConfigError(explain(expected=f"several processes for --distributed {mode}", got="one", do=do))
        yield ALONE
        return
    was_quiet, console.quiet = console.quiet, environ["RANK"] != "0"
    try:
        with joined("ddp" if mode == "none" else mode) as group:
            yield group
    finally:
        console.quiet = was_quiet


def start(arguments: Sequence[str], count: int, *, program: Sequence[str] = PROGRAM) -> None:
    """Run `program arguments` in `count` processes of this machine and wait for them; when one fails, end the others.

    Raises TrainingError with the cause in one sentence.
    """
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    # As torchrun does: processes that each take every core would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with tempfile.TemporaryDirectory(prefix="assay-") as place:
        redirects = {rank: Std.ALL if rank else Std.ERR for rank in range(count)}
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id="assay",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=place, redirects=redirects),
        )
        try:
            elastic_launch(config, program[0])(*program[1:], *arguments)
        except ChildFailedError as error:
            raise TrainingError(_cause(error.failures, Path(place))) from error
        except SignalException as error:
            raise KeyboardInterrupt from error


def _cause(failures: Mapping[int, ProcessFailure], logs: Path) -> str:
    """Why a run ended: a process that was killed before one that said why, and that before one that lost another."""
    # The launcher ends the others by SIGTERM, and counts them among those that failed.
    first = {rank: one for rank, one in failures.items() if one.exitcode != -signal.SIGTERM} or failures
    killed = {rank: one.signal_name() for rank, one in sorted(first.items()) if one.exitcode < 0}
    if killed:
        got = ", ".join(f"process {rank} ended by {name}" for rank, name in killed.items())
        return explain(expected="all processes to finish", got=got, do=GO_ON)
    return gravest([_last_words(rank, logs) for rank in sorted(first)])


def gravest(sentences: Sequence[str]) -> str:
    """The first of the sentences that says more than that another process was lost."""
    return min(sentences, key=lambda sentence: LOST in sentence)


def _last_words(rank: int, logs: Path) -> str:
    """The error that a process printed, without its label; of one that is not the user's to mend, the last line."""
    text = "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs.glob(f"**/{rank}/stderr.log"))
    _, label, message = text.rpartition("error: expected")
    if label:
        return f"expected{message}".strip()
    last = (text.strip().splitlines() or ["no word of why"])[-1]
    return explain(expected=f"process {rank} to finish", got=last, do=GO_ON)
