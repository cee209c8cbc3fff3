"""Chi-squared PO loss: DPO with the link of the chi-squared divergence (Huang et al. 2024, arXiv 2407.13399, alg. 1).

    phi(w) = w + log w    with w = pi(y)/ref(y)
    z      = clip( beta phi(w+) - beta phi(w-), -2 R, 2 R ) - margin
    loss   = -p log s(z) - (1 - p) log s(-z)

Where DPO's log lets a ratio grow for ever, the linear term makes a far departure from the reference expensive: the
policy is pessimistic where the data is thin. A pair beyond the clip gives no gradient, won or lost. `w` of a long
completion overflows, so log w enters the exponential between -88 and 20.
"""

import torch

from assay.alignment.losses.pairs import Pairs, PairTerms, logistic_terms

LOWEST_EXPONENT, HIGHEST_EXPONENT = -88.0, 20.0
"""Between these e^x and its gradient are finite and not zero in float32."""


def chipo_loss(pairs: Pairs, *, beta: float, reward_limit: float) -> PairTerms:
    """Chi-squared PO of each pair; `reward_limit` R in logits bounds what the data is believed to say of a pair."""
    chosen, rejected = beta * link(pairs.chosen_log_ratio), beta * link(pairs.rejected_log_ratio)
    gap = (chosen - rejected).clamp(-2 * reward_limit, 2 * reward_limit)
    terms = logistic_terms(gap, torch.zeros_like(gap), probability=pairs.probability, margin=pairs.margin)
    return PairTerms(terms.loss, chosen.detach(), rejected.detach())


def link(log_ratio: torch.Tensor) -> torch.Tensor:
    """phi = w + log w of log-ratios."""
    return log_ratio.clamp(LOWEST_EXPONENT, HIGHEST_EXPONENT).exp() + log_ratio
