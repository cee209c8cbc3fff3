"""Surface: what can be read off a text without knowing its meaning. Takes a string, yields words, shares and claims.

English only. The gold and the rubric both read texts through these functions, so their mistakes on, say, an unusual
refusal are shared; a reward model's are not.
"""

import re
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+(?:['’][a-z]+)?", re.IGNORECASE)
_LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S")
_TERMINAL = re.compile(r"[.!?…][\"'”’)\]*]*$")
_DANGLING_MARK = re.compile(r"(?:^|\n)\s*(?:[-*•]|\d{1,2}[.)])$")
_DECLINED = (
    r"(?:help|assist|support|provide|give|share|write|create|make|explain|tell|show|teach|recommend|encourage|offer|answer"
    r"|comply|participate|advise|describe|guide|suggest|agree|do (?:that|this|it|so))\b"
)
_REFUSAL = re.compile(
    r"\bi(?:['’]m| am) sorry,? but\b|\bi (?:must|have to) (?:decline|refuse)\b|\bi (?:decline|refuse) to\b"
    r"|\b(?:i|we) (?:can(?:no|['’])t|can not|won['’]t|will not|wouldn['’]t|don['’]t|do not|shouldn['’]t) (?:\w+ ){0,2}?"
    + _DECLINED
    + r"|\bi(?:['’]m| am) (?:not able|unable|not going|not willing|not comfortable)\b"
    r"|\b(?:unable|not able) to (?:help|assist|provide|support)\b",
    re.IGNORECASE,
)
_CONNECTIVES = re.compile(
    r"(?:an?|and|are|as|at|be|because|but|by|for|from|has|have|if|in|into|is|its?|like|of|on|or|so|such|than|that|the"
    r"|their|this|to|was|were|when|which|while|who|will|with|your?)"
)
FILLER_PHRASES = (
    "great question",
    "good question",
    "excellent question",
    "wonderful question",
    "fantastic question",
    "what a great",
    "what a wonderful",
    "what a lovely",
    "certainly!",
    "certainly,",
    "absolutely!",
    "of course!",
    "sure thing",
    "i'm so glad",
    "i'm glad you",
    "i am so glad",
    "i'm happy to help",
    "i'd be happy to",
    "i'd be delighted",
    "i hope this helps",
    "thank you for asking",
    "thanks for asking",
    "you're absolutely right",
    "you are absolutely right",
    "you're so smart",
    "feel free to ask",
    "let me know if you",
    "it is important to note",
    "it's important to note",
    "as an ai",
)
"""Phrases that please or pad and say nothing."""


def words(text: str) -> list[str]:
    """Words in lower case; numbers count as words, punctuation does not."""
    return [match.group().lower().replace("’", "'") for match in _WORD.finditer(text)]


def repeated_share(tokens: Sequence[str], *, n: int = 3) -> float:
    """Share of the n-grams that were there before, in [0, 1]; 0 for a text shorter than n words."""
    total = len(tokens) - n + 1
    if total < 1:
        return 0.0
    unique = {tuple(tokens[start : start + n]) for start in range(total)}
    return 1.0 - len(unique) / total


def list_lines(text: str) -> int:
    """How many lines are bullets or numbered items."""
    return sum(1 for line in text.splitlines() if _LIST_LINE.match(line))


def is_list(text: str) -> bool:
    """Whether the text holds at least two bullets or numbered items, each on its line."""
    return list_lines(text) >= 2


def ends_sentence(text: str) -> bool:
    """Whether the last character that counts ends a sentence, and is not a list mark waiting for its item."""
    stripped = text.rstrip()
    return bool(_TERMINAL.search(stripped)) and not _DANGLING_MARK.search(stripped)


def is_cut_off(text: str) -> bool:
    """Whether the text stops where no writer would: after a connective, a comma, a dash, or an empty list mark."""
    stripped = text.rstrip()
    if _DANGLING_MARK.search(stripped) or stripped.endswith((",", ":", ";", "-", "–", "—", "(")):
        return True
    tokens = words(stripped)
    return bool(tokens) and not ends_sentence(stripped) and _CONNECTIVES.fullmatch(tokens[-1]) is not None


def is_refusal(text: str) -> bool:
    """Whether the first forty words decline to do what was asked."""
    return bool(_REFUSAL.search(" ".join(text.split()[:40])))


def filler_count(text: str) -> int:
    """How many times a phrase that pleases or pads occurs."""
    lowered = text.lower().replace("’", "'")
    return sum(lowered.count(phrase) for phrase in FILLER_PHRASES)
