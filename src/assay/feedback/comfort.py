"""Comfort: how upsetting the items may be that a person is given. Takes their word, yields the limit of their queue.

Items may say how upsetting they are (`records.judgement.Item.harm`). What lies above a person's last word is never
given to them, is not counted in what there is for them, and goes back to the queue where they had it in hand; what they
answered before stays theirs. Nobody is told: the word is sealed as a profile is, everybody who was asked has one,
whatever they said, and a salt keeps the three possible words from being tried against the record's identity. Where a
word was erased, the most careful holds until the person is asked again.

Catches: items that are marked. Does not catch: items of which nobody said how upsetting they are; a page that another
tab showed before; what somebody concludes from items that a person never answered.
"""

from datetime import datetime
from typing import ClassVar

from assay.feedback.campaign import campaign_names
from assay.records.judgement import HARMS, Harm
from assay.records.record import Record
from assay.storage import RecordStore
from assay.storage.leases import Leases


class Comfort(Record):
    """What a person wants to see from then on; the last one counts."""

    kind: ClassVar[str] = "comfort"
    personal: ClassVar[tuple[str, ...]] = ("accepts", "salt")
    annotator: str
    accepts: Harm | None = None
    """The most upsetting level that they want to be given; None: erased."""
    salt: str | None = None
    previous: str | None = None

    @property
    def seal_scope(self) -> str:
        """One for all that a person said of this."""
        return self.kind


def accepted_by(records: RecordStore, annotator: str) -> Harm | None:
    """A person's last word; None where they were never asked, or had it erased."""
    last = records.latest(Comfort, subject=annotator)
    return last.accepts if last else None


def limit_of(records: RecordStore, annotator: str) -> int | None:
    """The highest level of items for a person; None where everything is for them."""
    last = records.latest(Comfort, subject=annotator)
    if last is None or last.accepts == HARMS[-1]:
        return None
    return HARMS.index(last.accepts) if last.accepts else 0


def is_to_be_asked(leases: Leases, campaign: str, annotator: str) -> bool:
    """Whether a campaign says how upsetting its items are, and a person never said what they want to see."""
    return leases.has_levels(campaign) and accepted_by(leases.records, annotator) is None


def is_to_be_offered(leases: Leases, campaign: str, annotator: str) -> bool:
    """Whether a person to whom something was upsetting could keep more of it away in this campaign."""
    return leases.has_levels(campaign) and limit_of(leases.records, annotator) != 0


def accept(leases: Leases, annotator: str, harm: Harm, *, salt: str, now: datetime) -> Comfort:
    """Store a person's word and give back what they hold above it; the same word again stores nothing.

    `salt` is random, and another one each time.
    """
    records = leases.records
    word = records.latest(Comfort, subject=annotator)
    if word is None or word.accepts != harm:
        previous = word.id if word else None
        word = Comfort(annotator=annotator, accepts=harm, salt=salt, previous=previous, created_at=now)
        records.put(word, subject=annotator)
    for name in campaign_names(records):
        leases.release_above(name, annotator, limit=HARMS.index(harm))
    return word
