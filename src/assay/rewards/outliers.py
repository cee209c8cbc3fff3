"""Outliers: says how far a completion lies outside what the reward has seen, and what that costs it.

Squared Mahalanobis distance to reference completions (demonstrations and the reference policy's samples), against the
reference's own 99th percentile, in one of two spaces: the leading principal directions of the backbone's states, or the
latent that people's choices need (`debias/bottleneck.py`, after InfoRM, arXiv 2402.09345, without its clustering). Both
are linear maps of a completion's mean state, so both are one class.

Catches: completions unlike any reference completion in the backbone's eyes. Does not catch: hacks inside the support of
the reference, such as an ordinary phrase used more often.
"""

from typing import NamedTuple

import numpy as np

from assay.rewards.feature_maps import FittedMap
from assay.rewards.features import Features

LATENT_VIEW = "mean-high"
"""The feature map whose states outlier models look at."""


class Mahalanobis(NamedTuple):
    """Centre [d], whitened directions [k, d] and the cut on the squared distance."""

    centre: np.ndarray
    directions: np.ndarray
    cut: float

    def distance(self, x: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance [n] of x [n, d]."""
        z = (x - self.centre) @ self.directions.T
        return np.asarray((z**2).sum(1))

    def is_outlier(self, x: np.ndarray) -> np.ndarray:
        """True [n] where x [n, d] lies beyond the cut."""
        return self.distance(x) > self.cut


def fit_mahalanobis(
    reference: np.ndarray, *, directions: int = 16, quantile: float = 0.99, shrinkage: float = 0.0
) -> Mahalanobis:
    """Fit on reference points [n, d], in their leading `directions`; at most a quarter of n are used.

    `shrinkage` moves each direction's variance that share of the way to their mean, which calms directions that hardly
    vary. The cut is a quantile of leave-one-out distances, so that it holds for new points; they follow from the
    ordinary ones by the Sherman-Morrison formula, exactly without shrinkage.
    """
    x = np.asarray(reference, dtype=np.float64)
    n = len(x)
    k = min(directions, max(1, n // 4))
    centre = x.mean(0)
    _, singular, rows = np.linalg.svd(x - centre, full_matrices=False)
    scale = np.maximum(singular[:k], 1e-8) / np.sqrt(max(1, n - 1))
    if shrinkage > 0:
        scale = np.sqrt((1 - shrinkage) * scale**2 + shrinkage * np.mean(scale**2))
    whitened = rows[:k] / scale[:, None]
    squared = (((x - centre) @ whitened.T) ** 2).sum(1)
    leverage = np.minimum(squared / max(1, n - 1) + 1 / n, 1 - 1e-6)
    left_out = squared / (1 - leverage) ** 2
    return Mahalanobis(centre, whitened, float(np.quantile(left_out, quantile)))


def penalty(distance: np.ndarray, cut: float) -> np.ndarray:
    """What a squared distance [n] costs: max(0, sqrt(distance) - sqrt(cut)), in s.d. of the reference.

    Nothing inside the reference's support, then growing without bound, so that no reward buys its way out.
    """
    return np.maximum(np.sqrt(distance) - np.sqrt(cut), 0.0)


class OutlierModel(NamedTuple):
    """A `Mahalanobis` on the mean state of the highest layer: centre [width], directions [k, width] and the cut."""

    centre: np.ndarray
    directions: np.ndarray
    cut: float

    def distance(self, features: Features) -> np.ndarray:
        """Squared Mahalanobis distance [n]."""
        return Mahalanobis(*self).distance(features.mean[:, -1])

    def is_outlier(self, features: Features) -> np.ndarray:
        """True [n] where a completion lies beyond the cut; about 1 % of reference completions do."""
        return self.distance(features) > self.cut

    def penalty(self, features: Features) -> np.ndarray:
        """What lying outside costs each completion [n], in s.d. of the reference."""
        return penalty(self.distance(features), self.cut)


def fit_outliers(
    reference: Features, *, directions: int = 16, quantile: float = 0.99, shrinkage: float = 0.0
) -> OutlierModel:
    """`fit_mahalanobis` on the mean states of reference completions."""
    states = reference.mean[:, -1]
    return OutlierModel(*fit_mahalanobis(states, directions=directions, quantile=quantile, shrinkage=shrinkage))


def fit_latent_outliers(
    reference: Features,
    view: FittedMap,
    encoder: np.ndarray,
    *,
    directions: int = 16,
    quantile: float = 0.99,
    shrinkage: float = 0.0,
) -> OutlierModel:
    """`fit_mahalanobis` on what an `encoder` [m, d] makes of the `mean-high` view, written in terms of the states."""
    by_state = (encoder / view.scale) @ view.directions[0]
    states = np.asarray(reference.mean[:, -1], dtype=np.float64)
    latent = fit_mahalanobis(states @ by_state.T, directions=directions, quantile=quantile, shrinkage=shrinkage)
    return OutlierModel(states.mean(0), latent.directions @ by_state, latent.cut)
