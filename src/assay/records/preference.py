"""Preference: what the judgements on one pair add up to, with its uncertainty; and the report of an aggregation."""

from typing import ClassVar

from pydantic import Field

from assay.records.conversation import Prompt, prompt_id
from assay.records.record import Record, Value


class Preference(Record):
    """`chosen` is better than `rejected` by `margin` logits with standard error `standard_error`.

    `probability` is the chance that a careful annotator prefers `chosen` (at least one half); `weight` is what a loss
    multiplies. `judgements` names the rows it came from: the firewall compares them.
    """

    kind: ClassVar[str] = "preference"
    prompt: Prompt
    chosen: str
    rejected: str
    margin: float = Field(ge=0)
    standard_error: float = Field(ge=0)
    probability: float = Field(ge=0.5, le=1)
    weight: float = Field(default=1.0, ge=0)
    judgements: tuple[str, ...]
    annotators: tuple[str, ...]
    aggregation: str
    """Identity of the aggregation report."""

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt."""
        return prompt_id(self.prompt)


class AnnotatorProfile(Value):
    """What the fit learnt of one annotator: reliability (panel mean 1), side bias in logits (left positive)."""

    annotator: str
    judgements: int
    reliability: float
    side_bias: float
    agreement: float
    """Share of the annotator's decided judgements that agree with the fitted scores."""


class AggregationReport(Record):
    """How judgements became preferences: method, convergence, agreement, annotators, contested pairs."""

    kind: ClassVar[str] = "aggregation"
    method: str
    judgement_set: str
    """Hash of the sorted identities of the judgements that went in."""
    split: str
    judgements: int
    pairs: int
    ties: int
    alpha: float | None
    """Krippendorff's alpha (nominal) over pairs with at least two judgements; None where no pair has two."""
    converged: bool
    gradient_norm: float
    annotators: tuple[AnnotatorProfile, ...]
    contested: tuple[str, ...] = ()
    """Keys of pairs on which at least a third of the annotators disagree with the fitted preference."""
    notes: tuple[str, ...] = ()
