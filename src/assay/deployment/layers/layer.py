"""Layer: one inspectable rule between a person and the model. Takes an exchange, yields a verdict with its reason.

A layer is pure: the same exchange always gets the same verdict, whatever runs beside it. It never changes the exchange
itself; it says what should stand instead. What is done with its word is the stack's business, by the layer's mode:
`shadow` only records it, `warn` records and reports it, `enforce` acts on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from pydantic import Field, JsonValue

from assay.records.conversation import Prompt
from assay.records.record import Value, digest

Verdict = Literal["allow", "deny", "modify", "escalate", "error"]
FailureMode = Literal["closed", "open"]
Mode = Literal["shadow", "warn", "enforce"]
Stage = Literal["input", "output"]


@dataclass(frozen=True)
class Exchange:
    """What a layer sees: the prompt, and at the output stage the completion, whole or (while streaming) so far.

    `count_tokens` and `context_length` belong to the model that will answer; both are None where no model is asked.
    """

    prompt: Prompt
    completion: str | None = None
    count_tokens: Callable[[Prompt], int] | None = None
    context_length: int | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts under check: the completion where there is one, else every message of the prompt."""
        if self.completion is not None:
            return (self.completion,)
        return tuple(message.content for message in self.prompt)


class LayerVerdict(NamedTuple):
    """A layer's word. `replacement_text` is the refusal of a deny or escalate, or the new completion of a modify;
    `replacement_prompt` is the new prompt of a modify at the input stage."""

    verdict: Verdict
    reason: str = ""
    replacement_text: str | None = None
    replacement_prompt: Prompt | None = None


ALLOW = LayerVerdict("allow")


class LayerManifest(Value):
    """What a layer is and who answers for it. `failure_mode` says what its own failure means and has no default."""

    name: str = Field(min_length=1)
    kind: str
    version: int
    stage: Stage
    mode: Mode
    failure_mode: FailureMode
    owner: str = Field(min_length=1)
    settings: dict[str, JsonValue]
    catches: tuple[str, ...]
    does_not_catch: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what decides a verdict: everything here but the words on what is and is not caught."""
        return digest(self.model_dump(mode="json", exclude={"catches", "does_not_catch"}))


class Layer(Protocol):
    """Anything with a manifest that can judge an exchange."""

    @property
    def manifest(self) -> LayerManifest:
        """What this layer is."""
        ...

    def check(self, exchange: Exchange) -> LayerVerdict:
        """Judge one exchange. May raise: the stack turns that into the declared failure mode."""
        ...
