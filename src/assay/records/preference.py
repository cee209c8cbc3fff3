"""Preference: what the judgements on one pair add up to, with its uncertainty; and the report of an aggregation."""

from typing import ClassVar

from pydantic import Field

from assay.records.conversation import Prompt, prompt_id
from assay.records.record import Record, UtcTime, Value


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
    vote_shares: tuple[float, float, float] | None = None
    """Shares of people for `chosen`, a tie and `rejected`, half a person added to each: the panel as it is, where
    `probability` speaks of one careful annotator."""
    by_group: dict[str, float] | None = None
    """Where groups differ from the whole: the chance that one of the group, and one of all (`everyone`), prefers
    `chosen`; a tie is a half. None where no group was found to differ."""

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


class GroupDifference(Value):
    """A group whose view of a set of pairs differs from the whole beyond what groups of its size do by chance.

    `gap` is the root mean square distance of the group's from the others' share of choices over the pairs, in points
    from 0 to 1, chance taken out; `significant_pairs` are keys of the pairs that differ each by itself.
    """

    group: str
    members: int
    topic: str
    pairs: int
    gap: float
    p_value: float
    significant_pairs: tuple[str, ...] = ()


class MinorityReport(Value):
    """Where groups differ, among `tests` comparisons with `false_discovery_rate` held; both views stay with the pairs.

    `suppressed` counts groups and intersections of fewer than `smallest_group` people: they are neither tested nor
    named.
    """

    differences: tuple[GroupDifference, ...]
    tests: int
    suppressed: int
    smallest_group: int
    false_discovery_rate: float
    declarations: tuple[str, ...] | None = None
    """Records in which people told on the site what groups them; None where it was known from elsewhere."""


class ExpectationDrift(Value):
    """Whether what people prefer moved, and `at` which time the difference of before and after is largest."""

    p_value: float
    at: UtcTime | None
    subject: str
    """What moved: `pairs` (the same pairs are judged otherwise), or a surface column."""


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
    minority: MinorityReport | None = None
    """None where nothing was known of groups."""
    drift: tuple[ExpectationDrift, ...] | None = None
    """None where it was not tested."""
