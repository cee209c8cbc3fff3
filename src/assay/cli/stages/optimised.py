"""Optimised: the reward that a run pushes against: the learnt one, or named parts of it with their weights.

Every part is registered on the training side before a run may see it, so that a part that judges is refused.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from assay.cli.config import HELD_OUT_REWARD
from assay.cli.context import now
from assay.cli.stages.learn import open_reward
from assay.cli.walk import Walk
from assay.records.errors import FirewallError, InputError, explain
from assay.records.identity import ScorerIdentity
from assay.records.reward import RewardKind, RewardVersion
from assay.rewards.composite import LEARNT, CompositeReward, Declared, Part, read_parts
from assay.rewards.protocol import RewardModel
from assay.storage.firewall import Registration

PROXY = "proxy"


class Optimised(NamedTuple):
    """A reward to push against, how its members are aggregated, and the identities behind it."""

    model: RewardModel
    aggregation: str
    signals: tuple[ScorerIdentity, ...]


def open_optimised(
    walk: Walk, *, reward: str = PROXY, aggregation: str | None = None, has_parts: bool = True
) -> Optimised:
    """The learnt reward of a name, under another aggregation where told; of the proxy the declared parts, if any.

    `has_parts` False leaves the parts out, for a run that the proxy measures and does not push.

    Raises InputError for a part that was not trained, FirewallError for one that judges or watches.
    """
    declared = walk.config.alignment.reward_parts
    if declared is None or reward != PROXY or not has_parts:
        return _learnt(walk, reward, aggregation)
    parts = [_part(walk, one, aggregation) for one in read_parts(declared)]
    composite = CompositeReward(tuple(parts))
    signals = (*(part.identity for part in parts), composite.identity())
    register(walk, signals)
    return Optimised(composite, "parts", signals)


def _learnt(walk: Walk, reward: str, aggregation: str | None) -> Optimised:
    model, identity = open_reward(walk, walk.output("rewards", reward) or "")
    if aggregation is not None:
        model = model.with_aggregation(aggregation)
    return Optimised(model, model.aggregation, (identity,))


def _part(walk: Walk, declared: Declared, aggregation: str | None) -> Part:
    if declared.rule is not None:
        return Part(declared.name, declared.weight, declared.rule, declared.rule.identity(declared.name))
    if declared.name == LEARNT:
        model, _, (identity,) = _learnt(walk, PROXY, aggregation)
        return Part(declared.name, declared.weight, model, identity)
    model, identity, _ = open_part(walk, declared.reward or "")
    return Part(declared.name, declared.weight, model, identity)


def open_part(walk: Walk, reward: str) -> tuple[RewardModel, ScorerIdentity, RewardKind | None]:
    """A stored reward that a run may see, by name or id, with its identity and what it is made of.

    Raises InputError for one that was not trained, FirewallError for one that judges or watches.
    """
    version = _version(walk, reward)
    if version.name in ("watch-panel", HELD_OUT_REWARD):
        do = "name a reward that was trained to be optimised"
        raise FirewallError(explain(expected="a reward to optimise", got=f"the {version.name}", do=do))
    model, identity = open_reward(walk, version.id)
    return model, identity, version.made_of


def _version(walk: Walk, reward: str) -> RewardVersion:
    """The latest reward of a name, or the one of an id."""
    records = walk.workspace.records
    named = [one for one in records.all(RewardVersion) if one.name == reward]
    latest = walk.output("rewards", reward) or (named[-1].id if named else None)
    if latest is None and not re.fullmatch(r"[0-9a-f]{6,64}", reward):
        do = f"train it with `assay reward train --name {reward}`, or in a recipe under `further_rewards`"
        raise InputError(explain(expected="a stored reward as a part", got=repr(reward), do=do))
    return records.get(RewardVersion, latest or reward)


def register(walk: Walk, signals: Sequence[ScorerIdentity]) -> None:
    """Enter scorers on the training side. Raises FirewallError where one judges already."""
    for identity in signals:
        walk.workspace.firewall.register(Registration(created_at=now(), side="training", identity=identity))
