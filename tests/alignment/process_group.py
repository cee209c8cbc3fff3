"""Process group: runs a function in two forked processes that share a gloo group, for the tests of distributed runs."""

import multiprocessing
import traceback

from assay.alignment.distributed import joined
from assay.records.errors import TrainingError


def run_in_two(work, mode, directory):
    """What `work(group)` gave in each process: its value, its TrainingError's text, or a killed one's exit code."""
    directory.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    processes = [
        context.Process(target=_member, args=(work, mode, rank, directory / "store", sender))
        for rank, (_, sender) in enumerate(pipes)
    ]
    for process, (_, sender) in zip(processes, pipes, strict=True):
        process.start()
        sender.close()
    found = [_received(receiver) for receiver, _ in pipes]
    for process in processes:
        process.join()
    faults = [value for value in found if isinstance(value, str) and value.startswith("Traceback")]
    assert not faults, faults[0]
    return [process.exitcode if value is None else value for process, value in zip(processes, found, strict=True)]


def _received(receiver):
    with receiver:
        try:
            return receiver.recv()
        except EOFError:
            return None


def _member(work, mode, rank, store, sender):
    try:
        with joined(mode, init_method=f"file://{store}", rank=rank, size=2) as group:
            sender.send(work(group))
    except TrainingError as error:
        sender.send(str(error))
    except BaseException:
        sender.send(traceback.format_exc())
