"""Text statistics: the surface numbers of one completion that monitors look at. Takes text, yields plain numbers."""


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
