"""Smoothing: labels that are not taken at their word: hard, soft as people left them, or moved towards the model.

Iterative data smoothing, Zhu et al. 2024 (arXiv 2401.16335, algorithm 1): after each epoch y <- (1 - b) y + b p_model.
A pair that the model, taught by all others, cannot follow loses its label before the model learns it by heart; so
training longer no longer over-fits pairs that were judged once. An epoch here is a few steps of L-BFGS.

Catches: scattered wrong labels. Does not catch: a habit that annotators share; the model learns it, then confirms it.
"""

import numpy as np
from scipy.special import expit

from assay.rewards.bradley_terry import Pairs, fit_head


def harden(pairs: Pairs) -> Pairs:
    """The same pairs with each probability moved to 0 or 1; one half stays."""
    p = pairs.probability
    return pairs._replace(probability=np.where(p == 0.5, 0.5, (p > 0.5).astype(np.float64)))


def smooth_labels(
    x: np.ndarray, pairs: Pairs, *, rate: float, epochs: int, steps: int, ridge: float, sum_to_zero: float
) -> Pairs:
    """The pairs with the labels that `epochs` of fitting on x [n, d] leave behind; `rate` (b) from 0 to 1.

    Any head may be fitted on what comes back. Raises TrainingError as `fit_head` does.
    """
    theta = np.zeros(x.shape[1])
    for _ in range(epochs):
        theta = fit_head(x, pairs, ridge=ridge, sum_to_zero=sum_to_zero, start=theta, steps=steps)
        predicted = expit((x[pairs.chosen] - x[pairs.rejected]) @ theta)
        pairs = pairs._replace(probability=(1 - rate) * pairs.probability + rate * predicted)
    return pairs
