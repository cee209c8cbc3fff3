"""Nuisance: takes named surface columns (length, lists, marks) out of a linear reward, at fit time or after it.

Three ways, from weak to strong; z [n, q] holds the columns, x [n, d] what the head sees:

    fit_nuisance_head  fits r = x theta + z gamma on people's choices and scores with x theta alone. Theta is the
                       effect at equal surface, so labels that reward length no longer teach theta that; but what is
                       good may be long, so corr(x theta, z) need not vanish, and it should not.
    Residualiser       regresses x on z over reference completions and hands on the rest, at fit and at scoring: a
                       head on it has no linear correlation with z on the reference, whatever the labels say. Needs z
                       to score.
    decorrelate        changes a fitted theta as little as the reward's variance allows until cov(x theta, z) = 0.
                       Needs no z to score.

The last two also take away what of quality goes along with z. All three are linear: a bend in length is left for
`loess`. None sees a channel that nobody named.
"""

from typing import NamedTuple

import numpy as np

from assay.rewards.bradley_terry import Pairs, fit_head

STABILISER = 1e-6
"""Share of the mean eigenvalue that is added before a covariance is inverted."""


class NuisanceHead(NamedTuple):
    """Weights `theta` [d] of the reward and `gamma` [q] of the surface, which scoring leaves out."""

    theta: np.ndarray
    gamma: np.ndarray


def fit_nuisance_head(
    x: np.ndarray, z: np.ndarray, pairs: Pairs, *, ridge: float, nuisance_ridge: float, sum_to_zero: float
) -> NuisanceHead:
    """Fit x [n, d] and nuisance columns z [n, q] together; gamma is in logits a unit of z.

    `nuisance_ridge` holds for columns in standard units; keep it below `ridge`, or theta takes over what z explains.
    Raises TrainingError as `fit_head` does.
    """
    scale = _scale(z) * np.sqrt(nuisance_ridge / ridge)
    both = fit_head(np.hstack([x, (z - z.mean(0)) / scale]), pairs, ridge=ridge, sum_to_zero=sum_to_zero)
    return NuisanceHead(both[: x.shape[1]], both[x.shape[1] :] / scale)


class Residualiser(NamedTuple):
    """What z tells of x: x is taken to be `coefficients` [q, d] times the distance of z from `centre` [q]."""

    centre: np.ndarray
    coefficients: np.ndarray

    def apply(self, x: np.ndarray, z: np.ndarray) -> np.ndarray:
        """x [n, d] without what z [n, q] tells of it; exact where z is a column of x: that column becomes constant."""
        return np.asarray(x - (z - self.centre) @ self.coefficients)


def fit_residualiser(x: np.ndarray, z: np.ndarray) -> Residualiser:
    """Regress x [n, d] on z [n, q] by least squares, on reference completions."""
    centre = z.mean(0)
    coefficients = np.linalg.lstsq(z - centre, x - x.mean(0), rcond=None)[0]
    return Residualiser(centre, coefficients)


def residualise(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """x [n, d] without what its own z [n, q] tells of it: fit and apply on the same completions."""
    return fit_residualiser(x, z).apply(x, z)


def decorrelate(theta: np.ndarray, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The theta' [d] nearest to theta with cov(x theta', z) = 0 on x [n, d], z [n, q]; near is in variance of reward.

    theta' = theta - S^-1 C (C' S^-1 C)^-1 C' theta with S = cov(x), C = cov(x, z).
    """
    centred = x - x.mean(0)
    columns = (z - z.mean(0)) / _scale(z)
    covariance = centred.T @ centred / len(x)
    covariance += STABILISER * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    cross = centred.T @ columns / len(x)
    lifted = np.linalg.solve(covariance, cross)
    shift = lifted @ np.linalg.lstsq(cross.T @ lifted, cross.T @ theta, rcond=None)[0]
    return np.asarray(theta - shift)


def _scale(z: np.ndarray) -> np.ndarray:
    deviation = z.std(0)
    return np.where(deviation > 0, deviation, 1.0)
