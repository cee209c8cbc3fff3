"""Tracking: tells a run's trackers the numbers of each step and of each checkpoint as they come.

Steps stand under `train/` as in transformers, checkpoints under the names of docs/metrics.md. What counts is the run's
own log: a tracker that fails is left and told of once, and the run goes on without it.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from assay.alignment.trackers import OPENERS, Tracked, Tracker, TrackerName, require_installed
from assay.records.policy import CheckpointRecord


class Tracking:
    """Trackers of one run, opened at its first step, which on resume is not 1."""

    def __init__(self, names: tuple[TrackerName, ...], run: Tracked) -> None:
        self._names, self._run = names, run
        self._open: dict[TrackerName, Tracker] | None = None
        self._told = -1

    def on_step(self, step: int, entry: Mapping[str, float], checkpoints: Sequence[CheckpointRecord] = ()) -> None:
        """Tell the entry of a step, counted from 1, after the checkpoints that were measured before it."""
        if self._open is None:
            run, self._open = self._run._replace(first_step=step), {}
            for name in self._names:
                with self._forgiving(name):
                    self._open[name] = OPENERS[name](run)
            self._told = max((one.step for one in checkpoints if one.step < step - 1), default=-1)
        self.on_checkpoints(checkpoints)
        self._log({f"train/{name}": value for name, value in entry.items() if name != "step"}, step)

    def on_checkpoints(self, checkpoints: Sequence[CheckpointRecord]) -> None:
        """Tell the checkpoints that were not told yet."""
        for one in checkpoints:
            if one.step > self._told:
                self._log(one.observation.values, one.step)
                self._told = one.step

    def close(self) -> None:
        """Close all trackers."""
        for name in list(self._open or {}):
            with self._forgiving(name):
                (self._open or {}).pop(name).close()

    def _log(self, values: Mapping[str, float], step: int) -> None:
        for name, tracker in list((self._open or {}).items()):
            with self._forgiving(name):
                tracker.log(values, step)

    @contextmanager
    def _forgiving(self, name: TrackerName) -> Iterator[None]:
        # A tracker is other people's code that writes to disks and servers: whatever it raises, training is worth more.
        try:
            yield
        except Exception as error:
            (self._open or {}).pop(name, None)
            said = f"{name} no longer follows this run ({error}); the run goes on, and its own log is whole"
            warnings.warn(said, RuntimeWarning, stacklevel=4)


@contextmanager
def tracking(names: tuple[TrackerName, ...], run: Tracked) -> Iterator[Tracking]:
    """Trackers for the time of a run. Raises ConfigError, before it begins, where one is not installed."""
    require_installed(names)
    found = Tracking(names, run)
    try:
        yield found
    finally:
        found.close()
