"""Noisy counts: counts that can be published without saying whether any one person is in them.

Takes counts by name; yields them with two-sided geometric noise (Ghosh et al. 2009) and without the small ones. Each
count is `epsilon`-differentially private where one person changes it by at most `sensitivity`; a person who is counted
under several names spends `epsilon` under each. What was withheld is decided after the noise, so it gives nothing away.
The set of names must come from the question and not from the data. Does not cover free text.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from assay.records.errors import ConfigError, explain


class NoisyCounts(NamedTuple):
    """Published counts, the names withheld because they came out below `smallest`, and what it cost in privacy."""

    counts: dict[str, int]
    withheld: tuple[str, ...]
    epsilon: float
    smallest: int


def noisy_counts(
    counts: Mapping[str, int],
    *,
    epsilon: float,
    rng: np.random.Generator,
    smallest: int = 5,
    sensitivity: int = 1,
) -> NoisyCounts:
    """Add noise of s.d. about sqrt(2) sensitivity / epsilon, withhold what is below `smallest`.

    Raises ConfigError for an `epsilon` not above 0 or a `sensitivity` below 1.
    """
    if not epsilon > 0 or sensitivity < 1:
        do = "an epsilon of 1 is usual; the sensitivity is how often one person can be counted"
        got = f"{epsilon:g} and {sensitivity}"
        raise ConfigError(explain(expected="an epsilon above 0 and a sensitivity of 1 or more", got=got, do=do))
    chance = -np.expm1(-epsilon / sensitivity)
    published, withheld = {}, []
    for name, count in sorted(counts.items()):
        noisy = int(count + rng.geometric(chance) - rng.geometric(chance))
        if noisy < smallest:
            withheld.append(name)
        else:
            published[name] = noisy
    return NoisyCounts(published, tuple(withheld), epsilon, smallest)
