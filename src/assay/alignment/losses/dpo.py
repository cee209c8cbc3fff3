"""DPO loss: Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7), with soft labels.

    z    = beta [ log pi(y+)/ref(y+) - log pi(y-)/ref(y-) ]
    loss = -p log s(z) - (1 - p) log s(-z)

`p` is the probability that the chosen completion is better: 1 gives DPO, 1 - eps gives cDPO (Mitchell 2023), and the
aggregation's own probability keeps what the annotators were unsure of.
"""

from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid


class DpoTerms(NamedTuple):
    """Per pair [pairs]: `loss`, and the implicit rewards of chosen and rejected (beta times the log-ratio)."""

    loss: torch.Tensor
    chosen_reward: torch.Tensor
    rejected_reward: torch.Tensor


def dpo_loss(
    policy_chosen: torch.Tensor,
    policy_rejected: torch.Tensor,
    ref_chosen: torch.Tensor,
    ref_rejected: torch.Tensor,
    *,
    beta: float,
    probability: torch.Tensor | None = None,
) -> DpoTerms:
    """DPO of summed completion log-probabilities, each [pairs]; `probability` [pairs] defaults to 1."""
    chosen = beta * (policy_chosen - ref_chosen)
    rejected = beta * (policy_rejected - ref_rejected)
    z = chosen - rejected
    p = torch.ones_like(z) if probability is None else probability
    return DpoTerms(-p * logsigmoid(z) - (1 - p) * logsigmoid(-z), chosen.detach(), rejected.detach())
