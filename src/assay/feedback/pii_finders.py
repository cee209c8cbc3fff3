"""Finders: what looks for personal data at the door. Takes the words of an option, yields one finder.

Our own patterns always look. `presidio` sets Presidio's recognisers beside them, `presidio:MODEL` those with the names
and places that a spaCy model finds. Where findings overlap they become one, of the kind that the first finder says.

Catches: what any of them catches. Does not catch: what none does; and what one finds wrongly is found.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from assay.feedback.pii import Found, Kind, find_pii
from assay.feedback.pii_presidio import presidio_finder
from assay.records.errors import ConfigError, explain

PRESIDIO = "presidio"


class Finder(Protocol):
    """Whatever finds personal data in a text."""

    def __call__(self, text: str, /) -> Sequence[Found]:
        """What is found, in any order."""
        ...


def finder_named(words: str | None) -> Finder:
    """Our own finder, and beside it the one that an option names: `presidio`, or `presidio:MODEL`.

    Raises ConfigError for any other, and where the package or the model is not installed.
    """
    if words is None:
        return find_pii
    name, colon, model = words.partition(":")
    if name != PRESIDIO or bool(colon) != bool(model):
        do = "name one of these, or leave the option out"
        raise ConfigError(explain(expected="presidio or presidio:MODEL", got=repr(words), do=do))
    return together(find_pii, presidio_finder(model or None))


def together(*finders: Finder) -> Finder:
    """One finder that finds what any of them finds, from the start, none over another."""

    def find(text: str, /) -> list[Found]:
        ranked = [(one, rank) for rank, finder in enumerate(finders) for one in finder(text)]
        return [Found(kind, start, end, text[start:end]) for kind, start, end in _merged(ranked)]

    return find


def _merged(ranked: Iterable[tuple[Found, int]]) -> list[tuple[Kind, int, int]]:
    """Spans that overlap as one, of the kind that the first finder gave."""
    spans: list[tuple[Kind, int, int]] = []
    rank_of_last = 0
    for one, rank in sorted(ranked, key=lambda pair: (pair[0].start, pair[1])):
        if not spans or spans[-1][2] <= one.start:
            spans.append((one.kind, one.start, one.end))
            rank_of_last = rank
            continue
        kind, start, end = spans[-1]
        spans[-1] = (one.kind if rank < rank_of_last else kind, start, max(end, one.end))
        rank_of_last = min(rank, rank_of_last)
    return spans
