"""Posterior: how far a member's margins may lie from what it says, given what it was fitted on.

Takes features of pairs and of the pairs that a head was fitted on; yields factors whose products are covariances. The
objective of `bradley_terry` is a negative log posterior with a normal prior; around its minimum the weights have the
covariance H^-1 (Laplace), H = sum_i w_i p_i (1 - p_i) d_i d_i' + n ridge I. The spread of an ensemble's members speaks
of the same, but along no more directions than there are members less one.

Does not catch: that the model is wrong, labels that hang together, and what `sum_to_zero` and debiasing add.
"""

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit


def margin_factors(
    theta: np.ndarray, pairs: np.ndarray, fitted: np.ndarray, *, ridge: float, weight: np.ndarray | None = None
) -> np.ndarray:
    """Factors C [n, d] of the covariance C C' of a head's margins on `pairs` [n, d], differences of two completions.

    `theta` [d] are the weights, `fitted` [m, d] the differences that they were fitted on, with `weight` [m], else 1.
    """
    times = np.ones(len(fitted)) if weight is None else weight
    chance = expit(fitted @ theta)
    precision = (fitted * (times * chance * (1 - chance))[:, None]).T @ fitted
    precision += times.sum() * ridge * np.eye(len(theta))
    lower = cholesky(precision, lower=True)
    return np.asarray(solve_triangular(lower, pairs.T, lower=True).T)
