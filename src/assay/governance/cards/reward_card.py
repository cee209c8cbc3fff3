"""Reward card: what a policy was optimised for: terms, quality, known exploits, and how far it was followed.

Catches: readers who take a reward for the thing itself. Does not catch: exploits that no monitor has rung for yet.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from assay.governance.cards.rendering import render
from assay.records.evidence import Curve, CurvePoint, Evidence
from assay.records.identity import ScorerIdentity
from assay.records.observation import Alarm
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport
from assay.records.reward import RewardVersion


class Exploit(NamedTuple):
    """An alarm that rang while a policy followed the reward."""

    policy: str
    alarm: Alarm


class Followed(NamedTuple):
    """How far one policy went along the reward, in sqrt(KL) with KL in nats, and what gold said there."""

    policy: str
    curve: Curve
    at_stop: CurvePoint


def reward_card(
    reward: RewardVersion,
    *,
    policies: Sequence[PolicyVersion],
    evidence: Mapping[str, Evidence],
    aggregation: AggregationReport | None,
    is_simulated: bool = False,
    now: datetime,
) -> str:
    """The card of one reward. `policies` were trained on it; `evidence` holds the last findings by policy identity.

    `is_simulated` says that its judgements were made by programs; the card says so too where its evidence was.
    """
    followed = _followed(policies, evidence)
    rang = [Exploit(policy.name, alarm) for policy in policies for alarm in policy.alarms]
    limits = [one.at_stop.sqrt_kl for one in followed]
    return render(
        "reward_card.md",
        {
            "reward": reward,
            "terms": _terms(reward, policies),
            "policies": policies,
            "exploits": rang,
            "followed": followed,
            "limit": max(limits) if limits else None,
            "aggregation": aggregation,
            "is_simulated": is_simulated
            or any(evidence[one.id].is_simulated for one in policies if one.id in evidence),
            "has_gold": any(one.curve.gold_at_stop is not None for one in followed),
            "day": now.date().isoformat(),
        },
    )


def policies_trained_on(reward: RewardVersion, policies: Sequence[PolicyVersion]) -> list[PolicyVersion]:
    """Policies whose training signals include this reward, by content."""
    wanted = reward.identity.content_hash
    return [policy for policy in policies if wanted in {signal.content_hash for signal in policy.training_signals}]


def _terms(reward: RewardVersion, policies: Sequence[PolicyVersion]) -> list[ScorerIdentity]:
    """The reward itself, then every other signal that a policy optimised together with it."""
    found = {reward.identity.content_hash: reward.identity}
    for policy in policies:
        for signal in policy.training_signals:
            found.setdefault(signal.content_hash, signal)
    return list(found.values())


def _followed(policies: Sequence[PolicyVersion], evidence: Mapping[str, Evidence]) -> list[Followed]:
    return [
        Followed(policy.name, curve, point)
        for policy in policies
        if policy.id in evidence
        for curve in evidence[policy.id].curves
        for point in curve.points
        if curve.policy == policy.id and point.step == curve.stop_step
    ]
