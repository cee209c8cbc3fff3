"""Augmentation: pairs that teach a reward to look at the prompt, and balance what has nothing to do with it.

Liu et al. 2024 (RRM, arXiv 2409.13156, section 4): completions of another prompt are put under this one.

    contrast  this prompt's completion is better than another prompt's, whichever of its two it is, probability 1
    tie       two completions of another prompt, put under this one, are as good as each other, probability 1/2

In the contrasts any habit of style stands on both sides alike; in the ties the habits of the chosen stand against those
of the rejected with an even label, so that what is left of the preference is what depends on the prompt.

Costs one more feature reading for each new (prompt, completion). Does not help where features do not see the prompt.
"""

from typing import NamedTuple

import numpy as np

from assay.rewards.bradley_terry import Pairs


class Augmented(NamedTuple):
    """New pairs over new rows of the completion table, which had `n` rows before.

    Row n + k is the completion of row `completion_row[k]` under the prompt of row `prompt_row[k]`; `source` [pairs] is
    the number of the old pair that each new one was made from, so that a bootstrap can keep them together.
    """

    pairs: Pairs
    prompt_row: np.ndarray
    completion_row: np.ndarray
    source: np.ndarray


def augment(
    pairs: Pairs, group: np.ndarray, *, rows: int, contrasts: int, ties: int, rng: np.random.Generator
) -> Augmented:
    """`contrasts` and `ties` new pairs for each of the pairs, whose prompts are numbered in `group` [pairs].

    `rows` is the number of rows that the completion table has. The first contrast of a pair is of its chosen, the
    second of its rejected completion, and so on in turn. Raises ValueError where all pairs are of one prompt, or where
    nothing is asked for.
    """
    if contrasts + ties < 1:
        raise ValueError("expected at least one contrast or tie a pair; got none")
    if len(np.unique(group)) < 2:
        raise ValueError(f"expected pairs of at least two prompts to put together; got {len(np.unique(group))}")
    count, split = len(group), contrasts * len(group)
    source = np.tile(np.arange(count), contrasts + ties)
    other = np.concatenate([_strangers(group, rng) for _ in range(contrasts + ties)])
    own = np.concatenate([pairs.rejected if turn % 2 else pairs.chosen for turn in range(contrasts)] or [source[:0]])
    against = np.where(rng.random(split) < 0.5, pairs.chosen[other[:split]], pairs.rejected[other[:split]])
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    prompt = pairs.chosen[first[number]]
    under = prompt[np.concatenate([source, source[split:]])]
    completions = np.concatenate([against, pairs.chosen[other[split:]], pairs.rejected[other[split:]]])
    placed, row = np.unique(np.column_stack([under, completions]), axis=0, return_inverse=True)
    contrast, tie_first, tie_second = np.split(rows + row.ravel(), [split, split + ties * count])
    new = Pairs(
        chosen=np.concatenate([own, tie_first]),
        rejected=np.concatenate([contrast, tie_second]),
        probability=np.repeat([1.0, 0.5], [split, ties * count]),
        weight=pairs.weight[source],
    )
    return Augmented(new, placed[:, 0], placed[:, 1], source)


def _strangers(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each pair the number of a random pair of another prompt [pairs]."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], group, side="left")
    sizes = np.searchsorted(group[order], group, side="right") - starts
    jump = rng.integers(0, len(group) - sizes)
    return np.asarray(order[(starts + sizes + jump) % len(group)])
