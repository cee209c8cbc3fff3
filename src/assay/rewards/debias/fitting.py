"""Fitting: fits one head by settings: surface out of the features, labels smoothed, fitted, weights decorrelated."""

from typing import NamedTuple

import numpy as np

from assay.rewards.bradley_terry import Pairs, fit_head
from assay.rewards.debias.nuisance import Residualiser, decorrelate, fit_nuisance_head, fit_residualiser
from assay.rewards.debias.odin import fit_odin
from assay.rewards.debias.settings import DebiasSettings
from assay.rewards.debias.smoothing import smooth_labels


class SurfaceView(NamedTuple):
    """What a head sees, x [n, d], with the surface to work against, z [n, q], and the length [n] of the same rows."""

    x: np.ndarray
    z: np.ndarray
    length: np.ndarray


class DebiasedHead(NamedTuple):
    """Weights `theta` [d], and what has to be taken out of x before they are put on it (None for nothing)."""

    theta: np.ndarray
    residualiser: Residualiser | None


def fit_debiased_head(
    table: SurfaceView, pairs: Pairs, anchor: SurfaceView, settings: DebiasSettings, *, ridge: float, sum_to_zero: float
) -> DebiasedHead:
    """Fit on pairs of the table's rows; what goes along with the surface is learnt on the anchor's (reference) rows.

    Raises TrainingError as `fit_head` does.
    """
    residualiser = fit_residualiser(anchor.x, anchor.z) if settings.removal == "residualise" else None
    x = table.x if residualiser is None else residualiser.apply(table.x, table.z)
    smoothing = settings.smoothing
    if smoothing.rate > 0:
        pairs = smooth_labels(
            x,
            pairs,
            rate=smoothing.rate,
            epochs=smoothing.epochs,
            steps=smoothing.steps,
            ridge=ridge,
            sum_to_zero=sum_to_zero,
        )
    if settings.head == "nuisance":
        theta = fit_nuisance_head(
            x, table.z, pairs, ridge=ridge, nuisance_ridge=settings.nuisance_ridge, sum_to_zero=sum_to_zero
        ).theta
    elif settings.head == "odin":
        rows, where = np.unique(np.concatenate([pairs.chosen, pairs.rejected]), return_inverse=True)
        chosen, rejected = np.split(where, 2)
        theta = fit_odin(
            x[rows],
            table.length[rows],
            pairs._replace(chosen=chosen, rejected=rejected),
            ridge=ridge,
            sum_to_zero=sum_to_zero,
            correlation=settings.odin_correlation,
            orthogonality=settings.odin_orthogonality,
        )
    else:
        theta = fit_head(x, pairs, ridge=ridge, sum_to_zero=sum_to_zero)
    if settings.removal == "decorrelate":
        theta = decorrelate(theta, anchor.x, anchor.z)
    return DebiasedHead(theta, residualiser)
