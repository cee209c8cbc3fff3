"""Outliers: says which completions lie outside what the reward has seen.

Squared Mahalanobis distance of a completion's mean state to reference completions, in their leading principal
directions, against the reference's own 99th percentile (after InfoRM, arXiv 2402.09345, without its UMAP step).

Catches: completions unlike any reference completion in the backbone's eyes. Does not catch: hacks inside the support of
the reference, such as an ordinary phrase used more often.
"""

from typing import NamedTuple

import numpy as np

from assay.rewards.features import Features


class OutlierModel(NamedTuple):
    """Centre [width], whitened directions [k, width] and the cut on the squared distance."""

    centre: np.ndarray
    directions: np.ndarray
    cut: float

    def distance(self, features: Features) -> np.ndarray:
        """Squared Mahalanobis distance [n]."""
        z = (features.mean[:, -1] - self.centre) @ self.directions.T
        return np.asarray((z**2).sum(1))

    def is_outlier(self, features: Features) -> np.ndarray:
        """True [n] where a completion lies beyond the cut; about 1 % of reference completions do."""
        return self.distance(features) > self.cut


def fit_outliers(reference: Features, *, directions: int = 16, quantile: float = 0.99) -> OutlierModel:
    """Fit on reference completions. The cut is a quantile of leave-one-out distances, so that it holds for new ones.

    The leave-one-out distance follows from the ordinary one by the Sherman-Morrison formula.
    """
    x = np.asarray(reference.mean[:, -1], dtype=np.float64)
    n = len(x)
    k = min(directions, max(1, n // 4))
    centre = x.mean(0)
    _, singular, rows = np.linalg.svd(x - centre, full_matrices=False)
    scale = np.maximum(singular[:k], 1e-8) / np.sqrt(max(1, n - 1))
    whitened = rows[:k] / scale[:, None]
    squared = (((x - centre) @ whitened.T) ** 2).sum(1)
    leverage = np.minimum(squared / max(1, n - 1) + 1 / n, 1 - 1e-6)
    left_out = squared / (1 - leverage) ** 2
    return OutlierModel(centre, whitened, float(np.quantile(left_out, quantile)))
