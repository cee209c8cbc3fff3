"""Pairs: cuts two conversations at what they share, and puts a chosen and a rejected answer into a fair order."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from assay.records.conversation import Message, Prompt, prompt_id
from assay.records.judgement import Choice, Judgement

UNKNOWN_ANNOTATOR = "unknown"


class Divided(NamedTuple):
    """The messages that two conversations share, and what is left of each."""

    prompt: Prompt
    chosen: Prompt
    rejected: Prompt


def divide(chosen: Sequence[Message], rejected: Sequence[Message]) -> Divided:
    """Cut two conversations at their longest common prefix of whole messages."""
    shared = 0
    for one, other in zip(chosen, rejected, strict=False):
        if one != other:
            break
        shared += 1
    return Divided(tuple(chosen[:shared]), tuple(chosen[shared:]), tuple(rejected[shared:]))


def behind_prompt(prompt: str, text: str) -> str | None:
    """What a completion says after it has repeated its prompt, whatever the white space; None where it does not."""
    words = prompt.split()
    if not words:
        return None
    found = re.match(r"\s*" + r"\s+".join(map(re.escape, words)) + r"(?!\w)", text)
    return text[found.end() :].strip() if found else None


def chosen_over_rejected(prompt: Prompt, chosen: str, rejected: str, *, source: str, now: datetime) -> Judgement:
    """A judgement from data that names neither annotator nor order.

    The canonical order comes from a hash of the prompt and the unordered pair: it does not tell which one was chosen.
    """
    pair = sorted((chosen, rejected))
    bit = sha256("\x00".join([prompt_id(prompt), *pair]).encode()).digest()[0] & 1
    first, second = pair if bit else pair[::-1]
    choice: Choice = "first" if first == chosen else "second"
    return Judgement(
        campaign=source,
        annotator=UNKNOWN_ANNOTATOR,
        prompt=prompt,
        first=first,
        second=second,
        choice=choice,
        first_shown="left",
        source=source,
        created_at=now,
    )


def decided(judgements: Iterable[Judgement]) -> Iterator[tuple[Prompt, str, str]]:
    """Prompt, chosen and rejected of each judgement that decides between two answers which both say something."""
    for one in judgements:
        chosen, rejected = (one.first, one.second) if one.choice == "first" else (one.second, one.first)
        if one.choice in ("first", "second") and chosen.strip() and rejected.strip():
            yield one.prompt, chosen, rejected
