"""KTO loss: Kahneman-Tversky Optimization (Ethayarajh et al. 2024, arXiv 2402.01306, equations 7 and 8).

    r         = log pi(y)/ref(y)           b = max(0, mean log pi(y')/ref(y') of completions y' of other prompts)
    desired   = w_d [1 - s(beta (r - b))]
    undesired = w_u [1 - s(beta (b - r))]

A pair counts as one desired and one undesired completion, each for itself: what KTO learns from a preference does not
depend on the other completion. `b` carries no gradient. The loss of a pair is the mean of its two terms.
"""

import torch

from assay.alignment.losses.pairs import Pairs, PairTerms, either_order


def kto_loss(pairs: Pairs, *, beta: float, desirable_weight: float = 1.0, undesirable_weight: float = 1.0) -> PairTerms:
    """KTO of each pair, taken apart; without a `kl_baseline` the baseline is 0."""
    chosen, rejected = pairs.chosen_log_ratio, pairs.rejected_log_ratio
    baseline = torch.zeros(()) if pairs.kl_baseline is None else pairs.kl_baseline.detach().clamp(min=0)

    def term(ratio: torch.Tensor, is_desired: bool) -> torch.Tensor:
        sign, weight = (1, desirable_weight) if is_desired else (-1, undesirable_weight)
        return weight * torch.sigmoid(-sign * beta * (ratio - baseline))

    p = pairs.probability
    of_chosen = either_order(term(chosen, True), term(chosen, False), p)
    of_rejected = either_order(term(rejected, False), term(rejected, True), p)
    return PairTerms((of_chosen + of_rejected) / 2, (beta * chosen).detach(), (beta * rejected).detach())
