"""REINFORCE++ loss: the clipped surrogate as a mean over all tokens of the batch (Hu et al. 2025, arXiv 2501.03262).

    loss = mean over tokens of -min(w_t A_t, clip(w_t) A_t)

What makes it REINFORCE++ is A_t: reward less the KL still to come, normalised over the whole batch instead of a
prompt's group (`estimators.reinforce_advantages`). There is no critic.
"""

from assay.alignment.losses.trajectories import PolicyTerms, TokenBatch, clipped_surrogate


def reinforce_loss(batch: TokenBatch, *, epsilon_low: float = 0.2, epsilon_high: float = 0.2) -> PolicyTerms:
    """REINFORCE++ of a batch."""
    log_ratio = batch.logprobs - batch.old_logprobs
    surrogate = clipped_surrogate(log_ratio, batch.advantages, epsilon_low=epsilon_low, epsilon_high=epsilon_high)
    return PolicyTerms(surrogate.loss.mean(), surrogate.clip_low, surrogate.clip_high)
