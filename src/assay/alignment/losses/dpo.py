"""DPO loss: Direct Preference Optimization (Rafailov et al. 2023, arXiv 2305.18290, equation 7), with soft labels.

    z    = beta [ log pi(y+)/ref(y+) - log pi(y-)/ref(y-) ] - margin
    loss = -p log s(z) - (1 - p) log s(-z)

`p` is the probability that the chosen completion is better: 1 gives DPO, 1 - eps gives cDPO (`smoothing`), and the
aggregation's own probability keeps what the annotators were unsure of. `margin` is the offset of ODPO (Amini et al.
2024, arXiv 2402.10571): by how many logits the chosen one should win.
"""

import torch

from assay.alignment.losses.pairs import Pairs, PairTerms, logistic_terms


def dpo_loss(
    policy_chosen: torch.Tensor,
    policy_rejected: torch.Tensor,
    ref_chosen: torch.Tensor,
    ref_rejected: torch.Tensor,
    *,
    beta: float,
    probability: torch.Tensor | None = None,
    margin: torch.Tensor | None = None,
) -> PairTerms:
    """DPO of summed completion log-probabilities, each [pairs]; `probability` [pairs] defaults to 1, margin to 0."""
    chosen = beta * (policy_chosen - ref_chosen)
    rejected = beta * (policy_rejected - ref_rejected)
    p = torch.ones_like(chosen) if probability is None else probability
    return logistic_terms(chosen, rejected, probability=p, margin=margin)


def sigmoid_norm_loss(pairs: Pairs, *, beta: float) -> PairTerms:
    """DPO with each log-ratio divided by the completion's tokens, so that length alone earns nothing.

    The length-normalised DPO with which Meng et al. 2024 (arXiv 2405.14734) compare SimPO.
    """
    chosen = beta * pairs.chosen_log_ratio / pairs.chosen_tokens
    rejected = beta * pairs.rejected_log_ratio / pairs.rejected_tokens
    return logistic_terms(chosen, rejected, probability=pairs.probability, margin=pairs.margin)
