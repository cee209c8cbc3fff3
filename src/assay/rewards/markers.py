"""Markers: what can be pointed at in a completion without knowing what to look for. Takes texts, yields claims.

Words and pairs of words, marks and emoji, how a text opens and closes, what its lines start with, and how it is built
(length, lines, repeats, capitals) against the texts' own quartiles. Names are for people: `word "sure"`, `opens with
"great question"`, `line starts with "-"`, `more than 57 words`.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array

SEEN_AT_LEAST = 5
"""Texts that a marker must be in, and be missing from, to be kept."""
QUARTILES = (0.25, 0.5, 0.75, 0.9)
AROUND = 32
"""Characters shown on each side of a marker in an example."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MARK = re.compile(r"\*\*|```|\.{3}|[^\w\s'’\"“”]")
_LINE = re.compile(r"^[ \t]*(\S+)", re.MULTILINE)


def _repeats(text: str) -> float:
    words = [word.lower() for word in _WORD.findall(text)]
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return 100 * (1 - len(set(triples)) / len(triples)) if triples else 0.0


BUILD: Mapping[str, Callable[[str], float]] = {
    "words": lambda text: float(len(text.split())),
    "lines": lambda text: float(len([line for line in text.splitlines() if line.strip()])),
    "letters a word": lambda text: float(np.mean([len(word) for word in _WORD.findall(text)] or [0])),
    "% repeated word triples": _repeats,
    "% capitals": lambda text: 100 * sum(letter.isupper() for letter in text) / max(1, len(text)),
}
"""Numbers of a text that become claims `more than <quartile> <name>`."""


def markers(text: str) -> dict[str, int]:
    """Every marker of a text but those of its build, with the character where it first stands."""
    found: dict[str, int] = {}
    words = [(word.start(), word[0].lower()) for word in _WORD.finditer(text)]
    for place, word in words:
        found.setdefault(f'word "{word}"', place)
    for (place, one), (_, two) in zip(words, words[1:], strict=False):
        found.setdefault(f'words "{one} {two}"', place)
    for mark in _MARK.finditer(text):
        found.setdefault(f'mark "{mark[0]}"', mark.start())
    lines = list(_LINE.finditer(text))
    for line in lines[1:]:
        found.setdefault(f'line starts with "{_start(line[1])}"', line.start(1))
    if lines:
        found[f'opens with "{_start(lines[0][1])}"'] = lines[0].start(1)
    for length in (2, 3):
        if len(words) >= length:
            found[f'opens with "{" ".join(word for _, word in words[:length])}"'] = words[0][0]
            found[f'closes with "{" ".join(word for _, word in words[-length:])}"'] = words[-length][0]
    stripped = text.rstrip()
    if stripped and not stripped[-1].isalnum():
        found[f'ends in "{stripped[-1]}"'] = len(stripped) - 1
    return found


def read_markers(texts: Sequence[str]) -> tuple[csr_array, tuple[str, ...]]:
    """Claims [texts, markers] as 0 and 1, and the markers' names, in alphabetic order.

    Markers in fewer than SEEN_AT_LEAST texts, or in all but fewer, are left out; nothing else decides what is kept.
    """
    found = [set(markers(text)) for text in texts]
    for name, measure in BUILD.items():
        values = np.array([measure(text) for text in texts])
        for cut in np.unique(np.quantile(values, QUARTILES)) if len(values) else ():
            for row in np.flatnonzero(values > cut):
                found[row].add(f"more than {cut:.3g} {name}")
    counts = Counter(marker for one in found for marker in one)
    names = tuple(sorted(m for m, count in counts.items() if SEEN_AT_LEAST <= count <= len(texts) - SEEN_AT_LEAST))
    column = {name: number for number, name in enumerate(names)}
    places = [(row, column[marker]) for row, one in enumerate(found) for marker in sorted(one) if marker in column]
    rows, columns = np.array(places, dtype=int).reshape(-1, 2).T
    return csr_array((np.ones(len(places)), (rows, columns)), shape=(len(texts), len(names))), names


def marked(text: str, marker: str) -> str:
    """The text around a marker, on one line; the beginning for markers of build."""
    place = markers(text).get(marker, 0)
    start, end = max(0, place - AROUND), min(len(text), place + 2 * AROUND)
    cut = " ".join(text[start:end].split())
    return ("… " if start else "") + cut + (" …" if end < len(text) else "")


def _start(word: str) -> str:
    """How a line starts: digits of a numbered item do not matter."""
    return re.sub(r"\d+", "0", word.lower())
