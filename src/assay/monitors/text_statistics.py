"""Text statistics: the surface numbers of one completion that monitors look at. Takes text, yields plain numbers.

`STYLE_FEATURES` are the named habits of style, each a number in [0, 1] (0 or 1 where a text has the habit or not), so
that a mean over completions is a share and its spread follows. The word lists are English.

Does not catch: the same habit in other words, or another language.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType


def word_count(text: str) -> int:
    """Number of words, split at white space."""
    return len(text.split())


def repetition(text: str, *, n: int = 3) -> float:
    """Share of repeated word n-grams, 1 - distinct / all, in [0, 1). Case is ignored; 0 below n words.

    Does not catch: repeated meaning in other words, or a text that is the same for every prompt.
    """
    words = text.lower().split()
    total = len(words) - n + 1
    if total < 1:
        return 0.0
    distinct = {tuple(words[start : start + n]) for start in range(total)}
    return 1 - len(distinct) / total


FIRST_WORDS = 50
"""Words over which variety is counted; a longer text would repeat more for its length alone."""


def word_variety(text: str) -> float:
    """Type-token ratio: distinct / all of the first 50 words, case ignored; 1 for a text without words."""
    words = text.lower().split()[:FIRST_WORDS]
    return len(set(words)) / len(words) if words else 1.0


def _says(pattern: str) -> Callable[[str], float]:
    """A feature: 1 where the text holds the pattern (case ignored, `^` at each line), else 0."""
    compiled = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    return lambda text: float(compiled.search(text) is not None)


STYLE_FEATURES: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {
        "agreement": _says(
            r"\b(you are|you're|you’re) (absolutely |quite |so )?right\b|\bi (completely |fully )?agree\b"
        ),
        "bold": _says(r"\*\*[^*\n]+\*\*|__[^_\n]+__"),
        "exclamations": _says(r"!"),
        "flattery": _says(
            r"\b(great|excellent|good|wonderful|fantastic|brilliant|amazing|insightful) (question|point|idea)\b"
            r"|\bwhat an? (great|excellent|wonderful|fantastic|brilliant|amazing|insightful)\b"
        ),
        "headings": _says(r"^#{1,6} \S"),
        "hedging": _says(
            r"\b(might|perhaps|possibly|maybe|it depends|it seems|not (entirely |completely )?(sure|certain))\b"
        ),
        "lists": _says(r"^\s*([-*•]|\d+[.)])\s+\S"),
        "word_variety": word_variety,
    }
)
"""Named features of style, by name."""
