"""Reckoning: what annotators were told is stored, against what the database holds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from assay.bench.annotation.campaign import NAME, OVERLAP
from assay.bench.annotation.crowd import Submit
from assay.feedback import queue_of
from assay.records.judgement import Judgement
from assay.storage import RecordStore


class Reckoning(NamedTuple):
    """`lost`: answers that a person saw stored and that are not there. `doubled`: judgements that nobody gave, answers
    of one person on one item beyond the first, and answers on an item beyond its overlap."""

    stored: int
    lost: int
    doubled: int


def reckon(records: RecordStore, submits: Sequence[Submit], *, annotators: Iterable[str]) -> Reckoning:
    """Compare every submit with the records and leases; what was on its way when a run ended may be stored too."""
    leases = queue_of(records)
    by_item: dict[str, set[str]] = {
        item: {lease.annotator for lease in leases.answers(NAME, item) if _is_stored(records, lease.answer)}
        for item in {one.item for one in submits}
    }
    told = Counter((one.annotator, one.item) for one in submits)
    lost = sum(annotator not in by_item[item] for annotator, item in told)
    doubled = sum(count - 1 for count in told.values())
    doubled += sum(max(0, len(people) - OVERLAP) for people in by_item.values())
    stored = 0
    for annotator in annotators:
        judged = records.count(Judgement, subject=annotator)
        doubled += abs(judged - leases.standing(NAME, annotator).finished)
        stored += judged
    return Reckoning(stored, lost, doubled)


def _is_stored(records: RecordStore, identity: str | None) -> bool:
    return identity is not None and records.get(Judgement, identity).id == identity
