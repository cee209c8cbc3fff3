"""Pairs: the typed batch that preference losses take, what they yield, and the logistic loss in which most end."""

from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid


class Pairs(NamedTuple):
    """A batch of preferences as log-probabilities in nats, each [pairs], summed over a completion's tokens.

    `probability` is the chance that `chosen` is the better one, `margin` by how many logits it should win at least.
    `kl_baseline` (a scalar) is for KTO alone: the mean log-ratio of completions of other prompts.
    """

    chosen: torch.Tensor
    rejected: torch.Tensor
    ref_chosen: torch.Tensor
    ref_rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor
    probability: torch.Tensor
    margin: torch.Tensor | None = None
    kl_baseline: torch.Tensor | None = None

    @property
    def chosen_log_ratio(self) -> torch.Tensor:
        """log pi/ref of the chosen completions."""
        return self.chosen - self.ref_chosen

    @property
    def rejected_log_ratio(self) -> torch.Tensor:
        """log pi/ref of the rejected completions."""
        return self.rejected - self.ref_rejected


class PairTerms(NamedTuple):
    """Per pair [pairs]: `loss`, and the implicit rewards of chosen and rejected, without gradient."""

    loss: torch.Tensor
    chosen_reward: torch.Tensor
    rejected_reward: torch.Tensor


def logistic_terms(
    chosen: torch.Tensor, rejected: torch.Tensor, *, probability: torch.Tensor, margin: torch.Tensor | float | None
) -> PairTerms:
    """-p log s(z) - (1 - p) log s(-z) at z = chosen - rejected - margin, of rewards in logits, each [pairs]."""
    z = chosen - rejected if margin is None else chosen - rejected - margin
    loss = -probability * logsigmoid(z) - (1 - probability) * logsigmoid(-z)
    return PairTerms(loss, chosen.detach(), rejected.detach())


def either_order(if_better: torch.Tensor, if_worse: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
    """Expected loss where `chosen` is better with a probability: the loss of the pair, and of the pair turned round."""
    return probability * if_better + (1 - probability) * if_worse
