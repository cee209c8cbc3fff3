"""Sample statistics: what a run's samples say beyond means. Takes arrays over completions, or texts; yields numbers.

The spread of a reward within prompts, the tie between reward and length, and the word that spread most.

Prompts repeat at every checkpoint, so whatever prompts differ by is taken out before two numbers are related.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PERMUTATIONS = 99
MOST_WORDS = 1500
"""Vocabulary of the contrast: the words in the most completions."""
LEAST_COMPLETIONS = 3
"""Completions that must hold a word for it to be looked at."""
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


class LexicalContrast(NamedTuple):
    """`shift`: permutation s.d. of the largest rise above chance; `rise` of that word's share; the word itself."""

    shift: float
    rise: float
    word: str


def within_prompts(values: Floats, prompt_index: Sequence[int]) -> Floats:
    """Values [m] less their prompt's mean; less the common mean where every prompt has a single value."""
    index = np.asarray(prompt_index)
    counts = np.bincount(index)
    if counts.max() < 2:
        return np.asarray(values - values.mean())
    return np.asarray(values - (np.bincount(index, weights=values) / np.maximum(counts, 1))[index])


def within_group_sd(rewards: Floats, prompt_index: Sequence[int]) -> float | None:
    """Mean over prompts of the standard deviation (n - 1) of their rewards; None where no prompt has two."""
    index = np.asarray(prompt_index)
    counts = np.bincount(index)
    if counts.max() < 2:
        return None
    squares = np.bincount(index, weights=within_prompts(rewards, prompt_index) ** 2)
    return float(np.sqrt(squares[counts > 1] / (counts[counts > 1] - 1)).mean())


def length_correlation(rewards: Floats, lengths: Floats, prompt_index: Sequence[int]) -> float:
    """Pearson correlation within prompts of reward and log(1 + length); 0 where one of them does not vary."""
    r, x = within_prompts(rewards, prompt_index), within_prompts(np.log1p(lengths), prompt_index)
    scale = float(np.sqrt((r**2).sum() * (x**2).sum()))
    return float((r * x).sum() / scale) if scale > 1e-12 else 0.0


def length_adjusted_gain(
    before: tuple[Floats, Floats], after: tuple[Floats, Floats], prompt_index: Sequence[int]
) -> float:
    """Gain of the mean reward at equal length, from (rewards, lengths) before and after on the same prompts.

    Analysis of covariance: the gain less the pooled slope of reward on log(1 + length) within prompts and samples,
    times the change of the mean log length. The share of the gain that is left is what Singhal et al. (arXiv
    2310.03716) read off length buckets.
    """
    samples = [(rewards, np.log1p(lengths)) for rewards, lengths in (before, after)]
    within = [(within_prompts(r, prompt_index), within_prompts(x, prompt_index)) for r, x in samples]
    spread = sum(float((x**2).sum()) for _, x in within)
    slope = sum(float((r * x).sum()) for r, x in within) / spread if spread > 1e-12 else 0.0
    (r0, x0), (r1, x1) = samples
    return float(r1.mean() - r0.mean() - slope * (x1.mean() - x0.mean()))


def lexical_contrast(
    before: Sequence[str], after: Sequence[str], *, rng: np.random.Generator
) -> LexicalContrast | None:
    """The word that rose most beyond chance, from texts of the same prompts in the same order; None without words.

    For each word the z of two shares of completions; the largest z is held against its own distribution when the two
    texts of a pair change places at random (99 times), which keeps the prompts apart and pays for the many words.
    """
    texts = [frozenset(WORD.findall(text.lower())) for text in (*before, *after)]
    words = _vocabulary(texts)
    if not words:
        return None
    column = {word: i for i, word in enumerate(words)}
    has = np.zeros((len(texts), len(words)), dtype=np.float32)
    for row, found in enumerate(texts):
        has[row, [column[word] for word in found if word in column]] = 1
    n = len(before)
    difference = has[n:] - has[:n]
    share = has.mean(0)
    scale = np.sqrt(2 * share * (1 - share) / n) + 1e-6
    signs = rng.choice(np.array([-1, 1], dtype=np.float32), size=(PERMUTATIONS, n))
    chance = (signs @ difference / n / scale).max(1)
    rises = difference.mean(0)
    z = rises / scale
    best = int(z.argmax())
    shift = (z[best] - chance.mean()) / max(float(chance.std()), 0.1)
    return LexicalContrast(float(shift), float(rises[best]), words[best])


def _vocabulary(texts: Sequence[frozenset[str]]) -> list[str]:
    """Words in at least three texts and not in all, the commonest first, at most 1,500."""
    counts: dict[str, int] = {}
    for words in texts:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    kept = [word for word, count in counts.items() if LEAST_COMPLETIONS <= count < len(texts)]
    return sorted(kept, key=lambda word: (-counts[word], word))[:MOST_WORDS]
