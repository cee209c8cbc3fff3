"""Blocked terms: refuses prompts in which the words of a declared rule stand close together.

A rule has groups of phrases (`all_of`); it fires when one phrase of each group has been seen within `within_words`
words. Phrases in `harmless` are read first and count for nothing (`bath bomb`). One pass over the words, with one
look-up for each phrase length, so the cost grows with the text and with nothing else.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from assay.deployment.layers.layer import ALLOW, Exchange, LayerManifest, LayerVerdict
from assay.deployment.layers.words import folded_words
from assay.records.record import Value

VERSION = 1
CATCHES = (
    "the declared phrases near each other, in any message of the prompt",
    "the same under accents, full-width letters, invisible characters, digits for letters, letters written apart",
)
DOES_NOT_CATCH = (
    "paraphrase, other languages, code words, misspellings, look-alike letters of other scripts, encodings",
    "a request split over several messages, or over more than `within_words` words",
    "it refuses some harmless sentences that hold the same words (history, fiction, prevention)",
)


class TermRule(Value):
    """One declared rule: what it looks for, what it says, and sentences that it must deny and must allow."""

    name: str = Field(min_length=1)
    all_of: tuple[tuple[str, ...], ...] = Field(min_length=1)
    within_words: int = Field(default=8, ge=1)
    refusal: str = Field(min_length=1)
    denies: tuple[str, ...] = Field(min_length=2)
    allows: tuple[str, ...] = Field(min_length=1)


class Settings(Value):
    """The rules, and phrases that count for nothing."""

    rules: tuple[TermRule, ...] = Field(min_length=1)
    harmless: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _every_phrase_has_words(self) -> Self:
        groups = [group for rule in self.rules for group in rule.all_of]
        if not all(groups) or not all(folded_words(phrase) for group in [*groups, self.harmless] for phrase in group):
            raise ValueError("a rule with an empty group or phrase never fires; give it words or remove it")
        return self


class _Place(NamedTuple):
    rule: int
    group: int


@dataclass(frozen=True)
class BlockedTerms:
    """The layer. Denies with the refusal of the first rule that fires."""

    manifest: LayerManifest
    settings: Settings

    def check(self, exchange: Exchange) -> LayerVerdict:
        """Deny where a rule fires in one of the texts; texts are read apart."""
        for text in exchange.texts:
            rule = self._first_hit(folded_words(text))
            if rule is not None:
                return LayerVerdict("deny", f"rule {rule.name}", rule.refusal)
        return ALLOW

    def _first_hit(self, words: list[str]) -> TermRule | None:
        seen = [[-1] * len(rule.all_of) for rule in self.settings.rules]
        at = 0
        while at < len(words):
            length, places = self._longest_phrase(words, at)
            for number, group in places:
                rule, last = self.settings.rules[number], seen[number]
                last[group] = at
                if min(last) >= 0 and at - min(last) <= rule.within_words:
                    return rule
            at += 1 if places else length
        return None

    def _longest_phrase(self, words: list[str], at: int) -> tuple[int, tuple[_Place, ...]]:
        """The longest known phrase that starts here: its length in words (1 where there is none) and its places."""
        for length in self._lengths:
            places = self._phrases.get(tuple(words[at : at + length]))
            if places is not None:
                return length, places
        return 1, ()

    @cached_property
    def _phrases(self) -> dict[tuple[str, ...], tuple[_Place, ...]]:
        found: dict[tuple[str, ...], tuple[_Place, ...]] = {}
        for number, rule in enumerate(self.settings.rules):
            for group, phrases in enumerate(rule.all_of):
                for phrase in phrases:
                    key = tuple(folded_words(phrase))
                    found[key] = (*found.get(key, ()), _Place(number, group))
        return found | {tuple(folded_words(phrase)): () for phrase in self.settings.harmless}

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(sorted({len(phrase) for phrase in self._phrases}, reverse=True))


def build(manifest: LayerManifest, settings: Settings) -> BlockedTerms:
    """Make the layer."""
    return BlockedTerms(manifest, settings)
