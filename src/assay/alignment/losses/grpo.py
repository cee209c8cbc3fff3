"""GRPO loss: the clipped surrogate a token, with KL in the loss (Shao et al. 2024, arXiv 2402.03300, eqs. 3 and 4).

    l_t  = -min(w_t A, clip(w_t) A) + kl_coef k(t)
    loss = sum over tokens of c_t l_t

The weights c_t decide how much a token of a long completion counts (`estimators.token_weights`); k is one of k1, k2, k3
(GRPO's own is k3).
"""

import torch

from assay.alignment.estimators import KlEstimator, kl_terms
from assay.alignment.losses.trajectories import PolicyTerms, TokenBatch, clipped_surrogate


def grpo_loss(
    batch: TokenBatch,
    weights: torch.Tensor,
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
    kl_coef: float = 0.0,
    kl_estimator: KlEstimator = "k3",
) -> PolicyTerms:
    """GRPO of a batch; `weights` [tokens] sum to at most 1."""
    log_ratio = batch.logprobs - batch.old_logprobs
    surrogate = clipped_surrogate(log_ratio, batch.advantages, epsilon_low=epsilon_low, epsilon_high=epsilon_high)
    if kl_coef == 0 or batch.ref_logprobs is None:
        return PolicyTerms((weights * surrogate.loss).sum(), surrogate.clip_low, surrogate.clip_high)
    kl = kl_terms(batch.logprobs, batch.ref_logprobs, kl_estimator)
    loss = (weights * (surrogate.loss + kl_coef * kl)).sum()
    return PolicyTerms(loss, surrogate.clip_low, surrogate.clip_high, float(kl.detach().mean()))
