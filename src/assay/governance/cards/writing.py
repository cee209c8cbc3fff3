"""Writing: finds the records of one policy and writes its cards, each file whole or not at all."""

from datetime import datetime
from pathlib import Path

from assay.governance.cards.data_card import data_card
from assay.governance.cards.model_card import model_card
from assay.governance.cards.reward_card import policies_trained_on, reward_card
from assay.governance.decisions import approved_decision
from assay.governance.history import Standing, standings
from assay.records.errors import GovernanceError
from assay.records.evidence import Evidence
from assay.records.judgement import Judgement
from assay.records.policy import PolicyVersion
from assay.records.preference import AggregationReport, Preference
from assay.records.reward import RewardVersion
from assay.storage import SplitName, Workspace
from assay.storage.artifacts import write_atomically


def write_cards(workspace: Workspace, policy_id: str, *, directory: Path, now: datetime) -> list[Path]:
    """Write `model_card.md`, `data_card.md` and a reward card for each learnt reward that trained the policy.

    All cards are rendered before the first is written. Raises GovernanceError when one of them has a gap.
    """
    policy = workspace.records.get(PolicyVersion, policy_id)
    latest = {one.policy: one for one in workspace.records.all(Evidence)}
    evidence = latest.get(policy.id)
    judgements = workspace.records.all(Judgement)
    texts = {
        "model_card.md": model_card_of(workspace, policy, now=now),
        "data_card.md": data_card(
            policy,
            evidence,
            judgements=judgements,
            split_counts={name.value: workspace.records.count(Judgement, split=name) for name in SplitName},
            aggregations=workspace.records.all(AggregationReport),
            now=now,
        ),
    }
    simulated = {one.id for one in judgements if one.source == "simulated"}
    everyone = workspace.records.all(PolicyVersion)
    rewards = [one for one in workspace.records.all(RewardVersion) if policies_trained_on(one, [policy])]
    for reward in rewards:
        name = "reward_card.md" if len(rewards) == 1 else f"reward_card_{reward.short_id}.md"
        texts[name] = reward_card(
            reward,
            policies=policies_trained_on(reward, everyone),
            evidence=latest,
            aggregation=_aggregation(workspace, reward),
            is_simulated=bool(simulated & set(reward.identity.rows)),
            now=now,
        )
    paths = []
    for name, text in texts.items():
        write_atomically(directory / name, text.encode())
        paths.append(directory / name)
    return paths


def model_card_of(workspace: Workspace, policy: PolicyVersion, *, now: datetime) -> str:
    """The card of one policy, from the last evidence on it. Raises GovernanceError when it has a gap."""
    evidence = {one.policy: one for one in workspace.records.all(Evidence)}.get(policy.id)
    release, is_released = _last_request(workspace, policy), _is_released(workspace, policy, now)
    return model_card(policy, evidence, release=release, is_released=is_released, now=now)


def _last_request(workspace: Workspace, policy: PolicyVersion) -> Standing | None:
    return next((one for one in reversed(standings(workspace)) if one.request.policy == policy.id), None)


def _is_released(workspace: Workspace, policy: PolicyVersion, now: datetime) -> bool:
    try:
        approved_decision(workspace, policy.id, now=now)
    except GovernanceError:
        return False
    return True


def _aggregation(workspace: Workspace, reward: RewardVersion) -> AggregationReport | None:
    """The report behind the preferences of the reward; where it names none, one on any of its judgements."""
    if reward.aggregation_report is not None:
        return workspace.records.get(AggregationReport, reward.aggregation_report)
    rows = set(reward.identity.rows)
    for preference in workspace.records.all(Preference):
        if rows & set(preference.judgements):
            found = [one for one in workspace.records.all(AggregationReport) if one.id == preference.aggregation]
            return found[0] if found else None
    return None
