"""SFT loss: negative log-likelihood of demonstrations, on the completion's tokens only."""

import torch


def sft_loss(token_logprobs: torch.Tensor) -> torch.Tensor:
    """Mean negative log-probability in nats a token; `token_logprobs` [tokens] of a batch, so long answers weigh more.

    This is the maximum-likelihood weighting: each token counts once, whichever batch it stands in.
    """
    return -token_logprobs.mean()
