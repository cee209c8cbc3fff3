"""Panels: whose judgement a campaign wants. Takes what people tell of themselves, yields the item that they get next.

A quota is a target, never a gate: nobody is turned away, and nobody is told a reason. Of the items that a person could
get next, one comes first that still lacks people like them, and one last whose free places others are needed for; where
nothing else is left they get it all the same. Experts are asked for in the same way: so many an item, and first of all
where those who judged it disagree and one more was asked for (`assignment`).

What people tell of themselves is a record of its own, sealed under a key of theirs (`storage.sealing`), and stands
beside no judgement. They may tell nothing, change it and have it erased. Whether it may also show where groups judge
differently is a word of its own, sealed and erased with it (`group_consent` reads it).

Catches: groups that come in while others wait. Does not catch: groups that never come, and what nobody was asked about.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from assay.feedback.declared import read_declared
from assay.records.errors import InputError, explain
from assay.records.record import Record, Value
from assay.storage import RecordStore
from assay.storage.leases import Waiting

Told = Mapping[str, str]
"""A person's values by trait; what they did not tell is absent."""


class Quota(Value):
    """A group, or an intersection of groups, and its share of the people who judge an item."""

    where: dict[str, str] = Field(min_length=1)
    share: float = Field(gt=0, le=1)

    @property
    def name(self) -> str:
        """The group in words."""
        return " and ".join(f"{trait}: {value}" for trait, value in self.where.items())

    def fits(self, told: Told) -> bool:
        """Whether somebody who told this of themselves belongs to the group."""
        return all(told.get(trait) == value for trait, value in self.where.items())


class Panel(Record):
    """Whom a campaign wants; the last record of a campaign counts."""

    kind: ClassVar[str] = "panel"
    campaign: str
    traits: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """What people are asked about themselves, with the answers to choose from."""
    quotas: tuple[Quota, ...] = ()
    experts: tuple[str, ...] = ()
    """Names of people who know the field; all others are the crowd."""
    experts_an_item: int = Field(default=0, ge=0)
    """How many of those who judge an item should be experts."""
    smallest: int = Field(default=5, ge=1)
    """Groups of fewer people are not shown in any report."""

    @model_validator(mode="after")
    def _quotas_fit(self) -> Self:
        faults = [
            f"{trait} {value!r} of a quota is no answer that people can give"
            for quota in self.quotas
            for trait, value in quota.where.items()
            if value not in self.traits.get(trait, ())
        ]
        faults += ["experts are wanted and none is named"] if self.experts_an_item and not self.experts else []
        if faults:
            raise ValueError("; ".join(faults))
        return self


class GroupWord(Value):
    """A person's word on whether what they told may be used to see where groups judge differently."""

    version: str
    """Of the text that they were shown."""
    is_given: bool
    after: str | None = None
    """The withdrawal after which the person came back."""


class Traits(Record):
    """What a person told of themselves from then on; the last one counts."""

    kind: ClassVar[str] = "traits"
    personal: ClassVar[tuple[str, ...]] = ("values", "groups", "salt")
    annotator: str
    values: dict[str, str] | None = None
    """None: nothing, or erased."""
    groups: GroupWord | None = None
    """None: they were not asked, or it was erased."""
    salt: str | None = None
    """Random, so that the few values there are cannot be tried against the record's identity."""
    previous: str | None = None

    @property
    def seal_scope(self) -> str:
        """One for all that a person told."""
        return self.kind


def read_panel(path: Path, *, campaign: str, now: datetime) -> Panel:
    """A panel from YAML or JSON. Raises InputError with every fault."""
    return read_declared(path, Panel, what="a panel", campaign=campaign, created_at=now)


def panel_of(records: RecordStore, campaign: str) -> Panel | None:
    """Whom a campaign wants; None where it does not say."""
    return records.latest(Panel, subject=campaign)


def tell(
    records: RecordStore,
    annotator: str,
    values: Told,
    *,
    asked: Mapping[str, Collection[str]],
    now: datetime,
    groups: GroupWord | None = None,
    salt: str | None = None,
) -> Traits:
    """Store what a person tells, with their word on `groups` if they were asked for it; the same again stores nothing.

    `salt` is random, and another one each time. Raises InputError for what was not asked; what others asked earlier
    stays.
    """
    faults = [f"{trait}: {value!r}" for trait, value in values.items() if value not in asked.get(trait, ())]
    if faults:
        raise InputError(explain(expected="answers of the form", got="; ".join(faults), do="use the page's own"))
    before = records.latest(Traits, subject=annotator)
    earlier = {trait: value for trait, value in told_by(records, annotator).items() if trait not in asked}
    new = {**earlier, **values} or None
    if before is not None and (before.values, before.groups) == (new, groups):
        return before
    previous = before.id if before else None
    traits = Traits(annotator=annotator, values=new, groups=groups, salt=salt, previous=previous, created_at=now)
    if before is not None and records.seals is not None:
        records.seals.destroy(annotator, before.seal_scope)  # what was told before is taken back, and not kept beside
    records.put(traits, subject=annotator)
    return traits


def told_by(records: RecordStore, annotator: str) -> Told:
    """What a person told of themselves and did not take back."""
    last = records.latest(Traits, subject=annotator)
    return (last.values if last else None) or {}


def foremost(
    waiting: Sequence[Waiting], annotator: str, panel: Panel, told: Mapping[str, Told], *, overlap: int
) -> list[Waiting]:
    """The items that a person should get before others, of those that could come and in their order.

    `told` is by person. All of them where the panel makes no difference.
    """
    scores = [_score(one, annotator, panel, told, overlap=overlap) for one in waiting]
    best = max(scores, default=0.0)
    return [one for one, score in zip(waiting, scores, strict=True) if score == best]


def _score(item: Waiting, annotator: str, panel: Panel, told: Mapping[str, Told], *, overlap: int) -> float:
    """How many places for people like this one are open, less one where others need what is free."""
    if item.wanted is None:
        return 0.0
    mine = told.get(annotator, {})
    own = others = 0.0
    for quota in panel.quotas:
        have = sum(quota.fits(told.get(one, {})) for one in item.people)
        lacks = max(0.0, quota.share * item.wanted - have)
        own, others = (own + lacks, others) if quota.fits(mine) else (own, others + lacks)
    if panel.experts:
        have = sum(one in panel.experts for one in item.people)
        lacks = max(0, panel.experts_an_item + max(0, item.wanted - overlap) - have)
        own, others = (own + lacks, others) if annotator in panel.experts else (own, others + lacks)
    is_needed = others >= item.wanted - len(item.people)
    return own - float(is_needed)
