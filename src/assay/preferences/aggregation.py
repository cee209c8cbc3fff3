"""Aggregation: what any aggregator yields, and how its estimates become records.

Takes a judgement table with the estimates of one method; yields the report and one preference for each pair that has a
direction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import expit, ndtr

from assay.preferences.agreement import one_per_person, table_alpha
from assay.preferences.table import Floats, JudgementTable, pair_key
from assay.records.judgement import Judgement
from assay.records.preference import AggregationReport, AnnotatorProfile, Preference

SMALLEST_MARGIN = 1e-3
"""Logits below which a pair has no direction: a solver's noise must not become a preference."""
CONTESTED_FROM = 1 / 3
"""Share of a pair's annotators who disagree from which the pair is named."""


class Aggregation(NamedTuple):
    """The report with the preferences that it speaks of."""

    report: AggregationReport
    preferences: tuple[Preference, ...]


class Aggregator(Protocol):
    """A way to add judgements up. Equal judgements give equal records, in whatever order they come.

    Raises InputError for judgements that cannot be aggregated.
    """

    def __call__(self, judgements: Sequence[Judgement], *, split: str, now: datetime) -> Aggregation:
        """Aggregate the judgements of one split."""
        ...


class Estimates(NamedTuple):
    """What a method found: differences (`a` minus `b`, logits) and their errors by pair; the rest by annotator."""

    method: str
    difference: Floats
    standard_error: Floats
    reliability: Floats
    side_bias: Floats
    converged: bool = True
    gradient_norm: float = 0.0
    notes: tuple[str, ...] = ()


def build(table: JudgementTable, estimates: Estimates, *, split: str, now: datetime) -> Aggregation:
    """Make the records. A pair without any choice, or with a margin of zero, yields no preference; a note counts them.

    probability = sigmoid(margin / sqrt(1 + pi se^2 / 8)): the chance that an annotator of reliability 1 decides for
    `chosen`, averaged over what is not known of the margin (MacKay 1992). weight = 2 Phi(margin / se) - 1: how much
    surer than a coin the direction is. At a margin of zero, a hard label with this weight pulls a Bradley-Terry reward
    as far as a soft label of probability Phi(margin / se) would.
    Measured on simulated panels of 2 to 5 judgements a pair: with hard labels the weight moves a fitted reward's cosine
    with the truth from 0.91-0.98 to 0.94-0.98; beside soft labels (`probability`) it changes it by at most 0.003.
    """
    margin = np.abs(estimates.difference)
    is_directed = (margin >= SMALLEST_MARGIN) & (np.bincount(table.pair, table.is_decided) > 0)
    notes = (*table.notes, *estimates.notes)
    if not is_directed.all():
        notes = (
            *notes,
            f"{int((~is_directed).sum())} pairs without a direction (all ties, or margin 0) yield no preference",
        )
    report = AggregationReport(
        created_at=now,
        method=estimates.method,
        judgement_set=table.judgement_set,
        split=split,
        judgements=len(table.judgements),
        pairs=len(table.pairs),
        ties=int((~table.is_decided).sum()),
        alpha=table_alpha(table),
        converged=estimates.converged,
        gradient_norm=estimates.gradient_norm,
        annotators=_profiles(table, estimates),
        contested=tuple(pair_key(table.pairs[number]) for number in _contested(table, estimates)),
        notes=notes,
    )
    probability = expit(margin / np.sqrt(1 + np.pi * estimates.standard_error**2 / 8))
    weight = 2 * ndtr(margin / estimates.standard_error) - 1
    shares = _vote_shares(table)
    rows = np.split(np.argsort(table.pair, kind="stable"), np.cumsum(np.bincount(table.pair))[:-1])
    preferences = []
    for number in np.flatnonzero(is_directed):
        pair = table.pairs[number]
        is_a_chosen = estimates.difference[number] > 0
        judged = [table.judgements[row] for row in rows[number]]
        preferences.append(
            Preference(
                created_at=now,
                prompt=pair.prompt,
                chosen=pair.a if is_a_chosen else pair.b,
                rejected=pair.b if is_a_chosen else pair.a,
                margin=float(margin[number]),
                standard_error=float(estimates.standard_error[number]),
                probability=float(probability[number]),
                weight=float(weight[number]),
                judgements=tuple(sorted(judgement.id for judgement in judged)),
                annotators=tuple(sorted({judgement.annotator for judgement in judged})),
                aggregation=report.id,
                vote_shares=_oriented(shares[number], is_a_chosen),
            )
        )
    return Aggregation(report, tuple(preferences))


def restated(aggregation: Aggregation, report: AggregationReport) -> Aggregation:
    """The preferences under another report, such as one with more findings."""
    preferences = (one.model_copy(update={"aggregation": report.id}) for one in aggregation.preferences)
    return Aggregation(report, tuple(preferences))


def _vote_shares(table: JudgementTable) -> Floats:
    """Shares [pairs, 3] of people for `a`, a tie and `b`, half a person added to each (the prior of Jeffreys)."""
    rows = one_per_person(table)
    flat = np.bincount(table.pair[rows] * 3 + 1 - table.outcome[rows], minlength=3 * len(table.pairs))
    counts = flat.reshape(-1, 3) + 0.5
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _oriented(shares: Floats, is_a_chosen: bool) -> tuple[float, float, float]:
    for_a, tied, for_b = (float(share) for share in shares)
    return (for_a, tied, for_b) if is_a_chosen else (for_b, tied, for_a)


def agreement_by_annotator(table: JudgementTable, difference: Floats) -> Floats:
    """Share of each annotator's decided judgements on directed pairs that go with the estimates; 0 where none is."""
    people = len(table.annotators)
    sign = _direction(table, difference) * table.outcome
    counted = np.bincount(table.annotator, sign != 0, people)
    return np.asarray(np.bincount(table.annotator, sign > 0, people) / np.maximum(counted, 1), dtype=np.float64)


def _direction(table: JudgementTable, difference: Floats) -> Floats:
    """1, 0 or -1 for each judgement: which of its pair the estimates prefer."""
    return np.asarray((np.sign(difference) * (np.abs(difference) >= SMALLEST_MARGIN))[table.pair], dtype=np.float64)


def _profiles(table: JudgementTable, estimates: Estimates) -> tuple[AnnotatorProfile, ...]:
    counts = np.bincount(table.annotator, minlength=len(table.annotators))
    agreement = agreement_by_annotator(table, estimates.difference)
    return tuple(
        AnnotatorProfile(
            annotator=name,
            judgements=int(counts[number]),
            reliability=float(estimates.reliability[number]),
            side_bias=float(estimates.side_bias[number]),
            agreement=float(agreement[number]),
        )
        for number, name in enumerate(table.annotators)
    )


def _contested(table: JudgementTable, estimates: Estimates) -> list[int]:
    """Numbers of the pairs on which at least a third of the annotators chose against the estimates."""
    rows = one_per_person(table)
    against = (_direction(table, estimates.difference) * table.outcome)[rows] < 0
    people = np.bincount(table.pair[rows], minlength=len(table.pairs))
    opposed = np.bincount(table.pair[rows], against, len(table.pairs))
    return [int(number) for number in np.flatnonzero(opposed >= CONTESTED_FROM * people - 1e-9)]
