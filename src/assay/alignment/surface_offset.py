"""Surface offset: what people's choices owe to named columns of the surface enters the loss and not the policy.

    P(chosen is preferred) = s( beta [ log pi(y+)/ref(y+) - log pi(y-)/ref(y-) ] + gamma (z+ - z-) )

with z the surface of a completion (`rewards.surface_features`). R-DPO (Park et al. 2024, arXiv 2403.19159) has the
term for length with a gamma that its user sets; here gamma is what a logistic regression of the run's own labels on
z+ - z- finds. As nothing else is in that regression, gamma also takes what of quality goes along with the surface: the
policy learns what is preferred at equal surface, and a longer answer that is better for being longer is not learnt.
A channel that nobody named stays in.
"""

from collections.abc import Sequence

import numpy as np

from assay.records.preference import Preference
from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.features import SURFACE_NAMES, surface_features

RIDGE = 1e-3
"""Ridge penalty of gamma for columns in units of their standard deviation over pairs."""


def surface_offset(
    preferences: Sequence[Preference], names: Sequence[str], probability: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Logits [pairs] that the named columns of the surface give each chosen completion over its rejected one.

    `probability` and `weight` [pairs] are the labels as the run takes them. Columns that are equal within every pair
    give nothing. Raises TrainingError where there is no preference.
    """
    columns = [SURFACE_NAMES.index(name) for name in names]
    chosen = np.array([surface_features(one.chosen) for one in preferences])[:, columns]
    rejected = np.array([surface_features(one.rejected) for one in preferences])[:, columns]
    scale = np.sqrt(((chosen - rejected) ** 2).mean(0))
    scale[scale == 0] = 1.0
    rows = np.arange(len(preferences))
    pairs = Pairs(rows, rows + len(rows), probability, weight)
    gamma = fit_head(np.vstack([chosen, rejected]) / scale, pairs, ridge=RIDGE, sum_to_zero=0.0)
    return np.asarray((chosen - rejected) / scale @ gamma)
