"""Reward version: a trained, calibrated reward as it is stored and cited."""

from typing import ClassVar, Literal

from pydantic import Field

from assay.records.identity import ScorerIdentity
from assay.records.provenance import Provenance
from assay.records.record import Record, Value

RewardKind = Literal["ensemble", "attributes", "groups", "cost", "tuned"]
"""What a reward is made of: heads on frozen states that are one estimate each, a head an attribute, a head a group of
people, a cost with a zero, or a language model's own weights."""


class ReliabilityBin(Value):
    """One bin of a reliability curve: mean predicted probability, observed frequency, pairs."""

    predicted: float
    observed: float
    count: int


class MarginBin(Value):
    """Held-out pairs on which people were sure to an extent: `probability` from `low` to below `high` (1 included).

    `accuracy` is None where all pairs of the bin are even.
    """

    low: float
    high: float
    count: int
    accuracy: float | None
    nll: float


class SpreadBin(Value):
    """Held-out pairs on which the members' margins spread alike: mean s.d., mean error, coverage, pairs.

    The error is |predicted - people's probability|; a pair is covered when the members' margin, mean plus and minus two
    s.d., does not leave out the side that people chose.
    """

    spread: float
    error: float
    covered: float
    count: int


class RewardQuality(Value):
    """Held-out quality of a reward: accuracy, NLL in nats, ECE, before and after calibration.

    Fields that may be None are missing from rewards that were stored before they were measured.
    """

    pairs: int
    accuracy: float
    nll: float
    ece: float
    ece_before: float
    temperature: float
    reliability: tuple[ReliabilityBin, ...]
    length_correlation: float
    """Pearson correlation of the reward with the number of completion characters on held-out completions."""
    brier: float | None = None
    """Mean squared distance of the calibrated probability to people's, in both orders of each pair."""
    by_margin: tuple[MarginBin, ...] | None = None
    by_spread: tuple[SpreadBin, ...] | None = None
    """Fifths of the pairs by the members' spread, least first."""
    spread_rank_correlation: float | None = None
    """Spearman correlation of spread and error; above 0 the members disagree more where the reward is wrong."""
    calibration: str | None = None
    """How margins became probabilities: temperature, isotonic, or a cost's platt (on labels); None is temperature."""


class RewardPart(Value):
    """One named head of a reward: the rows that speak of it, and how many of those decided it gets right unseen.

    `weight` is what it counts for where the parts add up.
    """

    name: str
    rows: int = Field(ge=0)
    accuracy: float | None = None
    weight: float | None = None


class RewardVersion(Record):
    """A reward: its artifact, its members, the rows it saw and what it is worth on held-out pairs."""

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
    calibration_prompts: tuple[str, ...] | None = None
    """Identities of the prompts that were held out of the fit, for calibration and quality."""
    calibrated_from: str | None = None
    """The reward of which this is a new calibration."""
    aggregation_report: str | None = None
    """Identity of the aggregation whose preferences it was fitted on: the same judgements may stand in several."""
    made_of: RewardKind | None = None
    """What it is made of; None is an ensemble."""
    parts: tuple[RewardPart, ...] | None = None
    """Its heads by name, where each speaks of a thing of its own."""
