"""Composite: one reward of named parts, each a learnt reward or a rule with its weight: their weighted sum.

    r(x, y) = sum_k w_k r_k(x, y)

as trainers of policies take several reward functions with weights. What each part contributes is kept beside the sum,
for an optimiser that finds one part cheap lets the others pay for it (Moskovitz et al. 2023, arXiv 2310.04373), and the
sum alone hides the trade. A cost is a part like any other: it is scored with its sign turned, so its weight is above 0
too.

`read_parts` reads what a recipe declares; whoever opens stored rewards makes `Part`s of it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from assay.records.errors import ConfigError, explain
from assay.records.identity import ScorerIdentity
from assay.records.record import digest
from assay.rewards.protocol import RewardModel, Texts
from assay.rewards.rules import RuleReward, build_rules
from assay.rewards.scores import RewardScores, by_parts

LEARNT = "learnt"
"""The part that is the proxy reward, and what another reward would be called."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Declared(NamedTuple):
    """A part as a recipe declares it: a rule, or the name or id of a stored `reward`; neither for the proxy."""

    name: str
    weight: float
    rule: RuleReward | None = None
    reward: str | None = None


class Part(NamedTuple):
    """A part ready to score: its weight and the reward model."""

    name: str
    weight: float
    model: RewardModel
    identity: ScorerIdentity


class CompositeReward(NamedTuple):
    """The weighted sum of parts."""

    parts: tuple[Part, ...]

    def score_on(self, texts: Texts) -> RewardScores:
        """The sum, with what each part contributes to it.

        Members, disagreement and outliers are those of the proxy, or of the only part that has several estimates, the
        other parts added to each member. Without such a part the contributions stand in for members, and nothing is
        said of how sure they are.
        """
        scored = [part.model.score_on(texts) for part in self.parts]
        added = {part.name: part.weight * one.reward for part, one in zip(self.parts, scored, strict=True)}
        total = np.sum(list(added.values()), axis=0)
        highest = [part.weight * one.ceiling for part, one in self._pairs(scored) if one.ceiling is not None]
        ceiling = sum(highest) if len(highest) == len(self.parts) else None
        unsure = [(part, one) for part, one in self._pairs(scored) if one.are_estimates]
        proxy = [found for found in unsure if found[0].name == LEARNT]
        if not proxy and len(unsure) != 1:
            alone = by_parts(total, np.stack(list(added.values()), axis=1), ceiling=ceiling)
            return alone._replace(components=added)
        part, one = (proxy or unsure)[0]
        return one._replace(
            reward=total,
            members=total[:, None] + part.weight * (one.members - one.reward[:, None]),
            disagreement=part.weight * one.disagreement,
            ceiling=ceiling,
            components=added,
        )

    def _pairs(self, scored: Sequence[RewardScores]) -> list[tuple[Part, RewardScores]]:
        return list(zip(self.parts, scored, strict=True))

    def identity(self) -> ScorerIdentity:
        """What the firewall compares: parts and weights, and all rows and checkpoints behind them."""
        identities = [part.identity for part in self.parts]
        return ScorerIdentity(
            name=" + ".join(f"{part.weight:g} {part.name}" for part in self.parts),
            scorer_kind="reward_model",
            content_hash=digest({"parts": [[p.name, p.weight, p.identity.content_hash] for p in self.parts]}),
            rows=tuple(sorted({row for one in identities for row in one.rows})),
            ancestors=tuple(sorted({row for one in identities for row in one.ancestors})),
        )


def read_parts(plain: Mapping[str, Mapping[str, Any]]) -> tuple[Declared, ...]:
    """Parts from plain data by name: `weight` (default 1), and `rule` with its settings, or `reward`; `learnt` neither.

    Raises ConfigError that lists every fault of every part.
    """
    faults: list[str] = [] if plain else ["expected at least one part; got none"]
    parts = []
    for name, described in plain.items():
        part, wrong = _read(name, dict(described))
        faults += [f"{name}: {fault}" for fault in wrong]
        parts += [] if part is None else [part]
    if faults:
        do = "mend these:\n" + "\n".join(f"  {fault}" for fault in faults)
        raise ConfigError(explain(expected="named parts of a reward", got=f"{len(faults)} faults", do=do))
    return tuple(parts)


def _read(name: str, described: dict[str, Any]) -> tuple[Declared | None, list[str]]:
    faults = []
    if not _NAME.fullmatch(name) or name.endswith("_sd"):
        faults.append("expected a name of small letters, digits, - and _, that does not end in _sd")
    weight = described.pop("weight", 1.0)
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < float("inf"):
        faults.append(f"expected a weight above 0; got {weight!r}")
        weight = 1.0
    if "rule" in described:
        try:
            rule = build_rules([described])
        except ConfigError as error:
            return None, [*faults, *(line.strip().removeprefix("rule 1, ") for line in str(error).splitlines()[1:])]
        return Declared(name, weight, rule=rule), faults
    reward = described.pop("reward", None)
    if described:
        faults.append(f"unknown key {', '.join(map(repr, sorted(described)))}; only rules have settings")
    if name != LEARNT and not isinstance(reward, str):
        faults.append("expected `rule`, or `reward` with the name or id of a stored one")
    if name == LEARNT and reward is not None:
        faults.append("expected no `reward`: this part is the proxy; give another one another name")
    return Declared(name, weight, reward=reward), faults
