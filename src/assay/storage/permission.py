"""Permission: what people allow to be done with what they said. Takes a store and a purpose, yields what may be used.

A record may be used when nothing of it was taken back and everybody it comes from, who was ever asked here, said yes
to the purpose last. People who were never asked here (data from elsewhere, a simulated panel) are for whoever imported
them to answer for. What came through the gateway (source `live`) was given for training alone.

Catches: judgements, rankings, demonstrations and preferences of people who said no, withdrew, or said yes to another
purpose only; a preference with one such person among many. Does not catch: what was made from them before (`withdrawal`
in `feedback` lists that), files that were exported before, and one person under two names.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from assay.records.consent import Consent, Purpose, Withdrawal
from assay.records.judgement import Demonstration, Judgement, Ranking
from assay.records.preference import Preference
from assay.records.record import Record
from assay.storage.database import RecordStore

R = TypeVar("R", bound=Record)

TRAIN_AND_TEST = "d06b23db6e39"
"""Version of the one consent text of before; it asked for both at once."""


LIVE = "live"


class Permission(NamedTuple):
    """What may be used for a purpose: not what comes from those who refuse it, nor what was taken back."""

    purpose: Purpose
    refusing: frozenset[str]
    withdrawn: frozenset[str]

    def allows(self, record: Record) -> bool:
        """Whether a record may be used."""
        if isinstance(record, Preference):
            return self.refusing.isdisjoint(record.annotators) and self.withdrawn.isdisjoint(record.judgements)
        if isinstance(record, Judgement) and record.source == LIVE and self.purpose != "train":
            return False
        if isinstance(record, Demonstration) and not record.completion:
            return False  # it was erased
        if isinstance(record, Judgement | Ranking | Demonstration):
            superseded = None if isinstance(record, Demonstration) else record.supersedes
            return record.annotator not in self.refusing and self.withdrawn.isdisjoint((record.id, superseded))
        return True

    def of(self, records: Iterable[R]) -> list[R]:
        """Those that may be used, in their order."""
        return [record for record in records if self.allows(record)]


def permission(store: RecordStore, purpose: Purpose) -> Permission:
    """What may be used for a purpose now."""
    withdrawals = store.all(Withdrawal)
    gone_since = {one.annotator: one.id for one in withdrawals}
    granted: dict[str, bool] = dict.fromkeys(gone_since, False)
    for word in store.all(Consent):
        granted.setdefault(word.annotator, False)
        if word.purpose == purpose or (purpose == "evaluate" and word.version == TRAIN_AND_TEST):
            granted[word.annotator] = not word.is_refused and word.after == gone_since.get(word.annotator)
    return Permission(
        purpose,
        refusing=frozenset(name for name, is_granted in granted.items() if not is_granted),
        withdrawn=frozenset(one for w in withdrawals for one in (*w.judgements, *w.demonstrations)),
    )
