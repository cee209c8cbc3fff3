"""RLOO loss: REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv 2402.14740).

A whole completion is one action:

    w    = pi(y)/pi_old(y)        loss = mean over completions of -min(w A, clip(w) A)

At the first step after a draw w is 1 and its gradient is plain REINFORCE's. KL belongs in the reward here
(`estimators.penalised_rewards`).
"""

from assay.alignment.losses.trajectories import PolicyTerms, TokenBatch, clipped_surrogate


def rloo_loss(batch: TokenBatch, *, epsilon_low: float = 0.2, epsilon_high: float = 0.2) -> PolicyTerms:
    """RLOO of a batch; a completion's advantage is the mean of its tokens' `advantages`, which repeat it."""
    log_ratio = batch.sums(batch.logprobs - batch.old_logprobs)
    advantages = batch.sums(batch.advantages) / batch.lengths
    surrogate = clipped_surrogate(log_ratio, advantages, epsilon_low=epsilon_low, epsilon_high=epsilon_high)
    return PolicyTerms(surrogate.loss.mean(), surrogate.clip_low, surrogate.clip_high)
