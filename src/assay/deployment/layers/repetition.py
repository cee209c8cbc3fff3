"""Repetition: replaces a completion that has fallen into a loop, and asks for a person to look.

A loop is a phrase of up to `longest_phrase` words said `repeats` times in a row, or one character `characters` times in
a row. One comparison for each word and phrase length.
"""

from dataclasses import dataclass

from pydantic import Field

from assay.deployment.layers.layer import ALLOW, Exchange, LayerManifest, LayerVerdict
from assay.records.record import Value

VERSION = 1
CATCHES = ("one phrase or character over and over in a row", "a loop that sets in late, after good text")
DOES_NOT_CATCH = (
    "loops with a change in each turn (counting), or of more than `longest_phrase` words",
    "it replaces wanted repetition too: rows of zeros, a refrain; rules made of - = _ * # . ~ are let through",
)
_RULES = frozenset("-=_*#.~ \n\t")


class Settings(Value):
    """When repetition counts as a loop, and what to say instead."""

    longest_phrase: int = Field(default=12, ge=1)
    repeats: int = Field(default=6, ge=2)
    least_words: int = Field(default=12, ge=2)
    characters: int = Field(default=60, ge=2)
    apology: str = Field(min_length=1)


@dataclass(frozen=True)
class Repetition:
    """The layer. Escalates with an apology in the completion's place."""

    manifest: LayerManifest
    settings: Settings

    def check(self, exchange: Exchange) -> LayerVerdict:
        """Escalate where the completion holds a loop."""
        for text in exchange.texts:
            reason = self._phrase_loop(text.split()) or self._character_loop(text)
            if reason:
                return LayerVerdict("escalate", reason, self.settings.apology)
        return ALLOW

    def _phrase_loop(self, words: list[str]) -> str | None:
        for period in range(1, self.settings.longest_phrase + 1):
            run, enough = 0, max(period * (self.settings.repeats - 1), self.settings.least_words - period)
            for at in range(period, len(words)):
                run = run + 1 if words[at] == words[at - period] else 0
                if run >= enough:
                    return f"a phrase of {period} words repeats at word {at + 1}"
        return None

    def _character_loop(self, text: str) -> str | None:
        run = 1
        for at in range(1, len(text)):
            run = run + 1 if text[at] == text[at - 1] and text[at] not in _RULES else 1
            if run >= self.settings.characters:
                return f"one character repeats at character {at + 1}"
        return None


def build(manifest: LayerManifest, settings: Settings) -> Repetition:
    """Make the layer."""
    return Repetition(manifest, settings)
