"""CPO's preference term: Contrastive Preference Optimization (Xu et al. 2024, arXiv 2401.08417, equation 3).

    z    = beta [ log pi(y+) - log pi(y-) ] - margin
    loss = -p log s(z) - (1 - p) log s(-z)

DPO with a uniform reference. CPO itself adds the negative log-likelihood of the chosen completion: `chosen_nll` with
weight 1, which keeps the policy where the data is.
"""

from assay.alignment.losses.pairs import Pairs, PairTerms, logistic_terms


def cpo_loss(pairs: Pairs, *, beta: float) -> PairTerms:
    """CPO's contrastive term of each pair."""
    chosen, rejected = beta * pairs.chosen, beta * pairs.rejected
    return logistic_terms(chosen, rejected, probability=pairs.probability, margin=pairs.margin)
