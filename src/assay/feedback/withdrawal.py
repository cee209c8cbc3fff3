"""Withdrawal: a person takes back all that they said. Takes a name and a clock, yields what was made from it.

Every standing answer is superseded by one that says nothing, so whatever is aggregated next goes without it; exports
leave the person's answers out, raw ones too; their places in queues are free for others; consent ends. What was made
before cannot be unmade here: preferences, rewards, policies and releases that rest on the answers are listed as stale.
Training, evaluation and exports open none of it any more, demonstrations and preferences made before included
(`assay.storage.permission`).

Does not catch: copies exported earlier, what a trained model has learnt, and the reasons given for passing over an
item.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from assay.feedback.answering import WITHDRAWN, withdrawal_of
from assay.feedback.campaign import campaign_names
from assay.records.consent import Withdrawal
from assay.records.evidence import Evidence
from assay.records.judgement import Demonstration, Judgement, Ranking
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.records.release import Release
from assay.records.reward import RewardVersion
from assay.storage import RecordStore, SplitName
from assay.storage.leases import Leases, Stored


class Stale(NamedTuple):
    """Identities of what was made from withdrawn answers, to be made again without them."""

    preferences: tuple[str, ...]
    rewards: tuple[str, ...]
    policies: tuple[str, ...]
    evidence: tuple[str, ...]
    releases: tuple[str, ...]


def withdraw(leases: Leases, annotator: str, *, now: datetime) -> Withdrawal:
    """Take back everything a person said. Called again after a crash it finishes what was left."""
    records = leases.records
    judgements = records.all(Judgement, subject=annotator)
    rankings = records.all(Ranking, subject=annotator)
    said: list[Judgement | Ranking] = [*judgements, *rankings]
    gone = {one.supersedes for one in said}
    standing = [one for one in said if one.id not in gone and not _says_nothing(one)]
    before = records.latest(Withdrawal, subject=annotator)
    earlier = set(before.judgements) if before else set()
    withdrawal = Withdrawal(
        annotator=annotator,
        judgements=tuple(sorted({one.id for one in judgements if not _says_nothing(one)} - earlier)),
        demonstrations=tuple(sorted(one.id for one in records.all(Demonstration, subject=annotator))),
        previous=before.id if before else None,
        created_at=now,
    )
    splits = _splits(records, annotator)
    rows: list[Stored] = [(withdrawal_of(one, now=now), splits.get(one.id), annotator) for one in standing]
    records.put_all([(withdrawal, None, annotator), *rows])
    for name in campaign_names(records):
        leases.forget(name, annotator)
    return withdrawal


def made_from(records: RecordStore, judgements: Iterable[str], demonstrations: Collection[str] = ()) -> Stale:
    """What rests on these judgements, by the rows that preferences and scorers name, and on these demonstrations.

    A policy does not name its demonstrations: every one that was tuned on some since the first of these is counted.
    """
    rows = set(judgements)
    rewards = {one.id for one in records.all(RewardVersion) if rows.intersection(one.identity.rows)}
    policies = records.all(PolicyVersion)
    stale = {one.id for one in policies if any(rows.intersection(signal.rows) for signal in one.training_signals)}
    since = min((records.get(Demonstration, one).created_at for one in demonstrations), default=None)
    stale |= {one.id for one in policies if since is not None and _is_shown(one) and one.created_at >= since}
    while more := {one.id for one in policies if one.ref_policy in stale} - stale:
        stale |= more
    return Stale(
        preferences=tuple(sorted(one.id for one in records.all(Preference) if rows.intersection(one.judgements))),
        rewards=tuple(sorted(rewards)),
        policies=tuple(sorted(stale)),
        evidence=tuple(sorted(one.id for one in records.all(Evidence) if one.policy in stale)),
        releases=tuple(sorted(one.id for one in records.all(Release) if one.policy in stale)),
    )


def _is_shown(policy: PolicyVersion) -> bool:
    return policy.method == "sft" or bool(policy.settings.get("demonstrations_share"))


def _says_nothing(one: Judgement | Ranking) -> bool:
    return bool(one.is_withdrawn) if isinstance(one, Ranking) else one.source == WITHDRAWN


def _splits(records: RecordStore, annotator: str) -> dict[str, str]:
    """Where this person's answers lie; a withdrawal lies beside the answer that it takes back."""
    names = [*(name.value for name in SplitName), "unused"]
    return {
        one.id: name
        for name in names
        for kind in (Judgement, Ranking)
        for one in records.all(kind, split=name, subject=annotator)
    }
