"""Judgement: what one person said of one prompt's completions, as it was said; with critiques and demonstrations."""

from collections.abc import Sequence
from typing import ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from assay.records.conversation import Prompt, prompt_id
from assay.records.record import Record, Value

Choice = Literal["first", "second", "tie", "both_bad", "cannot_judge"]
Side = Literal["left", "right"]
Harm = Literal["none", "mild", "strong"]
"""How upsetting an item is, as those say who made it."""

HARMS: Sequence[Harm] = get_args(Harm)
"""Least upsetting first."""


class Critique(Value):
    """What a person marked in one completion: a span of characters, a type, a severity from 1 to 3 (severe)."""

    completion: Literal["first", "second"]
    text: str
    category: str = "other"
    severity: int = Field(default=1, ge=1, le=3)
    start: int | None = None
    end: int | None = None
    comment: str | None = None
    """What the person wrote about the span, where they wrote anything."""


class Rating(Value):
    """One completion's place on a scale of a scheme, such as `too_much` level of detail; `position` counts from 0."""

    attribute: str
    position: int = Field(ge=0)
    value: str


class Edit(Value):
    """The completion at `position` (canonical, from 0) as the person would rather have it."""

    position: int = Field(ge=0)
    text: str = Field(min_length=1)


class Item(Record):
    """A prompt with two completions, in canonical order, waiting to be judged. Names of models are never shown.

    Where more than two are to be ranked, `others` holds the third and those after it.
    """

    kind: ClassVar[str] = "item"
    campaign: str
    prompt: Prompt
    first: str
    second: str
    others: tuple[str, ...] | None = None
    topic: str | None = None
    """What it is about, in a word of those who made it; None: not told."""
    harm: Harm | None = None
    """How upsetting it is; None: not told."""

    @property
    def is_marked(self) -> bool:
        """Whether its makers said what it is about or how upsetting it is; the marks are part of its identity."""
        return self.topic is not None or self.harm is not None

    @property
    def completions(self) -> tuple[str, ...]:
        """All completions in canonical order."""
        return (self.first, self.second, *(self.others or ()))

    @property
    def level(self) -> int:
        """How upsetting it is, counted from 0; an item of which that is not told is at 0."""
        return HARMS.index(self.harm) if self.harm else 0


class Judgement(Record):
    """One person's answer on one pair. `choice` speaks of the canonical order; `first_shown` says where `first` stood.

    `attributes` holds the same choice for a named attribute (usefulness, honesty, level of detail); `strength` is
    1 (slightly better) or 2 (much better). `supersedes` names the judgement that this one replaces.
    """

    kind: ClassVar[str] = "judgement"
    personal: ClassVar[tuple[str, ...]] = ("critiques", "edit", "reason")
    campaign: str
    annotator: str
    prompt: Prompt
    first: str
    second: str
    choice: Choice
    first_shown: Side
    strength: int = Field(default=1, ge=1, le=2)
    attributes: dict[str, Choice] = Field(default_factory=dict)
    critiques: tuple[Critique, ...] = ()
    consent_version: str | None = None
    time_on_task_s: float | None = Field(default=None, ge=0)
    supersedes: str | None = None
    source: str = "assay"
    """Where it came from: a format name, `assay` (the annotation page), `live` (the gateway) or `simulated`."""
    occurrence: int = 0
    """Counts repeated, otherwise equal judgements of one source, so that a repeat is not taken for a copy."""
    scheme: str | None = None
    """Identity of the scheme that asked; None where none was declared."""
    attribute_strengths: dict[str, int] | None = None
    """`strength` of each answer in `attributes`."""
    ratings: tuple[Rating, ...] | None = None
    """Places of the two completions on the scheme's scales; position 0 is `first`."""
    reason: str | None = None
    """Why the person could not judge."""
    ranking: str | None = None
    """Identity of the ranking that this pair is read from; pairs of one ranking are not independent."""
    edit: Edit | None = None
    purpose: Literal["gold", "repeat"] | None = None
    """What a checking answer is for; it stands in no training or evaluation split."""
    profile: str | None = None
    """Version of the settings that the person had chosen (`records.profile`); None where they had none."""
    item: str | None = None
    """Identity of the item that was judged, where it is marked by topic or harm; without marks its content tells."""

    @model_validator(mode="after")
    def _prompt_is_not_empty(self) -> Self:
        if not self.prompt:
            raise ValueError("a judgement needs a prompt of at least one message")
        return self

    @property
    def seal_scope(self) -> str | None:
        """The campaign of what somebody wrote on the annotation page; what came from elsewhere stays open."""
        return self.campaign if self.consent_version else None

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt that was judged."""
        return prompt_id(self.prompt)


class Ranking(Record):
    """One person's order of several completions: rank 1 is best and equal ranks are ties.

    `shown` lists canonical positions in the order they stood on the screen.
    """

    kind: ClassVar[str] = "ranking"
    personal: ClassVar[tuple[str, ...]] = ("edit",)
    campaign: str
    annotator: str
    prompt: Prompt
    completions: tuple[str, ...] = Field(min_length=2)
    ranks: tuple[int, ...]
    shown: tuple[int, ...]
    ratings: tuple[Rating, ...] | None = None
    edit: Edit | None = None
    scheme: str | None = None
    consent_version: str | None = None
    time_on_task_s: float | None = Field(default=None, ge=0)
    supersedes: str | None = None
    is_withdrawn: bool | None = None
    profile: str | None = None
    """As of a judgement."""

    @property
    def seal_scope(self) -> str | None:
        """As of a judgement."""
        return self.campaign if self.consent_version else None

    @model_validator(mode="after")
    def _ranks_fit(self) -> Self:
        if len(self.ranks) != len(self.completions) or sorted(self.shown) != list(range(len(self.completions))):
            raise ValueError("a ranking needs one rank and one place on the screen for each completion")
        if any(not 1 <= rank <= len(self.ranks) for rank in self.ranks):
            raise ValueError("ranks go from 1 to the number of completions")
        return self


class Demonstration(Record):
    """A completion that a person wrote or edited as an example of a good one."""

    kind: ClassVar[str] = "demonstration"
    personal: ClassVar[tuple[str, ...]] = ("completion",)
    annotator: str
    prompt: Prompt
    completion: str
    consent_version: str | None = None
    source: str = "assay"
    edited_from: str | None = None
    """The completion that the person started from."""

    @property
    def seal_scope(self) -> str | None:
        """Itself, where it was written on the annotation page: it ends with the edit that it was made from."""
        return self.id if self.consent_version else None

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt that was answered."""
        return prompt_id(self.prompt)
