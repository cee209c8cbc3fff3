"""Reference: what the reference says of completions, computed once and kept by content.

The key is the base model, the reference's adapter and the token ids, so another run finds the numbers if and only if it
would compute the same ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from assay.alignment.distributed import ALONE, Group
from assay.lm import LanguageModel, completion_logprobs, using_adapter
from assay.lm.adapters import adapter_id
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import Body
from assay.lm.packing import packs
from assay.records.record import digest
from assay.storage.artifacts import write_atomically

SHARED_BATCH_TOKENS = 1024


def reference_sums(
    lm: LanguageModel,
    pairs: Sequence[EncodedPair],
    adapter: str | None,
    *,
    cache: Path | None = None,
    body: Body | None = None,
    group: Group = ALONE,
) -> torch.Tensor:
    """Log-probability sums [pairs] in nats under an adapter (None is the base); read from `cache` where they are there.

    The processes of `group` share the pairs out. Raises StorageError when the cache (a directory) cannot be written.
    """
    path = None if cache is None else cache / f"{_key(lm, pairs, adapter)}.safetensors"
    if path is not None:
        found = group.from_leader(lambda: load_file(path)["sums"] if path.exists() else None)
        if found is not None:
            return found
    with using_adapter(lm, adapter):
        sums = _sums(lm, pairs, body) if group.size == 1 else _shared_sums(lm, pairs, body, group)
    if path is not None and group.is_leader:
        write_atomically(path, save({"sums": sums}))
    return sums


def _sums(lm: LanguageModel, pairs: Sequence[EncodedPair], body: Body | None) -> torch.Tensor:
    return torch.tensor([float(np.sum(part)) for part in completion_logprobs(lm, pairs, body=body)])


def _shared_sums(lm: LanguageModel, pairs: Sequence[EncodedPair], body: Body | None, group: Group) -> torch.Tensor:
    """The same, each process one pass over each of its batches."""
    batches = list(packs(pairs, max_tokens=SHARED_BATCH_TOKENS))
    tokens = [sum(pairs[i].length for i in batch) for batch in batches]
    sums = torch.zeros(len(pairs))
    for part in group.parts(tokens, max_tokens=1):
        for batch in (batches[k] for k in part.rows):
            found = _sums(lm, [pairs[i] for i in batch], body)
            if part.counts:
                sums[batch] = found
    return group.total(sums)


def _key(lm: LanguageModel, pairs: Sequence[EncodedPair], adapter: str | None) -> str:
    reference = None if adapter is None else adapter_id(lm, adapter)
    return digest({"model": lm.id, "reference": reference, "pairs": [list(pair) for pair in pairs]})
