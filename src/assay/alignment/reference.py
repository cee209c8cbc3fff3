"""Reference: what the reference says of completions, computed once and kept by content.

The key is the base model, the reference's adapter and the token ids, so another run finds the numbers if and only if it
would compute the same ones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from assay.lm import LanguageModel, completion_logprobs, using_adapter
from assay.lm.adapters import adapter_id
from assay.lm.chat import EncodedPair
from assay.lm.logprobs import Body
from assay.records.record import digest
from assay.storage.artifacts import write_atomically


def reference_sums(
    lm: LanguageModel,
    pairs: Sequence[EncodedPair],
    adapter: str | None,
    *,
    cache: Path | None = None,
    body: Body | None = None,
) -> torch.Tensor:
    """Log-probability sums [pairs] in nats under an adapter (None is the base); read from `cache` where they are there.

    Raises StorageError when the cache (a directory) cannot be written.
    """
    path = None if cache is None else cache / f"{_key(lm, pairs, adapter)}.safetensors"
    if path is not None and path.exists():
        return load_file(path)["sums"]
    with using_adapter(lm, adapter):
        scored = completion_logprobs(lm, pairs, body=body)
    sums = torch.tensor([float(np.sum(part)) for part in scored])
    if path is not None:
        write_atomically(path, save({"sums": sums}))
    return sums


def _key(lm: LanguageModel, pairs: Sequence[EncodedPair], adapter: str | None) -> str:
    reference = None if adapter is None else adapter_id(lm, adapter)
    return digest({"model": lm.id, "reference": reference, "pairs": [list(pair) for pair in pairs]})
