"""ORPO's preference term: the odds ratio of chosen and rejected (Hong et al. 2024, arXiv 2403.07691, equation 7).

    P    = exp(mean_t log pi(y))           log odds(y) = log P - log(1 - P)
    loss = beta [ -p log s(z) - (1 - p) log s(-z) ]    with z = log odds(y+) - log odds(y-)

Needs no reference. ORPO itself adds the negative log-likelihood of the chosen completion: `chosen_nll` with weight 1.
`beta` is their lambda.
"""

import torch

from assay.alignment.losses.pairs import Pairs, PairTerms, logistic_terms

LEAST = 1e-7
"""Distance of a mean token log-probability from 0 below which the odds would be infinite in float32."""


def orpo_loss(pairs: Pairs, *, beta: float) -> PairTerms:
    """The odds-ratio term of each pair."""
    chosen, rejected = pairs.chosen / pairs.chosen_tokens, pairs.rejected / pairs.rejected_tokens
    terms = logistic_terms(log_odds(chosen), log_odds(rejected), probability=pairs.probability, margin=pairs.margin)
    return PairTerms(beta * terms.loss, (beta * chosen).detach(), (beta * rejected).detach())


def log_odds(logprob: torch.Tensor) -> torch.Tensor:
    """log P - log(1 - P) of log-probabilities, finite also where P is 1 within float32."""
    safe = logprob.clamp(max=-LEAST)
    return safe - torch.log(-torch.expm1(safe))
