"""Judgement: what one person said of one prompt's completions, as it was said; with critiques and demonstrations."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from assay.records.conversation import Prompt, prompt_id
from assay.records.record import Record, Value

Choice = Literal["first", "second", "tie", "both_bad", "cannot_judge"]
Side = Literal["left", "right"]


class Critique(Value):
    """What a person marked in one completion: a span of characters, a type, a severity from 1 to 3 (severe)."""

    completion: Literal["first", "second"]
    text: str
    category: str = "other"
    severity: int = Field(default=1, ge=1, le=3)
    start: int | None = None
    end: int | None = None


class Item(Record):
    """A prompt with two completions, in canonical order, waiting to be judged. Names of models are never shown."""

    kind: ClassVar[str] = "item"
    campaign: str
    prompt: Prompt
    first: str
    second: str


class Judgement(Record):
    """One person's answer on one pair. `choice` speaks of the canonical order; `first_shown` says where `first` stood.

    `attributes` holds the same choice for a named attribute (usefulness, honesty, level of detail); `strength` is
    1 (slightly better) or 2 (much better). `supersedes` names the judgement that this one replaces.
    """

    kind: ClassVar[str] = "judgement"
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

    @model_validator(mode="after")
    def _prompt_is_not_empty(self) -> Self:
        if not self.prompt:
            raise ValueError("a judgement needs a prompt of at least one message")
        return self

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt that was judged."""
        return prompt_id(self.prompt)


class Demonstration(Record):
    """A completion that a person wrote or edited as an example of a good one."""

    kind: ClassVar[str] = "demonstration"
    annotator: str
    prompt: Prompt
    completion: str
    consent_version: str | None = None
    source: str = "assay"

    @property
    def prompt_id(self) -> str:
        """Identity of the prompt that was answered."""
        return prompt_id(self.prompt)
