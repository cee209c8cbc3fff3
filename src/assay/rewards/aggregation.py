"""Aggregation: makes one reward of the members' rewards, from plain mean to conservative.

Members are scaled alike beforehand (mean 0, s.d. 1 on reference completions), else a minimum compares nothing.

    mean      (1/k) sum r_i
    wco       min_i r_i                        worst-case optimisation, Coste et al. 2023 (arXiv 2310.02743)
    uwo       mean - lambda var                uncertainty-weighted, lambda 0.5 (their best-of-n value)
    entropic  -b log mean exp(-r_i / b)        KL-robust; b to infinity is mean, b to 0 is wco; b = 1
    warm      the reward of the mean weights   Rame et al. 2024 (arXiv 2401.12187); members must share one view

`warm` needs the members' scales: heads on one view are linear, so the reward of their mean weights is the mean of their
rewards before they were scaled, and one head then does for all (`RewardEnsemble.weight_average`). None of these helps
where all members share an error.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import logsumexp

from assay.records.errors import ConfigError, explain

UWO_LAMBDA = 0.5
ENTROPIC_B = 1.0


def uwo(members: np.ndarray, coefficient: float = UWO_LAMBDA) -> np.ndarray:
    """Mean minus `coefficient` times the variance over members; members [n, k] to [n]."""
    return np.asarray(members.mean(1) - coefficient * members.var(1))


def entropic(members: np.ndarray, b: float = ENTROPIC_B) -> np.ndarray:
    """-b log mean exp(-r/b) over members; members [n, k] to [n]. Between the minimum and the mean."""
    return np.asarray(-b * (logsumexp(-members / b, axis=1) - np.log(members.shape[1])))


AGGREGATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "single": lambda members: members[:, 0],
    "mean": lambda members: members.mean(1),
    "wco": lambda members: members.min(1),
    "uwo": uwo,
    "entropic": entropic,
}
"""The named choices; `single` is the first member alone, what one has without an ensemble."""


WARM = "warm"
AGGREGATION_NAMES = (*AGGREGATIONS, WARM)
"""Every choice, with the one that needs more than the members' rewards."""


def aggregate(members: np.ndarray, name: str, *, scales: np.ndarray | None = None) -> np.ndarray:
    """One reward [n] of member rewards [n, k] by a named choice. Raises KeyError for an unknown name.

    `warm` is the mean weighted by the members' `scales` [k], the s.d. that each was divided by; without them it raises
    ConfigError.
    """
    if name != WARM:
        return AGGREGATIONS[name](members)
    if scales is None:
        do = "give all members one feature map, or choose another aggregation"
        raise ConfigError(
            explain(expected="members that share one view, to average their weights", got="others", do=do)
        )
    return np.asarray(members @ scales / scales.sum())


def average_weights(thetas: np.ndarray) -> np.ndarray:
    """The mean weights [d] of heads [k, d] on the same features: `warm` on plain arrays."""
    return np.asarray(thetas.mean(0))
