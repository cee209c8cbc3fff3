"""Diagnostics: which metric names may be drawn but never gate a release. Takes a name, yields the reason for refusal.

Proxy reward, KL and length are what an optimiser moves on purpose: a gate on one of them rewards hacking it.

Catches: those names and their usual relatives as any part of a metric's name, in any case, with separators put in,
with digits for letters, and letters from other alphabets (only ASCII is let through).
Does not catch: a proxy reward that somebody files in the evidence under an innocent name.
"""

import re

_ANYWHERE = ("proxy", "reward", "length", "kullback", "leibler", "verbosity")
_WHOLE_PART = re.compile(
    r"""(?:sqrt|root|mean|avg|max|min|sum|total|approx|forward|reverse|seq|token)*
        kl(?:s|d|divs?|divergence|coeff?|penalty|budget|ref|sqrt)?
      | rm(?:s|score|scores)? | return s?
      | len(?:s|gth)? | (?:num|n|mean|avg|total|new|output|completion|response)*(?:tokens?|chars?|characters?|words?)
        (?:count)?""",
    re.VERBOSE,
)
_LEET = str.maketrans("013457", "oleast")
_ALLOWED = re.compile(r"[A-Za-z0-9_./:+@ -]+\Z")


def refusal(metric: str) -> str | None:
    """Why this metric may not be a gate, as a sentence; None where it may."""
    if not _ALLOWED.match(metric):
        return f"{metric!r} holds characters outside ASCII letters, digits and /._:+@-, which can hide what is measured"
    word = _diagnostic_in(metric)
    if word is None:
        return None
    return (
        f"{metric!r} names a diagnostic ({word}): proxy reward, KL and length may be drawn but never gate a release, "
        "because the optimiser moves them on purpose"
    )


def _diagnostic_in(metric: str) -> str | None:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", metric)
    for text in (metric, spaced):
        parts = [part for part in re.split(r"[^a-z0-9]+", text.casefold()) if part]
        for part in [*parts, *_joined_letters(parts)]:
            for spelling in {part, part.translate(_LEET)}:
                if _WHOLE_PART.fullmatch(spelling.strip("0123456789")):
                    return part
    squashed = re.sub(r"[^a-z0-9]", "", metric.casefold())
    for spelling in (squashed, squashed.translate(_LEET)):
        for word in _ANYWHERE:
            if word in spelling:
                return word
    return None


def _joined_letters(parts: list[str]) -> list[str]:
    """Runs of single letters read as one word: `k_l` is `kl`."""
    runs = re.findall(r"(?:\b\w\b ?){2,}", " ".join(parts))
    return [run.replace(" ", "") for run in runs]
