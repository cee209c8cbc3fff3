"""Label smoothing: what a share eps of turned labels does to a label, in both directions.

    cDPO      p' = (1 - eps) p + eps (1 - p)     the label is softened; the loss has its least at a finite z
    robust    p' = (p - eps) / (1 - 2 eps)       the softening is taken back; the loss is unbiased for clean labels

cDPO: Mitchell 2023, "A note on DPO with noisy preferences". Robust DPO: Chowdhury et al. 2024, arXiv 2403.00409:
[(1 - eps) l(z) - eps l(-z)] / (1 - 2 eps). Both are DPO at p', for the loss is linear in its label, and
`robust(conservative(p)) = p`.
"""

import torch


def conservative(probability: torch.Tensor, eps: float) -> torch.Tensor:
    """Labels as they look after a share `eps` in [0, 0.5) was turned round."""
    return probability if eps == 0 else (1 - eps) * probability + eps * (1 - probability)


def robust(probability: torch.Tensor, eps: float) -> torch.Tensor:
    """Labels whose expectation over such turning is the clean label; they may lie outside [0, 1]."""
    return probability if eps == 0 else (probability - eps) / (1 - 2 * eps)
