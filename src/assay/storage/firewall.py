"""Firewall: refuses a scorer, or its data, on both sides of the line between training and evaluation.

Catches: one scorer registered on both sides under any name (identity is by content), and two scorers fitted on a shared
judgement. Reports, without refusing: scorers that start from a shared checkpoint. Does not catch: people who read the
held-out data, near copies of a text under another hash, or a criterion that was tuned on an earlier evaluation.
"""

from typing import ClassVar

from assay.records.errors import FirewallError, explain
from assay.records.evidence import FirewallReport
from assay.records.identity import FirewallSide, ScorerIdentity
from assay.records.record import Record
from assay.storage.database import RecordStore


class Registration(Record):
    """One scorer on one side of the line."""

    kind: ClassVar[str] = "registration"
    side: FirewallSide
    identity: ScorerIdentity


class Firewall:
    """The register of scorers of one workspace; it outlives a process, so that a resumed run cannot forget it."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def register(self, registration: Registration) -> None:
        """Add a scorer to one side. Raises FirewallError when the other side has it, or shares a judgement with it."""
        faults = [
            fault
            for other in self._store.all(Registration)
            if other.side != registration.side
            for fault in _conflicts(registration.identity, other.identity)
        ]
        if faults:
            do = "fit the evaluation's scorers on a fold that training never opens"
            raise FirewallError(explain(expected="training and evaluation apart", got="; ".join(faults), do=do))
        self._store.put(registration, subject=registration.side)

    def report(self) -> FirewallReport:
        """Both sides, and the ancestors they share. Raises FirewallError when the two sides are not apart."""
        training = self._side("training")
        evaluation = self._side("evaluation")
        faults = [fault for one in training for other in evaluation for fault in _conflicts(one, other)]
        if faults:
            do = "do not use this run's evaluation"
            raise FirewallError(explain(expected="training and evaluation apart", got="; ".join(faults), do=do))
        return FirewallReport(
            training=training,
            evaluation=evaluation,
            is_clean=True,
            warnings=tuple(_shared_ancestors(training, evaluation)),
        )

    def _side(self, side: FirewallSide) -> tuple[ScorerIdentity, ...]:
        unique = {r.identity.content_hash: r.identity for r in self._store.all(Registration, subject=side)}
        return tuple(unique.values())


def _conflicts(one: ScorerIdentity, other: ScorerIdentity) -> list[str]:
    faults = []
    if one.content_hash == other.content_hash:
        faults.append(f"{one.name!r} and {other.name!r} are the same scorer ({one.content_hash[:12]})")
    shared = set(one.rows) & set(other.rows)
    if shared:
        faults.append(f"{one.name!r} and {other.name!r} were fitted on {len(shared)} shared judgements")
    return faults


def _shared_ancestors(training: tuple[ScorerIdentity, ...], evaluation: tuple[ScorerIdentity, ...]) -> list[str]:
    return [
        f"{one.name} (training) and {other.name} (evaluation) start from the same checkpoint {shared[:12]}: "
        "their errors may be alike"
        for one in training
        for other in evaluation
        for shared in sorted(set(one.ancestors) & set(other.ancestors))
    ]
