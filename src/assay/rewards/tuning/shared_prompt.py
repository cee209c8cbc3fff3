"""Shared prompt: both completions of a pair behind one copy of their prompt, so that the prompt is computed once.

Models that cannot be packed (sliding windows, recurrence) get plain rows instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from assay.lm import LanguageModel
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import pad
from assay.lm.packing import can_pack, pack, packed_states


class EncodedChoice(NamedTuple):
    """Ids of a prompt and of its two completions."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def tokens(self) -> int:
        """Tokens of the row with one copy of the prompt."""
        return len(self.prompt) + len(self.chosen) + len(self.rejected)


def choice_states(lm: LanguageModel, choices: Sequence[EncodedChoice]) -> torch.Tensor:
    """Last states float32 [2, pairs, width] of chosen and rejected, with gradient where the model has any."""
    pairs = [EncodedPair(c.prompt, c.chosen) for c in choices] + [EncodedPair(c.prompt, c.rejected) for c in choices]
    return last_states(lm, pairs).unflatten(0, (2, len(choices)))


def last_states(lm: LanguageModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """Last states float32 [rows, width] behind the final norm, with gradient where the model has any."""
    if can_pack(lm):
        packed = pack(pairs)
        return packed_states(lm, packed)[packed.last].float()
    rows = pad(pairs, lm.pad_id)
    states = lm.body(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).last_hidden_state
    return states[torch.arange(len(pairs)), rows.mask.sum(1) - 1].float()
