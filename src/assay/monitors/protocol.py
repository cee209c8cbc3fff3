"""Monitor protocol: what a monitor is, and the one holder of history that all monitors here share.

A monitor sees one observation at a time, in the order of steps; the first is the run's own reference. It answers with
an alarm or stays silent. The monitors here are rules, pure functions of the observations so far, held by `RuleMonitor`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from assay.records.observation import Action, Alarm, Observation


class Monitor(Protocol):
    """Watches one run. `reads` are the names of the metrics that it needs, as in `docs/metrics.md`."""

    @property
    def name(self) -> str:
        """Name in the registry, and on its alarms."""
        ...

    @property
    def action(self) -> Action:
        """What its alarm asks the run to do."""
        ...

    @property
    def reads(self) -> frozenset[str]:
        """Metrics without which it is silent."""
        ...

    def observe(self, observation: Observation, now: datetime) -> Alarm | None:
        """Take up one observation; an alarm when it is too far from what this run began with, else None."""
        ...

    def missing(self, observation: Observation) -> frozenset[str]:
        """Metrics that it reads and the observation lacks, or holds as no finite number: it is silent then."""
        ...


class Finding(NamedTuple):
    """What a rule found: a sentence, the value that crossed the threshold, and the numbers behind both."""

    message: str
    value: float
    threshold: float
    evidence: dict[str, float]


Rule = Callable[[Sequence[Observation]], Finding | None]
"""Judges the last of a run's observations in the light of those before it; the first is the reference."""


@dataclass
class RuleMonitor:
    """A rule with the history that it judges by. Where `needs_one_of` holds sets of metrics, one must be whole.

    A name in `reads` that ends in `*` stands for any metric that begins like it: one finite is enough.
    Seeing a step again, or an earlier one, forgets what was seen from that step on: a run that was rolled back or
    resumed is judged as if it had come this way at once.
    """

    name: str
    action: Action
    reads: frozenset[str]
    rule: Rule
    needs_one_of: tuple[frozenset[str], ...] = ()
    _history: list[Observation] = field(default_factory=list, init=False, repr=False)

    def observe(self, observation: Observation, now: datetime) -> Alarm | None:
        """Judge one observation. None as well when a metric is missing."""
        if self.missing(observation):
            return None
        self._history = [*(seen for seen in self._history if seen.step < observation.step), observation]
        finding = self.rule(self._history)
        if finding is None:
            return None
        return Alarm(created_at=now, monitor=self.name, step=observation.step, action=self.action, **finding._asdict())

    def missing(self, observation: Observation) -> frozenset[str]:
        """Metrics that the rule needs and the observation does not give."""
        finite = [name for name, value in observation.values.items() if math.isfinite(value)]
        absent = frozenset(name for name in self.reads if not _is_given(name, finite))
        if self.needs_one_of and not any(group.issubset(finite) for group in self.needs_one_of):
            absent |= frozenset().union(*self.needs_one_of).difference(finite)
        return absent


def _is_given(name: str, finite: Sequence[str]) -> bool:
    if name.endswith("*"):
        return any(given.startswith(name[:-1]) for given in finite)
    return name in finite
