"""Shared prompt: both completions of a pair behind one copy of their prompt, so that the prompt is computed once.

A row is prompt, chosen, rejected; the mask keeps the rejected from seeing the chosen and both count their positions
from the prompt's end, so each last state is that of its own sequence. Models whose layers do not all attend to the
whole sequence (sliding windows, recurrence) get two plain rows a pair instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from assay.lm import LanguageModel
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import pad


class EncodedChoice(NamedTuple):
    """Ids of a prompt and of its two completions."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def tokens(self) -> int:
        """Tokens of the row with one copy of the prompt."""
        return len(self.prompt) + len(self.chosen) + len(self.rejected)


def can_share(lm: LanguageModel) -> bool:
    """Whether every layer attends to the whole sequence, so that a mask alone decides who sees whom."""
    config = lm.causal.config
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return set(kinds) == {"full_attention"}
    return config.model_type in ("llama", "qwen2", "qwen3") and getattr(config, "sliding_window", None) is None


def choice_states(lm: LanguageModel, choices: Sequence[EncodedChoice]) -> torch.Tensor:
    """Last states float32 [2, pairs, width] of chosen and rejected, with gradient where the model has any."""
    if not can_share(lm):
        rows = [EncodedPair(c.prompt, c.chosen) for c in choices] + [EncodedPair(c.prompt, c.rejected) for c in choices]
        return last_states(lm, rows).unflatten(0, (2, len(choices)))
    width = max(choice.tokens for choice in choices)
    ids = torch.full((len(choices), width), lm.pad_id)
    positions = torch.zeros((len(choices), width), dtype=torch.long)
    place = torch.arange(width)
    sees = (place[:, None] >= place).repeat(len(choices), 1, 1)
    ends = torch.zeros((2, len(choices)), dtype=torch.long)
    for row, (prompt, chosen, rejected) in enumerate(choices):
        start, middle = len(prompt), len(prompt) + len(chosen)
        end = middle + len(rejected)
        ids[row, :end] = torch.tensor([*prompt, *chosen, *rejected])
        positions[row, :middle] = place[:middle]
        positions[row, middle:end] = place[start : start + len(rejected)]
        sees[row, middle:, start:middle] = False
        ends[:, row] = torch.tensor([middle - 1, end - 1])
    dtype = lm.body.get_input_embeddings().weight.dtype
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)[:, None]
    states = lm.body(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).last_hidden_state
    return states[torch.arange(len(choices)), ends].float()


def last_states(lm: LanguageModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """Last states float32 [rows, width] behind the final norm, with gradient where the model has any."""
    rows = pad(pairs, lm.pad_id)
    states = lm.body(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).last_hidden_state
    return states[torch.arange(len(pairs)), rows.mask.sum(1) - 1].float()
