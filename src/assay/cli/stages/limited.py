"""Limited: what the constraints of a run may limit beside words, KL and reward: rules, and stored rewards by name.

Takes what a method is told; yields the run with a score for each name, each registered on the training side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.alignment import Watched
from assay.alignment.settings import ConstraintSettings
from assay.cli.stages.optimised import open_part, register
from assay.cli.walk import Walk
from assay.lm import LanguageModel
from assay.records.identity import ScorerIdentity
from assay.rewards.protocol import RewardModel, Score, reading, scoring
from assay.rewards.rules import build_rules

MEASURED = ("kl", "reward", "words", "rules")
"""What every run measures, and the rules, which are declared beside the constraints."""
COST = "cost"


def with_limits(
    walk: Walk,
    lm: LanguageModel,
    watched: Watched,
    constraints: Sequence[ConstraintSettings],
    rules: Sequence[Mapping[str, Any]],
) -> Watched:
    """The same with a score for each thing that is limited; a cost model counts as a cost, any other as a reward.

    Raises ConfigError for rules that are none, InputError for a reward that was not trained, FirewallError for one
    that judges or watches.
    """
    costs: dict[str, Score] = {}
    signals: list[ScorerIdentity] = []
    if rules:
        kept = build_rules(rules)
        costs["rules"] = scoring(kept)
        signals.append(kept.identity("constraint-rules"))
    for name in (one.name for one in constraints if one.name not in MEASURED):
        model, identity, kind = open_part(walk, name)
        costs[name] = _as_limited(lm, model, sign=-1.0 if kind == COST else 1.0)
        signals.append(identity)
    register(walk, signals)
    return replace(watched, costs={**watched.costs, **costs}, signals=(*watched.signals, *signals))


def _as_limited(lm: LanguageModel, model: RewardModel, *, sign: float) -> Score:
    """A stored reward as a value of texts; a cost model scores by what it does not cost, so its sign is turned back."""
    read = reading(model, lm)
    return lambda prompts, completions: sign * read.score_texts(prompts, completions).reward
