"""Best-of-n estimator: the expected score of the best of n samples by a reward, for every n, from one set of N samples.

Sort the N candidates of a prompt by reward; the i-th smallest is the best of a random n-subset with probability
C(i-1, n-1) / C(N, n) (unbiased; Nakano et al. 2021, Coste et al. 2023). The same weights apply to any
other score of the candidates, gold among them. Computed in log-gamma form, with no resampling noise.
"""

import numpy as np
from scipy.special import gammaln


def best_of_n_weights(rewards: np.ndarray, n: int) -> np.ndarray:
    """Probability [prompts, N] that each candidate is the best of n, by rewards [prompts, N]; equals share it."""
    candidates = rewards.shape[1]
    if not 1 <= n <= candidates:
        raise ValueError(f"expected n from 1 to {candidates}, the number of candidates; got {n}")
    rank = np.arange(1, candidates + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ways = gammaln(rank) - gammaln(n) - gammaln(np.maximum(rank - n + 1, 1))
    log_total = gammaln(candidates + 1) - gammaln(n + 1) - gammaln(candidates - n + 1)
    by_rank = np.where(rank >= n, np.exp(log_ways - log_total), 0.0)
    weights = np.empty_like(rewards, dtype=np.float64)
    for row, values in enumerate(rewards):
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        sizes = np.diff(np.r_[starts, candidates])
        shared = np.repeat(np.add.reduceat(by_rank, starts) / sizes, sizes)
        weights[row, order] = shared
    return weights


def best_of_n_kl(n: int) -> float:
    """KL in nats of best-of-n to its base: ln n - (n - 1)/n; an upper bound where ties have mass (Gao et al. 2022)."""
    return float(np.log(n) - (n - 1) / n)
