"""Log-probabilities: scores completions token by token under a model and its reference.

Completions are packed behind their prompts where the model can be (`packing`), padded otherwise. The head runs only at
positions that predict a completion token, in chunks, and no [tokens, vocabulary] tensor outlives its chunk, in the
gradient's pass as little as in the first.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from assay.lm.batching import by_length
from assay.lm.chat import EncodedPair
from assay.lm.loading import LanguageModel
from assay.lm.packing import Packed, can_pack, completion_rows, pack, packed_states, packs

HEAD_CHUNK = 256
Body = Callable[[Sequence[EncodedPair], Packed], torch.Tensor]
"""Takes pairs and their packing, gives the states [tokens, width] behind the final norm."""


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
    return Padded(ids, mask, torch.tensor(positions).reshape(-1, 2), torch.tensor(targets, dtype=torch.long))


def token_logprobs(lm: LanguageModel, pairs: Sequence[EncodedPair], *, body: Body | None = None) -> torch.Tensor:
    """Log-probability [tokens] of each completion token, pair by pair, in float32, with gradient where there is any.

    `body` stands in for the model's own pass over a packing.
    """
    if not can_pack(lm):
        return padded_logprobs(lm, pad(pairs, lm.pad_id))
    packed = pack(pairs)
    states = packed_states(lm, packed) if body is None else body(pairs, packed)
    return head_logprobs(lm.causal.lm_head, states[packed.states], packed.targets)


def padded_logprobs(lm: LanguageModel, rows: Padded) -> torch.Tensor:
    """The same of rows laid out with padding: for models that cannot be packed, and for many very short rows."""
    states = lm.body(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).last_hidden_state
    return head_logprobs(lm.causal.lm_head, states[rows.positions[:, 0], rows.positions[:, 1]], rows.targets)


def token_states(lm: LanguageModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """States [tokens, width] behind the final norm that predict each completion token, pair by pair."""
    if can_pack(lm):
        packed = pack(pairs)
        return packed_states(lm, packed)[packed.states]
    rows = pad(pairs, lm.pad_id)
    states: torch.Tensor = lm.body(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).last_hidden_state
    return states[rows.positions[:, 0], rows.positions[:, 1]]


def token_logits(lm: LanguageModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """Logits [tokens, vocabulary], float32, that predict each completion token, pair by pair, with gradient if any.

    For losses that compare whole distributions. The table is held as a whole: hand in no more tokens than fit.
    """
    logits: torch.Tensor = lm.causal.lm_head(token_states(lm, pairs)).float()
    return logits


def sequence_logprobs(lm: LanguageModel, pairs: Sequence[EncodedPair], *, body: Body | None = None) -> torch.Tensor:
    """Sum [pairs] of the log-probabilities of each pair's completion; 0 for an empty one."""
    return torch.zeros(len(pairs)).index_add(0, completion_rows(pairs), token_logprobs(lm, pairs, body=body))


def head_logprobs(head: torch.nn.Module, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-probability [tokens], float32, of the targets [tokens] that a head predicts from states [tokens, width].

    A frozen linear head leaves its gradient ready-made behind: d log p_t / d state = W_target - softmax(logits) W takes
    one product more in the same chunk, where recomputing the logits later would take two. A head in training gets its
    logits computed again.
    """
    if not len(targets):
        return states.new_zeros(0, dtype=torch.float32)
    is_frozen = isinstance(head, torch.nn.Linear) and not any(p.requires_grad for p in head.parameters())
    if torch.is_grad_enabled() and not is_frozen:
        chunks = zip(states.split(HEAD_CHUNK), targets.split(HEAD_CHUNK), strict=True)
        return torch.cat([checkpoint(_chunk_logprobs, head, *chunk, use_reentrant=False) for chunk in chunks])
    logprobs: torch.Tensor = _FrozenHead.apply(states, head, targets)
    return logprobs


def _chunk_logprobs(head: torch.nn.Module, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return -cross_entropy(head(states).float(), targets, reduction="none")


class _FrozenHead(torch.autograd.Function):
    """Log-probabilities under a frozen linear head; a state's gradient is kept [tokens, width], its logits are not."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor) -> torch.Tensor:
        logprobs, wanted = [], ctx.needs_input_grad[0]
        slopes = torch.empty_like(states) if wanted else states.new_empty(0)
        for start in range(0, len(states), HEAD_CHUNK):
            chunk = slice(start, start + HEAD_CHUNK)
            logits, target = head(states[chunk]).float(), targets[chunk, None]
            norm = logits.logsumexp(1, keepdim=True)
            logprobs.append((logits.gather(1, target) - norm)[:, 0])
            if wanted:
                chances = logits.sub_(norm).exp_().to(states.dtype)
                slopes[chunk] = head.weight[target[:, 0]] - chances @ head.weight
        ctx.save_for_backward(slopes)
        return torch.cat(logprobs)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (upstream[0][:, None] * slopes).to(slopes.dtype), None, None


@torch.no_grad()
def completion_logprobs(
    lm: LanguageModel, pairs: Sequence[EncodedPair], *, batch_tokens: int = 4096, body: Body | None = None
) -> list[np.ndarray]:
    """Log-probabilities [completion tokens] of each pair, in the order given."""
    result: list[np.ndarray] = [np.zeros(0)] * len(pairs)
    for batch in _batches(lm, pairs, batch_tokens):
        flat = token_logprobs(lm, [pairs[i] for i in batch], body=body).numpy()
        sizes = np.cumsum([len(pairs[i].completion) for i in batch])[:-1]
        for i, part in zip(batch, np.split(flat, sizes), strict=True):
            result[i] = part
    return result


def _batches(lm: LanguageModel, pairs: Sequence[EncodedPair], max_tokens: int) -> Iterator[list[int]]:
    if can_pack(lm):
        return packs(pairs, max_tokens=max_tokens)
    return by_length([pair.length for pair in pairs], max_rows=64, max_tokens=max_tokens)


@torch.no_grad()
def kl_to_reference(logprobs: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """Monte Carlo estimate of KL(policy || reference) in nats a completion, from samples of the policy.

    Mean over completions of the sum of log-ratios (k1, unbiased; Schulman, "Approximating KL divergence", 2020).
    """
    ratios = [float(np.sum(policy - ref)) for policy, ref in zip(logprobs, reference, strict=True)]
    return float(np.mean(ratios))
