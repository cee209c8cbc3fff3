"""Log-probabilities: scores completions token by token under a model and its reference.

The head runs only at positions that predict a completion token, in chunks, so that no [tokens, vocabulary] tensor
outlives its chunk.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from assay.lm.batching import by_length
from assay.lm.chat import EncodedPair
from assay.lm.loading import LanguageModel

HEAD_CHUNK = 512


class Padded(NamedTuple):
    """Right-padded rows: ids [rows, length], mask [rows, length], and where completions are predicted.

    `positions` [tokens, 2] holds (row, column) of each state that predicts a completion token, `targets` [tokens] that
    token, both row by row.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor


def pad(pairs: Sequence[EncodedPair], pad_id: int) -> Padded:
    """Lay pairs out as right-padded rows."""
    width = max(len(pair.prompt) + len(pair.completion) for pair in pairs)
    ids = torch.full((len(pairs), width), pad_id)
    mask = torch.zeros((len(pairs), width), dtype=torch.long)
    positions, targets = [], []
    for row, pair in enumerate(pairs):
        tokens = [*pair.prompt, *pair.completion]
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        start = len(pair.prompt) - 1
        positions += [(row, column) for column in range(start, start + len(pair.completion))]
        targets += pair.completion
    return Padded(ids, mask, torch.tensor(positions).reshape(-1, 2), torch.tensor(targets))


def token_logprobs(lm: LanguageModel, rows: Padded) -> torch.Tensor:
    """Log-probability [tokens] of each completion token, in float32, with gradient where the model has any."""
    states = lm.body(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).last_hidden_state
    picked = states[rows.positions[:, 0], rows.positions[:, 1]]
    head = lm.causal.lm_head
    chunks = [
        -cross_entropy(head(part).float(), target, reduction="none")
        for part, target in zip(picked.split(HEAD_CHUNK), rows.targets.split(HEAD_CHUNK), strict=True)
    ]
    return torch.cat(chunks)


def sequence_logprobs(lm: LanguageModel, rows: Padded) -> torch.Tensor:
    """Sum [rows] of the log-probabilities of each row's completion."""
    sums = torch.zeros(len(rows.ids))
    return sums.index_add(0, rows.positions[:, 0], token_logprobs(lm, rows))


@torch.no_grad()
def completion_logprobs(
    lm: LanguageModel, pairs: Sequence[EncodedPair], *, batch_tokens: int = 4096
) -> list[np.ndarray]:
    """Log-probabilities [completion tokens] of each pair, in the order given."""
    lengths = [len(pair.prompt) + len(pair.completion) for pair in pairs]
    result: list[np.ndarray] = [np.zeros(0)] * len(pairs)
    for batch in by_length(lengths, max_rows=64, max_tokens=batch_tokens):
        rows = pad([pairs[i] for i in batch], lm.pad_id)
        flat = token_logprobs(lm, rows).numpy()
        sizes = np.cumsum([len(pairs[i].completion) for i in batch])[:-1]
        for i, part in zip(batch, np.split(flat, sizes), strict=True):
            result[i] = part
    return result


@torch.no_grad()
def kl_to_reference(logprobs: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """Monte Carlo estimate of KL(policy || reference) in nats a completion, from samples of the policy.

    Mean over completions of the sum of log-ratios (k1, unbiased; Schulman, "Approximating KL divergence", 2020).
    """
    ratios = [float(np.sum(policy - ref)) for policy, ref in zip(logprobs, reference, strict=True)]
    return float(np.mean(ratios))
