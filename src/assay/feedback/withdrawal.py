"""Withdrawal: a person takes back all that they said. Takes a name and a clock, yields what was made from it.

Every standing answer is superseded by one that says nothing, so whatever is aggregated next goes without it; exports
leave the person's answers out, raw ones too; their places in queues are free for others; consent ends. What was made
before cannot be unmade here: preferences, rewards, policies and releases that rest on the answers are listed as stale.
Training, evaluation and exports open none of it any more, demonstrations and preferences made before included
(`assay.storage.permission`).

What people told of themselves has a word of its own (`group_consent`). Once it is taken back, changed or erased, the
views of groups that rest on it are listed in the same way.

Does not catch: copies exported earlier, what a trained model has learnt, and the reasons given for passing over an
item.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from assay.feedback.answering import WITHDRAWN, withdrawal_of
from assay.feedback.campaign import campaign_names
from assay.feedback.group_consent import standing_declarations
from assay.records.consent import Withdrawal
from assay.records.evidence import Evidence
from assay.records.judgement import Demonstration, Judgement, Ranking
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport, Preference
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
    preferences = {one.id for one in records.all(Preference) if rows.intersection(one.judgements)}
    return _with_what_follows(records, preferences, rewards, stale)


def made_with_groups(records: RecordStore) -> Stale:
    """What rests on views of groups of people who no longer agree, or told something else since.

    Preferences that hold such views, rewards with heads for groups on them, and what was trained against those.
    """
    standing = standing_declarations(records)
    reports = {one.id for one in records.all(AggregationReport) if _used(one) - standing}
    rewards = [one for one in records.all(RewardVersion) if one.made_of == "groups"]
    rewards = [one for one in rewards if one.aggregation_report in reports]
    signals = {one.identity.content_hash for one in rewards}
    trained = {
        one.id
        for one in records.all(PolicyVersion)
        if any(signal.content_hash in signals for signal in one.training_signals)
    }
    preferences = {one.id for one in records.all(Preference) if one.by_group and one.aggregation in reports}
    return _with_what_follows(records, preferences, {one.id for one in rewards}, trained)


def outdated(records: RecordStore, report: AggregationReport) -> int:
    """Of how many people a report used what they told of themselves, though they no longer agree or changed it."""
    used = _used(report)
    return len(used - standing_declarations(records)) if used else 0


def _used(report: AggregationReport) -> set[str]:
    return set(report.minority.declarations or ()) if report.minority else set()


def _with_what_follows(records: RecordStore, preferences: set[str], rewards: set[str], policies: set[str]) -> Stale:
    """With the policies that began from these, their evidence and releases."""
    every, stale = records.all(PolicyVersion), set(policies)
    while more := {one.id for one in every if one.ref_policy in stale} - stale:
        stale |= more
    return Stale(
        preferences=tuple(sorted(preferences)),
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
