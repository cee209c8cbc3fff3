"""Injection markers: makes chat-template control tokens in a prompt harmless, so that text cannot pose as another role.

A space goes into each marker: a tokenizer then reads letters where it would have read a control token, and a person
still reads the same text.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from pydantic import Field

from assay.deployment.layers.layer import ALLOW, Exchange, LayerManifest, LayerVerdict
from assay.records.record import Value

VERSION = 1
CATCHES = (
    "the listed control tokens, and anything of the form <|name|>, in any message of the prompt",
    "control characters, NUL among them (removed)",
)
DOES_NOT_CATCH = (
    "instructions in plain words (`ignore the above`), or hidden in an encoding that the model can read",
    "a control token of a model that is not listed and not of the form <|name|>",
)

_CONTROL = dict.fromkeys(c for c in [*range(32), 127] if chr(c) not in "\t\n\r")
_NAMED = re.compile(r"<\|(?=[^|<>\s]{1,40}\|>)")


class Settings(Value):
    """Control tokens by their exact text; the form <|name|> needs no listing."""

    markers: tuple[str, ...] = Field(default=(), description="exact texts, two characters or more")


@dataclass(frozen=True)
class InjectionMarkers:
    """The layer. Modifies the prompt; what it yields holds no marker."""

    manifest: LayerManifest
    settings: Settings

    def check(self, exchange: Exchange) -> LayerVerdict:
        """Put a space into every marker of every message."""
        prompt = tuple(m.model_copy(update={"content": self._harmless(m.content)}) for m in exchange.prompt)
        if prompt == exchange.prompt:
            return ALLOW
        return LayerVerdict("modify", "control tokens made harmless", replacement_prompt=prompt)

    def _harmless(self, text: str) -> str:
        text = _NAMED.sub("< |", text.translate(_CONTROL))
        return self._listed.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if self.settings.markers else text

    @cached_property
    def _listed(self) -> re.Pattern[str]:
        return re.compile("|".join(re.escape(marker) for marker in self.settings.markers))


def build(manifest: LayerManifest, settings: Settings) -> InjectionMarkers:
    """Make the layer."""
    return InjectionMarkers(manifest, settings)
