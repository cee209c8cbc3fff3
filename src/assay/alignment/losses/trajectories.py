"""Trajectories: the typed batch that policy-gradient losses take, and the clipped surrogate that they share.

Tokens of all completions lie in one flat row, no padding; `row` says whose token each is.
"""

from typing import NamedTuple

import torch


class TokenBatch(NamedTuple):
    """Sampled tokens [tokens]: log-probabilities under the policy (with gradient), the policy that drew them, and ref.

    `advantages` [tokens] repeats a completion's advantage at each of its tokens where the method has one a completion.
    `ref_logprobs` may be None where no KL enters the loss.
    """

    logprobs: torch.Tensor
    old_logprobs: torch.Tensor
    advantages: torch.Tensor
    row: torch.Tensor
    ref_logprobs: torch.Tensor | None = None

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each completion [completions]."""
        return torch.bincount(self.row)

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over each completion's tokens [completions]."""
        return torch.zeros(len(self.lengths), dtype=values.dtype).index_add(0, self.row, values)


class PolicyTerms(NamedTuple):
    """The scalar `loss` with its gradient graph; shares of the batch that the clip held back, and the KL in the loss.

    `clip_low` counts ratios below the clip whose advantage is negative, `clip_high` those above with a positive one;
    `kl` is the mean of the loss's own estimator a token, 0 where no KL enters.
    """

    loss: torch.Tensor
    clip_low: float
    clip_high: float
    kl: float = 0.0


class Surrogate(NamedTuple):
    """Loss of each token or completion, and the shares that were clipped."""

    loss: torch.Tensor
    clip_low: float
    clip_high: float


def clipped_surrogate(
    log_ratio: torch.Tensor, advantages: torch.Tensor, *, epsilon_low: float, epsilon_high: float
) -> Surrogate:
    """-min(w A, clip(w, 1 - eps_low, 1 + eps_high) A) with w = pi/pi_old.

    Schulman et al. 2017, arXiv 1707.06347, equation 7. Different bounds above and below are DAPO's clip-higher (Yu et
    al. 2025, arXiv 2503.14476).
    """
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - epsilon_low, 1 + epsilon_high)
    loss = -torch.minimum(ratio * advantages, clipped * advantages)
    low = (ratio < 1 - epsilon_low) & (advantages < 0)
    high = (ratio > 1 + epsilon_high) & (advantages > 0)
    return Surrogate(loss, float(low.float().mean()), float(high.float().mean()))
