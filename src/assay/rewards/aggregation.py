"""Aggregation: makes one reward of the members' rewards, from plain mean to conservative.

Members are scaled alike beforehand (mean 0, s.d. 1 on reference completions), else a minimum compares nothing.

    mean      (1/k) sum r_i
    wco       min_i r_i                        worst-case optimisation, Coste et al. 2023 (arXiv 2310.02743)
    uwo       mean - lambda var                uncertainty-weighted, lambda 0.5 (their best-of-n value)
    entropic  -b log mean exp(-r_i / b)        KL-robust; b to infinity is mean, b to 0 is wco; b = 1

None of them helps where all members share an error.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import logsumexp

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


def aggregate(members: np.ndarray, name: str) -> np.ndarray:
    """One reward [n] of member rewards [n, k] by a named choice. Raises KeyError for an unknown name."""
    return AGGREGATIONS[name](members)
