"""Bradley-Terry head: one linear reward fitted to soft, weighted preferences.

    minimise  sum_i w_i [ -p_i log s(d_i - m_i) - (1 - p_i) log s(-d_i - m_i) ] / sum_i w_i
              + ridge/2 |theta|^2 + eta mean_i (r+_i + r-_i)^2,     d_i = r+_i - r-_i,  r = x theta

Bradley & Terry 1952. `m_i >= 0` is the margin by which the better one has to win (Touvron et al. 2023, arXiv
2307.09288, section 3.2.2), written so that swapping a pair changes nothing; 0 is the plain model. The last term is the
sum-to-zero term of Eisenstein et al. 2023 (arXiv 2312.09244, section 2): without it members differ by a constant a
prompt and a minimum over them means nothing. Convex; solved by L-BFGS.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from assay.records.errors import TrainingError, explain

MAX_STEPS = 500


class Pairs(NamedTuple):
    """Rows of a completion table: `chosen` and `rejected` [pairs] row numbers, `probability` and `weight` [pairs].

    `margin` [pairs], or one number for all, is in logits and at least 0.
    """

    chosen: np.ndarray
    rejected: np.ndarray
    probability: np.ndarray
    weight: np.ndarray
    margin: np.ndarray | float = 0.0

    def take(self, rows: np.ndarray) -> "Pairs":
        """The pairs with these numbers; a number may repeat, as in a bootstrap."""
        margin = self.margin[rows] if isinstance(self.margin, np.ndarray) else self.margin
        return Pairs(self.chosen[rows], self.rejected[rows], self.probability[rows], self.weight[rows], margin)


class Compared(NamedTuple):
    """What the objective reads of pairs, gathered once for all steps of a fit.

    `difference` and `total` [pairs, d] of the two completions' features, `weight` [pairs] with sum 1, `probability` and
    `margin` as in `Pairs`, and whether any margin is above 0.
    """

    difference: np.ndarray
    total: np.ndarray
    weight: np.ndarray
    probability: np.ndarray
    margin: np.ndarray | float
    has_margin: bool


def compare(x: np.ndarray, pairs: Pairs) -> Compared:
    """Gather features x [completions, d] by pair."""
    chosen, rejected = x[pairs.chosen], x[pairs.rejected]
    weight = pairs.weight / pairs.weight.sum()
    has_margin = bool(np.any(pairs.margin))
    return Compared(chosen - rejected, chosen + rejected, weight, pairs.probability, pairs.margin, has_margin)


def loss_and_gradient(
    theta: np.ndarray, x: np.ndarray, pairs: Pairs, *, ridge: float, sum_to_zero: float
) -> tuple[float, np.ndarray]:
    """The objective above and its gradient, for theta [d] and features x [completions, d]."""
    return compared_loss(theta, compare(x, pairs), ridge=ridge, sum_to_zero=sum_to_zero)


def compared_loss(
    theta: np.ndarray, compared: Compared, *, ridge: float, sum_to_zero: float
) -> tuple[float, np.ndarray]:
    """The objective and its gradient for theta [d] on gathered pairs."""
    difference, total, weight, p, m, has_margin = compared
    d, s = difference @ theta, total @ theta
    nll = weight @ (p * np.logaddexp(0, m - d) + (1 - p) * np.logaddexp(0, m + d))
    value = nll + ridge / 2 * theta @ theta + sum_to_zero * np.mean(s**2)
    plain = expit(d)
    slope = plain - p
    if has_margin:
        slope += p * (expit(d - m) - plain) + (1 - p) * (expit(d + m) - plain)
    gradient = difference.T @ (weight * slope) + ridge * theta
    gradient += 2 * sum_to_zero * total.T @ s / len(s)
    return float(value), gradient


def fit_head(
    x: np.ndarray,
    pairs: Pairs,
    *,
    ridge: float,
    sum_to_zero: float,
    start: np.ndarray | None = None,
    steps: int = MAX_STEPS,
) -> np.ndarray:
    """The minimising theta [d], or where `steps` from `start` (default zero) come before it.

    Raises TrainingError for no pairs, or values that are not finite.
    """
    check_fit(x, pairs)
    compared = compare(x, pairs)
    solved = minimize(  # type: ignore[call-overload]  # the stubs do not know jac=True with a pair
        lambda theta: compared_loss(theta, compared, ridge=ridge, sum_to_zero=sum_to_zero),
        np.zeros(x.shape[1]) if start is None else start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps},
    )
    return np.asarray(solved.x)


def check_fit(x: np.ndarray, pairs: Pairs) -> None:
    """Raise TrainingError where there is nothing to fit on: no pairs, or features that are not finite."""
    if len(pairs.chosen) == 0:
        do = "collect judgements that prefer one completion over another"
        raise TrainingError(explain(expected="at least one preference to fit a reward on", got="none", do=do))
    if not np.isfinite(x).all():
        do = "check the backbone's weights; a half-loaded model gives such states"
        raise TrainingError(explain(expected="finite reward features", got="NaN or infinity", do=do))
