"""Bottleneck: the few directions of the features that people's choices need, as a Gaussian latent (after InfoRM).

    minimise  mean_k sum_i w_ki E[ BT(W_k . (s+_i - s-_i)) ] + beta mean_n KL( N(mu_n, e^2rho) || N(0, I) ),
              s = mu + e^rho eps,  mu = A x

Miao et al. 2024 (arXiv 2402.09345, equation 5): the latent keeps what predicts the choice and pays for all else. On
frozen features the encoder A is linear. One linear decoder would need one direction only, so there are several, each
on its own bootstrap of the pairs, and the latent keeps what any of them would use. The noise is integrated by
Gauss-Hermite quadrature, so the objective is exact and its gradient too; L-BFGS from a random start.

A reference's distribution in this latent (`outliers.fit_mahalanobis`) says which completions are extreme in what
people's choices depend on. Directions that no choice depends on cost nothing there, so it does not see a policy that
drifts along them.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from assay.rewards.bradley_terry import MAX_STEPS, Pairs, check_fit

NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(8)
WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Bottleneck(NamedTuple):
    """Encoder [m, d] about `centre` [d], log s.d. of the latent's noise [m], decoders [k, m]."""

    centre: np.ndarray
    encoder: np.ndarray
    log_scale: np.ndarray
    decoders: np.ndarray

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Latent means [n, m] of features [n, d]."""
        return np.asarray((x - self.centre) @ self.encoder.T)


def fit_bottleneck(
    x: np.ndarray, pairs: Pairs, *, latent: int = 4, heads: int = 5, beta: float = 0.01, rng: np.random.Generator
) -> Bottleneck:
    """Fit on features [n, d] in standard units; `beta` is the price of a nat. Raises TrainingError like `fit_head`."""
    check_fit(x, pairs)
    centre = x.mean(0)
    drawn = rng.multinomial(len(pairs.chosen), pairs.weight / pairs.weight.sum(), size=heads) / len(pairs.chosen)
    encoder = rng.normal(size=(latent, x.shape[1])) / np.sqrt(x.shape[1])
    start = np.concatenate([encoder.ravel(), np.zeros(latent), rng.normal(size=heads * latent)])
    solved = minimize(  # type: ignore[call-overload]  # the stubs do not know jac=True with a pair
        lambda flat: objective(flat, x - centre, pairs, drawn, beta=beta),
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_STEPS},
    )
    encoder, log_scale, decoders = _split(solved.x, x.shape[1], heads)
    return Bottleneck(centre, encoder, log_scale, decoders)


def objective(
    flat: np.ndarray, x: np.ndarray, pairs: Pairs, drawn: np.ndarray, *, beta: float
) -> tuple[float, np.ndarray]:
    """The objective and its gradient; `drawn` [k, pairs] are the decoders' weights of the pairs, each row summing to 1.

    `flat` is encoder, log s.d. and decoders in a row; x [n, d] is centred.
    """
    encoder, rho, decoders = _split(flat, x.shape[1], len(drawn))
    variance = np.exp(2 * rho)
    apart = x[pairs.chosen] - x[pairs.rejected]
    moved = apart @ encoder.T
    noise = np.sqrt(2 * decoders**2 @ variance)
    margin = (decoders @ moved.T)[:, :, None] + noise[:, None, None] * NODES
    p = pairs.probability[None, :, None]
    share = drawn[:, :, None] * WEIGHTS / len(drawn)
    likelihood = np.sum(share * (p * np.logaddexp(0, -margin) + (1 - p) * np.logaddexp(0, margin)))
    slope = share * (expit(margin) - p)
    by_margin, by_noise = slope.sum(2), (slope * NODES).sum((1, 2))
    gram = x.T @ x / len(x)
    kl = (np.sum((encoder @ gram) * encoder) + np.sum(variance - 1 - 2 * rho)) / 2
    pull = by_noise / np.maximum(noise, 1e-12) * 2
    gradient = [
        decoders.T @ by_margin @ apart + beta * encoder @ gram,
        (pull @ decoders**2) * variance + beta * (variance - 1),
        by_margin @ moved + pull[:, None] * decoders * variance,
    ]
    return float(likelihood + beta * kl), np.concatenate([part.ravel() for part in gradient])


def _split(flat: np.ndarray, d: int, heads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    latent = len(flat) // (d + 1 + heads)
    encoder, rho, decoders = np.split(flat, [latent * d, latent * (d + 1)])
    return encoder.reshape(latent, d), rho, decoders.reshape(heads, latent)
