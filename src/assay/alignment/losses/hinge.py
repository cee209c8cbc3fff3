"""Hinge loss: SLiC-HF's margin of one logit on DPO's reward (Zhao et al. 2023, arXiv 2305.10425).

    z    = beta [ log pi(y+)/ref(y+) - log pi(y-)/ref(y-) ] - margin
    loss = p max(0, 1 - z) + (1 - p) max(0, 1 + z)

Pairs that are won by more than the margin give no gradient.
"""

import torch

from assay.alignment.losses.pairs import Pairs, PairTerms, either_order


def hinge_loss(pairs: Pairs, *, beta: float) -> PairTerms:
    """Hinge loss of each pair."""
    chosen, rejected = beta * pairs.chosen_log_ratio, beta * pairs.rejected_log_ratio
    z = chosen - rejected if pairs.margin is None else chosen - rejected - pairs.margin
    loss = either_order(torch.relu(1 - z), torch.relu(1 + z), pairs.probability)
    return PairTerms(loss, chosen.detach(), rejected.detach())
