"""Conversation: the messages that a prompt consists of, and prompts as values."""

from collections.abc import Sequence
from typing import Literal

from assay.records.record import Value, digest

Role = Literal["system", "user", "assistant"]


class Message(Value):
    """One turn of a conversation."""

    role: Role
    content: str


Prompt = tuple[Message, ...]


def user_prompt(text: str) -> Prompt:
    """A prompt of one user message."""
    return (Message(role="user", content=text),)


def prompt_id(prompt: Sequence[Message]) -> str:
    """Identity of a prompt: the hash of its messages. Splits go by it, so all pairs of a prompt stay together."""
    return digest([message.model_dump() for message in prompt])


def last_user_text(prompt: Sequence[Message]) -> str:
    """The text of the last user message, or an empty string."""
    return next((message.content for message in reversed(prompt) if message.role == "user"), "")
