"""Crowd: annotators in several processes, who start together. Takes a site's address, yields what each of them did."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from assay.records.errors import StorageError, explain

SCRIPT = Path(__file__).with_name("visitors.py")


class Submit(NamedTuple):
    """One answer that the site took: the item, when it was sent, until it was stored, and until the next was shown."""

    annotator: str
    item: str
    sent_s: float
    stored_s: float
    next_s: float


class Told(NamedTuple):
    """What the annotators of one run did. `faults` are answers of the site that no person should ever see."""

    submits: tuple[Submit, ...]
    faults: tuple[str, ...]
    gone: int
    retries: int


class Visitors(NamedTuple):
    """What one process of annotators is told; `period_s` from one answer of a person to the next."""

    names: tuple[str, ...]
    host: str
    port: int
    campaign: str
    period_s: float
    seconds: float
    patience_s: float
    seed: int


@contextmanager
def crowd(visitors: Visitors, *, processes: int) -> Iterator["Crowd"]:
    """Annotators, logged in and waiting; whatever happens, none of their processes is left behind."""
    shares = [visitors._replace(names=visitors.names[number::processes]) for number in range(processes)]
    running = [_start(share) for share in shares if share.names]
    try:
        for one in running:
            if _pipe(one.stdout).readline() != "ready\n":
                raise _failed(one)
        yield Crowd(running)
    finally:
        for one in running:
            one.kill()
            one.communicate()


class Crowd:
    """Processes of annotators who have entered."""

    def __init__(self, running: Sequence["subprocess.Popen[str]"]) -> None:
        self._running = running

    def go(self) -> None:
        """Let all of them start."""
        for one in self._running:
            _pipe(one.stdin).write("go\n")
            _pipe(one.stdin).flush()

    def tell(self) -> Told:
        """Wait for the end and say what happened. Raises StorageError when a process of theirs failed."""
        people = []
        for one in self._running:
            text = one.communicate()[0]
            if one.returncode != 0:
                raise _failed(one)
            people += json.loads(text)
        return Told(
            submits=tuple(Submit(person["name"], *submit) for person in people for submit in person["submits"]),
            faults=tuple(fault for person in people for fault in person["faults"]),
            gone=sum(person["gone"] for person in people),
            retries=sum(person["retries"] for person in people),
        )


def _start(share: Visitors) -> "subprocess.Popen[str]":
    command = [sys.executable, "-S", str(SCRIPT)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    _pipe(started.stdin).write(json.dumps(share._asdict()) + "\n")
    _pipe(started.stdin).flush()
    return started


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise _failed(None)
    return pipe


def _failed(process: "subprocess.Popen[str] | None") -> StorageError:
    got = "no way to talk to them" if process is None else f"exit {process.wait()}"
    todo = "look above for what they wrote, and mend that"
    return StorageError(explain(expected="annotators who enter and answer", got=got, do=todo))
