"""Schema: the requests that the gateway reads, in OpenAI's form. Takes a body's bytes, yields prompts and values.

Fields that are not listed (tools, penalties, user metadata) are accepted and ignored. Types are strict: a number in
quotes is a fault, and so is NaN.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from assay.deployment.gateway.protocol import Ask
from assay.records.conversation import Message, Prompt, Role, user_prompt

DEFAULT_MAX_TOKENS = 256
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "user",
    "function": "user",
    "assistant": "assistant",
}

Text = Annotated[str, Field(max_length=1_000_000)]
ShortText = Annotated[str, Field(max_length=32_000)]
StopText = Annotated[str, Field(min_length=1, max_length=1_000)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class TextPart(_Request):
    """A text part of a list-form content; other parts cannot be read and are refused."""

    type: Literal["text", "input_text"]
    text: Text


class ChatMessage(_Request):
    """One message in OpenAI's form."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class Sampled(_Request):
    """What chat and plain completions have in common."""

    model: str = Field(max_length=200)
    n: int = Field(default=1, ge=1, le=8)
    stream: bool = False
    stop: StopText | Annotated[list[StopText], Field(max_length=16)] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    user: str | None = Field(default=None, min_length=1, max_length=200)

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """The stop texts as a tuple."""
        return () if self.stop is None else (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def ask(self, prompt: Prompt, *, room: int) -> Ask:
        """What to ask of an engine that has `room` tokens left for the completion."""
        wanted = self.max_completion_tokens or self.max_tokens or DEFAULT_MAX_TOKENS
        return Ask(prompt, min(wanted, room), self.temperature, self.top_p, self.seed, self.stop_texts, self.n)


class ChatRequest(Sampled):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)

    @property
    def as_prompt(self) -> Prompt:
        """The messages as a prompt."""
        return tuple(Message(role=_ROLES[message.role], content=message.text) for message in self.messages)


class CompletionRequest(Sampled):
    """`POST /v1/completions`: the text becomes one user message. Log-probabilities and echo are not offered."""

    prompt: Text
    echo: Literal[False] = False
    logprobs: None = None

    @property
    def as_prompt(self) -> Prompt:
        """The text as a prompt."""
        return user_prompt(self.prompt)


class ModerationRequest(_Request):
    """`POST /v1/moderations`: texts to run the layers on."""

    input: ShortText | Annotated[list[ShortText], Field(max_length=32)]

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.input] if isinstance(self.input, str) else self.input
