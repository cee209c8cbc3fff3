"""Lower states: what the layers below every adapter make of known texts, computed once and kept on disk.

Adapters in the upper layers leave the lower ones as they were, so their states are the same in every epoch, for the
policy and for its reference. They are kept under a size limit, first come first kept; the rest is computed anew each
time. The file is filled in one pass before it is read, so a run that goes on finds, or makes, the same bits.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from assay.lm.chat import EncodedPair
from assay.lm.hidden import layer_states
from assay.lm.loading import LanguageModel
from assay.lm.packing import FAMILIES, Packed, by_prompt, can_pack, pack, packed_inputs, packs, take_pieces
from assay.records.errors import StorageError, explain
from assay.records.record import digest

LIMIT_BYTES = 4 << 30
FILL_TOKENS = 2048


class _Text(NamedTuple):
    """A prompt (its `completion` empty) or a completion behind it, by hash: the unit that is kept."""

    prompt: bytes
    completion: bytes


class LowerStates:
    """Takes batches of pairs through the whole body, the lower layers read where they are kept.

    Called with pairs and their packing; gives the states [tokens, width] that `packed_states` gives.
    """

    def __init__(
        self,
        lm: LanguageModel,
        pairs: Sequence[EncodedPair],
        *,
        layers: int,
        directory: Path,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        """Fill the file for these pairs, or find it filled. Raises StorageError when the disk has no room for it."""
        self._lm, self._layers = lm, layers
        weight = lm.body.get_input_embeddings().weight
        self._width, dtype = int(lm.causal.config.hidden_size), weight.dtype
        room = limit_bytes // (self._width * weight.element_size())
        self._places = _places(pairs, room)
        tokens = sum(length for _, length in self._places.values())
        asked = [lm.id, layers, str(dtype), room, [list(pair) for pair in pairs]]
        path = directory / f"{digest(asked)}.states"
        if not path.exists():
            self._fill(path, pairs, tokens, dtype)
        self._kept = _opened(path, tokens, self._width, dtype)

    def __call__(self, pairs: Sequence[EncodedPair], packed: Packed) -> torch.Tensor:
        """States [tokens, width] behind the final norm, with gradient from the first layer that has any."""
        take_pieces(self._lm)
        with torch.no_grad():
            states = self._below(pairs, packed)
        body, states, positions = self._lm.body, states[None], packed.positions[None]
        angles = body.rotary_emb(states, position_ids=positions)
        for layer in body.layers[self._layers :]:
            states = layer(
                states, position_embeddings=angles, position_ids=positions, use_cache=False, pieces=packed.pieces
            )
        behind: torch.Tensor = body.norm(states)
        return behind[0]

    def _below(self, pairs: Sequence[EncodedPair], packed: Packed) -> torch.Tensor:
        """States [tokens, width] after the lower layers, in the order of the packing."""
        missing = [pair for pair in pairs if any(text not in self._places for text, _ in _texts(pair))]
        fresh = dict(self._computed(missing)) if missing else {}
        parts = []
        for members in by_prompt(pairs):
            (prompt, _), _ = _texts(pairs[members[0]])
            for text in (prompt, *(_texts(pairs[i])[1][0] for i in members)):
                parts.append(fresh[text] if text in fresh else self._read(text))
        return torch.cat(parts)

    def _read(self, text: _Text) -> torch.Tensor:
        start, length = self._places[text]
        return self._kept[start : start + length]

    def _computed(self, pairs: Sequence[EncodedPair]) -> Iterator[tuple[_Text, torch.Tensor]]:
        """The states of each prompt and completion, from one packed pass that ends below the adapters."""
        packed = pack(pairs)
        (states,) = layer_states(self._lm, [self._layers], **packed_inputs(self._lm, packed))
        lengths = [length for piece in packed.pieces for length in piece.lengths]
        parts = iter(states[0].split(lengths))
        for members in by_prompt(pairs):
            yield _texts(pairs[members[0]])[0][0], next(parts)
            for i in members:
                yield _texts(pairs[i])[1][0], next(parts)

    @torch.no_grad()
    def _fill(self, path: Path, pairs: Sequence[EncodedPair], tokens: int, dtype: torch.dtype) -> None:
        new = path.with_name(f".new-{path.name}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _reserve(new, max(1, tokens * self._width * dtype.itemsize))
            kept = _opened(new, tokens, self._width, dtype)
            wanted = [pair for pair in pairs if any(text in self._places for text, _ in _texts(pair))]
            for batch in packs(wanted, max_tokens=FILL_TOKENS):
                for text, states in self._computed([wanted[i] for i in batch]):
                    if text in self._places:
                        start, length = self._places[text]
                        kept[start : start + length] = states
            os.replace(new, path)
        except OSError as error:
            new.unlink(missing_ok=True)
            do = "free disk space, or keep fewer states"
            raise StorageError(explain(expected=f"to keep {tokens} states", got=str(error), do=do)) from error


def can_split(lm: LanguageModel) -> bool:
    """Whether the body is a plain stack of layers between embedding and norm, which can be entered half-way."""
    return can_pack(lm) and lm.causal.config.model_type in FAMILIES


def _texts(pair: EncodedPair) -> tuple[tuple[_Text, int], tuple[_Text, int]]:
    """The prompt and the completion as what is kept, with their tokens."""
    prompt, completion = (hashlib.sha256(str(ids).encode()).digest() for ids in pair)
    return (_Text(prompt, b""), len(pair.prompt)), (_Text(prompt, completion), len(pair.completion))


def _places(pairs: Sequence[EncodedPair], room: int) -> dict[_Text, tuple[int, int]]:
    """Where each text's states begin and how many they are; pairs of which not all would fit are left out whole."""
    places: dict[_Text, tuple[int, int]] = {}
    end = 0
    for pair in pairs:
        new = {text: length for text, length in _texts(pair) if text not in places}
        if end + sum(new.values()) > room:
            continue
        for text, length in new.items():
            places[text] = (end, length)
            end += length
    return places


def _reserve(path: Path, size: int) -> None:
    # Writing through a map to a full disk kills the process; asking for the room first fails in words.
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _opened(path: Path, tokens: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    if not tokens:
        return torch.empty(0, width, dtype=dtype)
    return torch.from_file(str(path), shared=True, size=tokens * width, dtype=dtype).view(tokens, width)
