"""Words: turns text into folded words for matching, in one pass whatever the text looks like.

Folding undoes the cheap disguises: full-width and accented letters, invisible characters, digits for letters inside a
word (`b0mb`), and letters written apart (`b o m b`, `b-o-m-b`). Every pattern in this package has at most one unbounded
repeat, at its end, so that matching never goes back over what it has read.
"""

import re
import unicodedata

_WORD = re.compile(r"\w+")
_SIGNS = str.maketrans({"_": " ", "@": "a", "$": "s"})
_DIGITS = str.maketrans("01345789", "oieastbg")
_DROPPED = frozenset({"Cf", "Mn"})


def folded_words(text: str) -> list[str]:
    """The words of a text in order, folded. Letters written apart come out as one word, and once more without their
    first letter where that may be an article (`a b o m b` yields `abomb`, `bomb`)."""
    words: list[str] = []
    apart: list[str] = []
    for word in _WORD.findall(_folded(text)):
        if len(word) == 1:
            apart.append(word)
            continue
        _join(apart, words)
        words.append(word.translate(_DIGITS) if not word.isdigit() else word)
    _join(apart, words)
    return words


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    if not decomposed.isascii():
        decomposed = "".join(c for c in decomposed if c.isascii() or unicodedata.category(c) not in _DROPPED)
    return decomposed.casefold().translate(_SIGNS)


def _join(apart: list[str], words: list[str]) -> None:
    if len(apart) < 3:
        words.extend(apart)
    else:
        whole = "".join(apart).translate(_DIGITS)
        words.append(whole)
        if whole[0] in "ai":
            words.append(whole[1:])
    apart.clear()
