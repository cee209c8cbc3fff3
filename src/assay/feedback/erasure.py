"""Erasure: what a person wrote becomes unreadable, what they chose stays. Takes a name, yields a record of it.

Erased are comments, marked words, reasons, notes and better answers, with the demonstrations made from them, and, of a
whole person, profile, traits with the word on groups, and what they would rather not see: their keys are destroyed
(`storage.sealing`). What lay open, as in workspaces of before there were keys, is sealed first. Choices, times and
names stay: by the name a person's word on consent holds, and it is no text of theirs.

The record lists every row with the hash of what is left of it. It is stored before the keys go, so that an erasure that
was cut short is seen, and finished when it is asked for again.

Does not catch: exports and backups of before, in which the text stood open; what a model has learnt of it;
and the version of a profile on each answer, from which somebody who tries all profiles learns the settings.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, Literal

from assay.feedback.assignment import Pass
from assay.feedback.comfort import Comfort
from assay.feedback.panels import Traits
from assay.records.judgement import Demonstration, Judgement, Ranking
from assay.records.profile import Profile
from assay.records.record import Record, Value
from assay.storage import RecordStore

Why = Literal["retention", "request"]
Written = Judgement | Ranking | Pass | Demonstration | Profile | Traits | Comfort


class Remnant(Value):
    """One record that was erased, and the hash of what is left of it."""

    kind_of: str
    record: str
    rest: str


class Erasure(Record):
    """What was erased of one person, in one campaign or altogether (None), and why."""

    kind: ClassVar[str] = "erasure"
    annotator: str
    campaign: str | None
    why: Why
    remnants: tuple[Remnant, ...]


def erase(
    records: RecordStore, annotator: str, *, campaign: str | None = None, why: Why, now: datetime
) -> Erasure | None:
    """Erase what a person wrote, in one campaign or altogether. None where nothing of theirs can be read.

    Raises StorageError in a store without keys.
    """
    found = list(readable(records, annotator, campaign))
    if not found or records.seals is None:
        return None
    rests = records.seal(found, subject=annotator)
    erasure = Erasure(
        annotator=annotator,
        campaign=campaign,
        why=why,
        remnants=tuple(Remnant(kind_of=kind, record=one, rest=rests[kind, one]) for kind, one in sorted(rests)),
        created_at=now,
    )
    records.put(erasure, subject=annotator)
    for scope in {one.seal_scope or one.id for one in found}:
        records.seals.destroy(annotator, scope)
    return erasure


def readable(records: RecordStore, annotator: str, campaign: str | None) -> Iterator[Written]:
    """What a person wrote and is still there to read, in one campaign or altogether."""
    edits = set()
    said: list[Judgement | Ranking | Pass] = [*records.all(Judgement, subject=annotator)]
    said += [*records.all(Ranking, subject=annotator), *records.all(Pass, subject=annotator)]
    for one in said:
        if campaign in (None, one.campaign) and _is_written(one):
            edits |= {(one.prompt, one.edit.text)} if not isinstance(one, Pass) and one.edit else set()
            yield one
    for shown in records.all(Demonstration, subject=annotator):
        if shown.completion and (campaign is None or (shown.prompt, shown.completion) in edits):
            yield shown
    if campaign is None:
        yield from (one for one in records.all(Profile, subject=annotator) if one.settings)
        yield from (one for one in records.all(Traits, subject=annotator) if one.values or one.groups)
        yield from (one for one in records.all(Comfort, subject=annotator) if one.accepts)


def changed_since(records: RecordStore) -> list[str]:
    """Erased records of which something else is left than when they were erased, or nothing: their identities."""
    remnants = [one for erasure in records.all(Erasure) for one in erasure.remnants]
    return sorted({one.record for one in remnants if records.remnant(one.kind_of, one.record) != one.rest})


def _is_written(one: Written) -> bool:
    return any(getattr(one, name) for name in type(one).personal)
