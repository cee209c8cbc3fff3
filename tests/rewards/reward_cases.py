"""Reward cases: preferences and judgements in which plain words decide, so that a tiny model can learn them."""

from datetime import UTC, datetime

import numpy as np

from assay.records.conversation import user_prompt
from assay.records.judgement import Judgement
from assay.records.preference import Preference
from assay.rewards.bradley_terry import Pairs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILLER = ["sky", "light", "sleep", "walk", "friend", "capital", "city", "day", "air", "waves"]


def text_with(marks, rng, words=8):
    """Filler words with each of the marks somewhere among them."""
    chosen = list(rng.choice(FILLER, size=words))
    for mark in marks:
        chosen.insert(int(rng.integers(0, len(chosen) + 1)), mark)
    return " ".join(chosen) + "."


def prompt_number(i):
    return user_prompt(f"Question {i} about the {FILLER[i % len(FILLER)]}?")


def marked_preferences(now, *, prompts=16, pairs=4, good="Paris", bad="cannot", seed=0):
    """Preferences for completions that say `good` thrice over those that say `bad` thrice."""
    rng = np.random.default_rng(seed)
    return [
        Preference(
            created_at=now,
            prompt=prompt_number(i),
            chosen=text_with([good] * 3, rng),
            rejected=text_with([bad] * 3, rng),
            margin=2.0,
            standard_error=0.5,
            probability=0.9,
            judgements=(f"j{i}-{k}",),
            annotators=("ann",),
            aggregation="a",
        )
        for i in range(prompts)
        for k in range(pairs)
    ]


def judgement(now, prompt, first, second, choice, *, annotator="ann", attributes=None, occurrence=0):
    return Judgement(
        created_at=now,
        campaign="c",
        annotator=annotator,
        prompt=prompt,
        first=first,
        second=second,
        choice=choice,
        first_shown="left",
        attributes=attributes or {},
        occurrence=occurrence,
    )


def pairs_of(chosen, rejected, probability=1.0, weight=1.0):
    n = len(chosen)
    return Pairs(
        chosen=np.array(chosen, dtype=int),
        rejected=np.array(rejected, dtype=int),
        probability=np.full(n, float(probability)),
        weight=np.full(n, float(weight)),
    )
