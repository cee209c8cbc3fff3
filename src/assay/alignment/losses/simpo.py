"""SimPO loss: Simple Preference Optimization (Meng et al. 2024, arXiv 2405.14734, equation 6).

    z    = beta [ mean_t log pi(y+) - mean_t log pi(y-) ] - gamma - margin
    loss = -p log s(z) - (1 - p) log s(-z)

Needs no reference, so nothing but `gamma`'s finite target and the step size holds the policy back: watch its KL.
"""

from assay.alignment.losses.pairs import Pairs, PairTerms, logistic_terms


def simpo_loss(pairs: Pairs, *, beta: float, gamma: float) -> PairTerms:
    """SimPO of each pair; `gamma` is the margin in logits by which every pair should be won."""
    chosen = beta * pairs.chosen / pairs.chosen_tokens
    rejected = beta * pairs.rejected / pairs.rejected_tokens
    margin = gamma if pairs.margin is None else gamma + pairs.margin
    return logistic_terms(chosen, rejected, probability=pairs.probability, margin=margin)
