"""Reward version: a trained, calibrated reward ensemble as it is stored and cited."""

from typing import ClassVar

from assay.records.identity import ScorerIdentity
from assay.records.provenance import Provenance
from assay.records.record import Record, Value


class ReliabilityBin(Value):
    """One bin of a reliability curve: mean predicted probability, observed frequency, pairs."""

    predicted: float
    observed: float
    count: int


class RewardQuality(Value):
    """Held-out quality of a reward: accuracy, NLL in nats, ECE, before and after temperature scaling."""

    pairs: int
    accuracy: float
    nll: float
    ece: float
    ece_before: float
    temperature: float
    reliability: tuple[ReliabilityBin, ...]
    length_correlation: float
    """Pearson correlation of the reward with the number of completion characters on held-out completions."""


class RewardVersion(Record):
    """A reward ensemble: its artifact, its members, the rows it saw and what it is worth on held-out pairs."""

    kind: ClassVar[str] = "reward"
    name: str
    artifact: str
    backbone: str
    layer: int
    members: int
    feature_maps: tuple[str, ...]
    aggregation: str
    quality: RewardQuality
    member_accuracy: tuple[float, ...]
    identity: ScorerIdentity
    training_pairs: int
    provenance: Provenance
    notes: tuple[str, ...] = ()
