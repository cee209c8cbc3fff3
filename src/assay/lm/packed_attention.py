"""Packed attention: attention over a row in which several completions stand behind each of several prompts.

Piece by piece, because on a processor the square of the whole row costs more than all pieces' own squares together.
transformers finds it by a name; without pieces it is `sdpa` to the letter, so a model may keep it for good.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "assay_packed"
"""transformers' name for it."""


class Piece(NamedTuple):
    """A prompt and the completions behind it, in tokens.

    `masks` [own, prompt + own], one for each completion but the first, are added to the scores: 0 where a token may
    look, minus infinity where it may not. The first follows its prompt directly and needs none.
    """

    prompt: int
    completions: tuple[int, ...]
    masks: tuple[torch.Tensor, ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of the prompt and of each completion, as they stand in the row."""
        return self.prompt, *self.completions


def lay_piece(prompt: int, completions: Sequence[int]) -> Piece:
    """A piece with its masks: each completion sees its prompt and, causally, itself."""
    masks = (torch.full((own, prompt + own), -torch.inf).triu(prompt + 1) for own in completions[1:])
    return Piece(prompt, tuple(completions), tuple(masks))


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    pieces: Sequence[Piece] | None = None,
    **others: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention [1, tokens, heads, width] of query [1, heads, tokens, width]; keys and values may have fewer heads."""
    if pieces is None:
        plain = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
        return plain[0], plain[1]
    lengths = [length for piece in pieces for length in piece.lengths]
    # A split's gradient is one concatenation; that of as many slices would be as many whole rows of zeros.
    parts = iter(list(zip(*(tensor.split(lengths, 2) for tensor in (query, key, value)), strict=True)))
    seen = [part for piece in pieces for part in _attend(piece, parts, scaling)]
    return torch.cat(seen, 2).transpose(1, 2), None


def _attend(piece: Piece, parts: Iterator[tuple[torch.Tensor, ...]], scaling: float | None) -> Iterator[torch.Tensor]:
    """What the prompt with its first completion sees, then what each further completion sees."""
    prompt, first = next(parts), next(parts)
    query, key, value = (torch.cat(both, 2) for both in zip(prompt, first, strict=True))
    yield scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
    for mask in piece.masks:
        query, *own = next(parts)
        key, value = (torch.cat(both, 2) for both in zip(prompt[1:], own, strict=True))
        mask = mask.to(query.dtype)
        yield scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling, enable_gqa=True)


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
