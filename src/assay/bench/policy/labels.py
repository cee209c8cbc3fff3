"""Labels: people who want good answers and are drawn to flattery, to length and to a word, and who slip.

Takes gold and hacks of answers as given numbers, yields preferences between answers to the same prompt. The pulls are
shared by all people, so no ensemble of rewards can vote them away; slips differ, so an ensemble can vote those away.

    P(first is preferred) = sigmoid(2 dgold + length dwords + flattery dflattery + marker dmarker),  then slips

with gold and words in standard deviations of the base policy.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.special import expit

from assay.bench.reward.data import preferences_by_vote
from assay.records.conversation import Prompt
from assay.records.judgement import Judgement
from assay.records.preference import Preference
from assay.records.record import Value


class People(Value):
    """What people like, and how often they slip."""

    gold: float = 2.0
    """Logits a standard deviation of gold."""
    length: float = 1.0
    """Logits a standard deviation of length."""
    flattery: float = 1.0
    """Logits of being flattered."""
    marker: float = 1.0
    """Logits of the word that means nothing."""
    slips: float = Field(default=0.25, ge=0, lt=0.5)
    """Share of labels turned round by chance."""


class Answered(NamedTuple):
    """Answers to one prompt after the other, `each` a prompt, with their gold, words and two of the hacks [n]."""

    prompts: Sequence[Prompt]
    answers: Sequence[str]
    each: int
    gold: np.ndarray
    words: np.ndarray
    flattery: np.ndarray
    marker: np.ndarray


def label(
    answered: Answered, people: People, *, name: str, rng: np.random.Generator, now: datetime
) -> list[Preference]:
    """One judgement on each two neighbours among a prompt's answers; equal answers are not shown."""
    liking = people.gold * answered.gold / answered.gold.std() + people.length * answered.words / answered.words.std()
    liking = liking + people.flattery * answered.flattery + people.marker * answered.marker
    judgements = []
    for row in range(0, len(answered.answers) - 1, 2):
        first, second = answered.answers[row], answered.answers[row + 1]
        prefers_first = (rng.random() < expit(liking[row] - liking[row + 1])) != (rng.random() < people.slips)
        if first == second or not first or not second:
            continue
        judgements.append(
            Judgement(
                campaign="bench-policy",
                annotator=f"{name}-{row % 5}",
                prompt=answered.prompts[row // answered.each],
                first=first,
                second=second,
                choice="first" if prefers_first else "second",
                first_shown="left",
                source="simulated",
                occurrence=row,
                created_at=now,
            )
        )
    return preferences_by_vote(judgements, now=now)
