"""ODIN: fits a quality head and a length head together and keeps the quality head alone.

    minimise  BT(r_Q + r_L) + a (|corr(r_Q, l)| - corr(r_L, l)) + o |theta_Q . theta_L|
              + ridge/2 (|theta_Q|^2 + |theta_L|^2),        r_Q = x theta_Q,  r_L = x theta_L

Chen et al. 2024 (arXiv 2402.07319, equations 5 to 7), with linear heads on the same frozen features: people's choices
are explained by both, the length head is driven to length and the quality head away from it. |u| is smoothed to
sqrt(u^2 + 1e-4) so that the gradient is exact; correlations are over all completions given, not over a batch. Started
at the plain Bradley-Terry head and the least-squares length; not convex beyond that.

Catches: what of length is linear in the features. Does not catch: other surface, or a bend in length.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from assay.rewards.bradley_terry import MAX_STEPS, Compared, Pairs, check_fit, compare, compared_loss, fit_head

SMOOTH = 1e-4


class Terms(NamedTuple):
    """Weights of the terms: `correlation` (a), `orthogonality` (o), `ridge`, and `sum_to_zero` of the whole reward."""

    correlation: float
    orthogonality: float
    ridge: float
    sum_to_zero: float


def fit_odin(
    x: np.ndarray,
    length: np.ndarray,
    pairs: Pairs,
    *,
    ridge: float,
    sum_to_zero: float,
    correlation: float = 1.0,
    orthogonality: float = 1.0,
) -> np.ndarray:
    """The quality head theta_Q [d] on x [n, d] with the completions' `length` [n]; both weights are 1 as in the paper.

    Raises TrainingError as `fit_head` does.
    """
    check_fit(x, pairs)
    terms = Terms(correlation, orthogonality, ridge, sum_to_zero)
    centred = x - x.mean(0)
    lean = length - length.mean()
    lean = lean / (lean.std() or 1.0)
    by_length = np.linalg.lstsq(centred, lean, rcond=1e-6)[0]
    plain = fit_head(x, pairs, ridge=ridge, sum_to_zero=sum_to_zero)
    compared = compare(x, pairs)
    solved = minimize(  # type: ignore[call-overload]  # the stubs do not know jac=True with a pair
        lambda both: objective(both, centred, lean, compared, terms=terms),
        np.concatenate([plain, by_length]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_STEPS},
    )
    return np.asarray(solved.x[: x.shape[1]])


def objective(
    both: np.ndarray, centred: np.ndarray, lean: np.ndarray, compared: Compared, *, terms: Terms
) -> tuple[float, np.ndarray]:
    """The objective and its gradient for both = [theta_Q, theta_L] [2 d].

    `centred` [n, d] are the features less their mean, `lean` [n] is length with mean 0 and s.d. 1, and `compared` are
    the pairs of the features as they are.
    """
    quality, by_length = np.split(both, 2)
    value, shared = compared_loss(quality + by_length, compared, ridge=0.0, sum_to_zero=terms.sum_to_zero)
    q_corr, q_gradient = _correlation(quality, centred, lean)
    l_corr, l_gradient = _correlation(by_length, centred, lean)
    dot = quality @ by_length
    q_abs, dot_abs = np.sqrt(q_corr**2 + SMOOTH), np.sqrt(dot**2 + SMOOTH)
    value += terms.correlation * (q_abs - l_corr) + terms.orthogonality * dot_abs + terms.ridge / 2 * both @ both
    push = terms.orthogonality * dot / dot_abs
    gradient = np.concatenate(
        [
            shared + terms.correlation * q_corr / q_abs * q_gradient + push * by_length,
            shared - terms.correlation * l_gradient + push * quality,
        ]
    )
    return float(value), gradient + terms.ridge * both


def _correlation(theta: np.ndarray, centred: np.ndarray, lean: np.ndarray) -> tuple[float, np.ndarray]:
    """corr(x theta, length) and its gradient in theta; 0 where the reward does not vary."""
    reward = centred @ theta
    deviation = np.sqrt(np.mean(reward**2))
    if deviation < 1e-12:
        return 0.0, np.zeros_like(theta)
    rho = np.mean(reward * lean) / deviation
    gradient = centred.T @ (lean / deviation - rho * reward / deviation**2) / len(reward)
    return float(rho), gradient
