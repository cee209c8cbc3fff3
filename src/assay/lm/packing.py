"""Packing: lays completions out behind one copy of their prompt, with no padding, and runs a model over them.

Takes pairs of prompt and completion; those with the same prompt share it: each completion attends to the prompt and to
itself, never to its neighbours, and counts its positions from the prompt's end. Every state is that of the completion
alone behind its prompt; only rounding differs. Twice the completions cost less than twice the work.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from assay.lm.chat import EncodedPair
from assay.lm.loading import LanguageModel
from assay.lm.packed_attention import NAME, Piece, lay_piece

FAMILIES = ("llama", "qwen2", "qwen3")
"""Model types that tell no layer types, and attend to the whole sequence unless they name a window."""


class Packed(NamedTuple):
    """Pairs as one row: ids and positions [tokens], and where each pair's tokens are found in it.

    `states` [scored] are the places that predict a completion's token and `targets` [scored] those tokens, pair by
    pair; `row` [scored] says which pair; `last` [pairs] is the place of each pair's last token.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    pieces: tuple[Piece, ...]
    states: torch.Tensor
    targets: torch.Tensor
    row: torch.Tensor
    last: torch.Tensor


def pack(pairs: Sequence[EncodedPair]) -> Packed:
    """Lay pairs out, those of one prompt behind one copy of it; the order of the pairs is kept in what is scored."""
    ids: list[int] = []
    positions: list[int] = []
    pieces: list[Piece] = []
    states: list[list[int]] = [[] for _ in pairs]
    last = [0] * len(pairs)
    for members in by_prompt(pairs):
        prompt = pairs[members[0]].prompt
        before, end = len(ids) + len(prompt) - 1, len(prompt)
        ids += prompt
        positions += range(end)
        pieces.append(lay_piece(end, [len(pairs[i].completion) for i in members]))
        for i in members:
            start, completion = len(ids), pairs[i].completion
            ids += completion
            positions += range(end, end + len(completion))
            states[i] = [before, *range(start, len(ids) - 1)][: len(completion)]
            last[i] = len(ids) - 1 if completion else before
    return Packed(
        torch.tensor(ids),
        torch.tensor(positions),
        tuple(pieces),
        torch.tensor([place for one in states for place in one], dtype=torch.long),
        torch.tensor([token for pair in pairs for token in pair.completion], dtype=torch.long),
        completion_rows(pairs),
        torch.tensor(last),
    )


def completion_rows(pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """Whose token each is: the pair's number for every completion token [scored], pair by pair."""
    return torch.arange(len(pairs)).repeat_interleave(torch.tensor([len(pair.completion) for pair in pairs]))


def packs(pairs: Sequence[EncodedPair], *, max_tokens: int) -> Iterator[list[int]]:
    """Yield lists of pair numbers that come to at most `max_tokens` when packed, prompts kept together where it fits.

    A pair longer than that comes alone.
    """
    batch: list[int] = []
    tokens = 0
    for members in by_prompt(pairs):
        is_there = False
        for i in members:
            prompt, own = len(pairs[i].prompt), len(pairs[i].completion)
            added = own if is_there else own + prompt
            if batch and tokens + added > max_tokens:
                yield batch
                batch, tokens, added = [], 0, own + prompt
            batch.append(i)
            tokens, is_there = tokens + added, True
    if batch:
        yield batch


def can_pack(lm: LanguageModel) -> bool:
    """Whether every layer attends to the whole sequence by an attention that can be told who sees whom."""
    config = lm.causal.config
    if config._attn_implementation not in ("sdpa", NAME):
        return False
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return set(kinds) == {"full_attention"}
    return config.model_type in FAMILIES and getattr(config, "sliding_window", None) is None


def take_pieces(lm: LanguageModel) -> None:
    """Let the model's layers take `pieces`, which they would pass over in silence before."""
    # The name stays: without `pieces` this attention is sdpa to the letter, so nobody else's pass can be disturbed.
    lm.causal.config._attn_implementation = NAME


def packed_inputs(lm: LanguageModel, packed: Packed) -> dict[str, Any]:
    """What the body of a model takes for packed pairs. Needs `can_pack`."""
    take_pieces(lm)
    return {
        "input_ids": packed.ids[None],
        "position_ids": packed.positions[None],
        # A mask of four dimensions is taken as it is, so transformers builds none over all pairs of tokens.
        "attention_mask": torch.zeros(1, 1, 1, 1),
        "pieces": packed.pieces,
    }


def packed_states(lm: LanguageModel, packed: Packed) -> torch.Tensor:
    """States [tokens, width] behind the final norm, with gradient where the model has any. Needs `can_pack`."""
    states: torch.Tensor = lm.body(**packed_inputs(lm, packed), use_cache=False).last_hidden_state
    return states[0]


def by_prompt(pairs: Sequence[EncodedPair]) -> list[list[int]]:
    """Numbers of the pairs of each prompt, prompts in the order of their first pair."""
    found: dict[tuple[int, ...], list[int]] = {}
    for i, pair in enumerate(pairs):
        found.setdefault(tuple(pair.prompt), []).append(i)
    return list(found.values())
