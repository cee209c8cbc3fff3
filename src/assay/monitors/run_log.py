"""Run log: what happens in a run, one line of JSON for each thing, written as it happens. Takes entries, yields them.

`begun` comes first; then `seen` for each measured checkpoint, `rang` for each alarm, `acted` for what the run did about
it; `ended` comes last, unless the run was killed. The log is for whoever watches; a policy carries a trail of its own.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from assay.records.errors import InputError, StorageError, explain
from assay.records.observation import Action, Alarm, Observation
from assay.records.record import UtcTime, Value

RUN_LOG = "observations.jsonl"
"""Name of the log in a run's directory."""
BROKEN_OFF = "broken off by an error or an interruption"


class Sampled(Value):
    """One completion of a checkpoint, to be shown to people: the prompt's last message and the text."""

    prompt: str
    text: str


class Begun(Value):
    """A run begins: its name and method, how many steps it may take, which monitors look (none: nobody watches)."""

    kind: Literal["begun"] = "begun"
    at: UtcTime
    name: str
    method: str
    steps: int
    monitors: tuple[str, ...] = ()


class Seen(Value):
    """A checkpoint was measured; `completions` are a few of its samples."""

    kind: Literal["seen"] = "seen"
    at: UtcTime
    observation: Observation
    completions: tuple[Sampled, ...] = ()


class Rang(Value):
    """A monitor rang."""

    kind: Literal["rang"] = "rang"
    alarm: Alarm


class Acted(Value):
    """What the run did about the alarms of a step, in a sentence."""

    kind: Literal["acted"] = "acted"
    at: UtcTime
    step: int
    action: Action
    said: str


class Ended(Value):
    """The run is over, and why; `kept_step` is the step of the checkpoint that was kept, None where none was."""

    kind: Literal["ended"] = "ended"
    at: UtcTime
    kept_step: int | None
    reason: str


Entry = Begun | Seen | Rang | Acted | Ended
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="kind")])


class RunLog:
    """Writes the log of one run. The first entry waits for the second, so that a run refused at once leaves no trace.

    A line is with the system when `append` returns. Raises StorageError when the disk refuses.
    """

    def __init__(self, path: Path, begun: Begun) -> None:
        self._path = path
        self._lines = [_line(begun)]
        self._is_on_disk = False

    def append(self, entry: Entry) -> None:
        """Add an entry."""
        self._lines.append(_line(entry))
        if not self._is_on_disk:
            self._write_whole()
            return
        with _disk_errors(self._path), self._path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"{self._lines[-1]}\n")

    def state(self) -> list[str]:
        """The lines so far, for a checkpoint."""
        return list(self._lines)

    def restore(self, lines: Sequence[str]) -> None:
        """Put the log back to what `state` gave: what was written after that checkpoint never happened."""
        self._lines = list(lines)
        self._write_whole()

    @contextmanager
    def noting_a_break(self, now: Callable[[], datetime]) -> Iterator[None]:
        """Write that the run is over when an error or an interruption ends the block."""
        is_whole = False
        try:
            yield
            is_whole = True
        finally:
            if not is_whole:
                self.append(Ended(at=now(), kept_step=None, reason=BROKEN_OFF))

    def _write_whole(self) -> None:
        # Written beside and renamed: whoever reads meanwhile sees the old log or the new one.
        beside = self._path.with_name(f".new-{self._path.name}")
        with _disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text("".join(f"{line}\n" for line in self._lines), encoding="utf-8", newline="\n")
            beside.replace(self._path)
        self._is_on_disk = True


def read_run_log(path: Path) -> list[Entry]:
    """The entries of a log, also of one that is being written: a last line without its end is left out.

    Raises InputError with every line that is no entry, or when there is nothing to read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(explain(expected=f"a run log in {path}", got=str(error), do="name another run")) from error
    entries, faults = [], []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            entries.append(_ENTRY.validate_python(json.loads(line)))
        except ValidationError as error:
            faults.append(f"line {number}: {'; '.join(one['msg'] for one in error.errors())}")
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if faults:
        do = "name a log that a run of this version wrote"
        raise InputError(explain(expected=f"entries in {path}", got=f"{len(faults)} other lines", do=do), faults)
    return entries


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        do = "free disk space, then run again with --resume"
        raise StorageError(explain(expected=f"to write {path}", got=str(error), do=do)) from error


def _line(entry: Entry) -> str:
    return json.dumps(entry.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
