"""Texts: preferences whose prompts and answers have as many tokens as is asked, from the model's own vocabulary.

Lengths decide the cost of a step, words do not. Takes a model and counts; yields preferences.
"""

from datetime import datetime

import numpy as np

from assay.lm import LanguageModel
from assay.records.conversation import Prompt, user_prompt
from assay.records.errors import ModelError, explain
from assay.records.preference import Preference

FEWEST_WORDS = 4


def words_of(lm: LanguageModel) -> list[str]:
    """Words that are one token each when they follow a space. Raises ModelError for a vocabulary without any."""
    tokens = [lm.tokenizer.convert_ids_to_tokens(i) for i in range(len(lm.tokenizer))]
    words = sorted({token[1:] for token in tokens if token[:1] in ("Ġ", "▁") and token[1:].isalpha()})
    if len(words) < FEWEST_WORDS:
        do = "take a model with a byte-level or sentencepiece vocabulary"
        raise ModelError(explain(expected="words of one token in the vocabulary", got=f"{len(words)}", do=do))
    return words


def prompts_of(lm: LanguageModel, count: int, *, words: int, seed: int) -> list[Prompt]:
    """Prompts of so many words, no two the same."""
    return [user_prompt(text) for text in _texts(words_of(lm), count, words, np.random.default_rng([seed, 0]))]


def pairs_of(
    lm: LanguageModel, count: int, *, prompt_words: int, answer_words: int, seed: int, now: datetime
) -> list[Preference]:
    """Preferences whose prompts and answers have so many words."""
    known, rng = words_of(lm), np.random.default_rng([seed, 1])
    answers = iter(_texts(known, 2 * count, answer_words, rng))
    return [
        Preference(
            created_at=now,
            prompt=prompt,
            chosen=next(answers),
            rejected=next(answers),
            margin=1.0,
            standard_error=0.3,
            probability=0.8,
            judgements=(str(i),),
            annotators=("bench",),
            aggregation="bench",
        )
        for i, prompt in enumerate(prompts_of(lm, count, words=prompt_words, seed=seed))
    ]


def _texts(known: list[str], count: int, words: int, rng: np.random.Generator) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        # The first word has its space too, without which it would be another token, or several.
        found["".join(f" {known[i]}" for i in rng.integers(0, len(known), words))] = None
    return list(found)
