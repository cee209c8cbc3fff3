"""SFT loss: negative log-likelihood of demonstrations or chosen completions, on the completion's tokens only."""

import torch

from assay.alignment.losses.pairs import Pairs


def sft_loss(token_logprobs: torch.Tensor) -> torch.Tensor:
    """Mean negative log-probability in nats a token; `token_logprobs` [tokens] of a batch, so long answers weigh more.

    This is the maximum-likelihood weighting: each token counts once, whichever batch it stands in.
    """
    return -token_logprobs.mean()


def chosen_nll(pairs: Pairs, weight: torch.Tensor, *, tokens: float | None = None) -> torch.Tensor:
    """The same of the chosen completions, each counted `weight` [pairs] times: the SFT term of RPO, CPO and ORPO.

    As a regulariser of DPO it is what keeps the policy from leaving the data for where the reward is only guessed
    (RPO: Liu et al. 2024, arXiv 2405.16436; a mean a token as in IRPO: Pang et al. 2024, arXiv 2404.19733). `tokens` is
    the weighted count to divide by where these pairs are a part of a step only.
    """
    return -(weight * pairs.chosen).sum() / ((weight * pairs.chosen_tokens).sum() if tokens is None else tokens)
