"""Best-of-Poisson: best of n completions where n itself is drawn, 1 + Poisson(mu), so the knob is a smooth number.

Khalaf et al. 2025 (arXiv 2506.19248). With t the share of the base that a candidate's reward reaches, the best of n has
t^n below it; over n that is

    F(t) = t exp(mu (t - 1)),        KL = ln(1 + mu) - 1 + integral_0^1 exp(mu (t - 1)) / (1 + mu t) dt

and candidates of equal reward share what falls to them. The paper finds it close to the KL-regularised optimum, with no
rewards beyond their order. Draws come from the N candidates with replacement: the weights are exact for a base
that is uniform over them, for any mu; mu to 0 is the base, mu to infinity best-of-N.

Catches: nothing by itself; `hedging` chooses mu so that it stops before the reward's errors win.
"""

import numpy as np
from scipy.integrate import quad
from scipy.stats import rankdata

from assay.rewards.inference_time.selection import as_rewards, require_knob


def best_of_poisson_weights(rewards: np.ndarray, mu: float) -> np.ndarray:
    """Selection weights [prompts, N] of rewards [prompts, N] for mean mu >= 0 of the draws beyond the first."""
    require_knob("mu", mu, least=0)
    values = as_rewards(rewards)
    upper = rankdata(values, method="max", axis=1)
    lower = rankdata(values, method="min", axis=1) - 1
    mass = share_below(upper / values.shape[1], mu) - share_below(lower / values.shape[1], mu)
    return np.asarray(mass / (upper - lower))


def share_below(t: np.ndarray, mu: float) -> np.ndarray:
    """F(t): the chance that the chosen one lies in the lowest share t of the base; for t in [0, 1]."""
    return np.asarray(t * np.exp(mu * (t - 1)))


def best_of_poisson_kl(mu: float) -> float:
    """KL in nats to a base without ties, as the formula above; an upper bound where ties have mass."""
    require_knob("mu", mu, least=0)
    if mu == 0:
        return 0.0
    # With u = mu (1 - t) the integrand falls as exp(-u): what lies beyond 50 is below rounding.
    value, _ = quad(lambda u: np.exp(-u) / (1 + mu - u), 0, min(mu, 50.0))
    return float(np.log1p(mu) - 1 + value / mu)
