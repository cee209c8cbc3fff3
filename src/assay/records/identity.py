"""Scorer identity: what the firewall compares so that nothing trains and judges at once."""

from typing import Literal

from assay.records.record import Value

ScorerKind = Literal["reward_model", "rule", "judge", "human", "gold"]
FirewallSide = Literal["training", "evaluation"]


class ScorerIdentity(Value):
    """Identity by content of a reward model, rule or judge.

    `content_hash` covers weights, template and data split; `rows` are the judgements it was fitted on;
    `ancestors` are the checkpoints it starts from. Names are for people and never compared.
    """

    name: str
    scorer_kind: ScorerKind
    content_hash: str
    rows: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
