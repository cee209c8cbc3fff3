"""PPO loss: the clipped surrogate with a clipped value loss (Schulman et al. 2017, arXiv 1707.06347, eqs. 7 and 9).

    policy = mean over tokens of -min(w_t A_t, clip(w_t) A_t)
    value  = 1/2 mean over tokens of max( (V - R)^2, (clip(V, V_old - c, V_old + c) - R)^2 )
    loss   = policy + vf_coef value

A_t and the returns R come from `estimators.gae`. The value clip is not in the paper but in the code it came with.
"""

from typing import NamedTuple

import torch

from assay.alignment.losses.trajectories import TokenBatch, clipped_surrogate


class Values(NamedTuple):
    """The critic's word on each token [tokens]: now (with gradient), at the time of the draw, and the return."""

    now: torch.Tensor
    old: torch.Tensor
    returns: torch.Tensor


class PpoTerms(NamedTuple):
    """The scalar `loss`, its two parts without gradient, and the shares that the clips held back."""

    loss: torch.Tensor
    policy_loss: float
    value_loss: float
    clip_low: float
    clip_high: float
    value_clip: float


def ppo_loss(
    batch: TokenBatch,
    values: Values,
    *,
    epsilon_low: float = 0.2,
    epsilon_high: float = 0.2,
    value_clip: float = 0.2,
    vf_coef: float = 0.1,
) -> PpoTerms:
    """PPO of a batch of tokens and the critic's values of the same tokens."""
    log_ratio = batch.logprobs - batch.old_logprobs
    surrogate = clipped_surrogate(log_ratio, batch.advantages, epsilon_low=epsilon_low, epsilon_high=epsilon_high)
    policy = surrogate.loss.mean()
    near = values.old + (values.now - values.old).clamp(-value_clip, value_clip)
    error, near_error = (values.now - values.returns) ** 2, (near - values.returns) ** 2
    value = torch.maximum(error, near_error).mean() / 2
    held = float((near_error > error).float().mean())
    loss = policy + vf_coef * value
    return PpoTerms(loss, float(policy.detach()), float(value.detach()), surrogate.clip_low, surrogate.clip_high, held)
