"""IPO loss: Identity Preference Optimization (Azar et al. 2023, arXiv 2310.12036, equation 17), a mean a token.

    h    = mean_t log pi(y+)/ref(y+) - mean_t log pi(y-)/ref(y-)
    loss = p (h - 1 / (2 beta))^2 + (1 - p) (h + 1 / (2 beta))^2

It pulls the gap to a finite target, so certain labels do not drive it to infinity. Log-ratios are means over a
completion's tokens, as the authors' own experiments and TRL have it; `beta` is their tau.
"""

from assay.alignment.losses.pairs import Pairs, PairTerms, either_order


def ipo_loss(pairs: Pairs, *, beta: float) -> PairTerms:
    """IPO of each pair."""
    chosen = pairs.chosen_log_ratio / pairs.chosen_tokens
    rejected = pairs.rejected_log_ratio / pairs.rejected_tokens
    gap, target = chosen - rejected, 1 / (2 * beta)
    loss = either_order((gap - target) ** 2, (gap + target) ** 2, pairs.probability)
    return PairTerms(loss, (beta * chosen).detach(), (beta * rejected).detach())
