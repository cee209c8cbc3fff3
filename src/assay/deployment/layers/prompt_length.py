"""Prompt length: refuses a prompt that does not fit the model's context, and says by how much.

Without it a model would silently forget the beginning of the prompt, which may hold the instructions.
"""

from dataclasses import dataclass

from pydantic import Field

from assay.deployment.layers.layer import ALLOW, Exchange, LayerManifest, LayerVerdict
from assay.records.record import Value

VERSION = 1
CATCHES = ("a prompt that leaves fewer than `room_for_answer` tokens of the context for the answer",)
DOES_NOT_CATCH = ("a prompt that fits and is still too long for the model to use well",)


class Settings(Value):
    """How many tokens must be left for the answer."""

    room_for_answer: int = Field(default=16, ge=1)


@dataclass(frozen=True)
class PromptLength:
    """The layer. Allows where no model is asked, since then there is no context to overflow."""

    manifest: LayerManifest
    settings: Settings

    def check(self, exchange: Exchange) -> LayerVerdict:
        """Deny where prompt tokens plus the room for the answer exceed the context."""
        if exchange.count_tokens is None or exchange.context_length is None:
            return ALLOW
        tokens = exchange.count_tokens(exchange.prompt)
        most = exchange.context_length - self.settings.room_for_answer
        if tokens <= most:
            return ALLOW
        text = f"Your prompt is too long: it has {tokens} tokens, this model reads at most {most}. Please shorten it."
        return LayerVerdict("deny", f"{tokens} tokens, at most {most}", text)


def build(manifest: LayerManifest, settings: Settings) -> PromptLength:
    """Make the layer."""
    return PromptLength(manifest, settings)
