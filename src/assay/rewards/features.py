"""Features: what rewards see of a (prompt, completion) pair: frozen backbone states and the text's surface.

The backbone is the base model with its adapters off, so a policy cannot move the features it is judged by. A set of
features is computed once and cached by content; five members then cost what one does.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save

from assay.lm import LanguageModel, encode_pair, hidden_features, using_adapter
from assay.records.conversation import Prompt
from assay.records.record import digest
from assay.storage.artifacts import write_atomically

SURFACE_NAMES = (
    "log_words",
    "ends_sentence",
    "log_lines",
    "list_marks",
    "exclamations",
    "questions",
    "mean_word_length",
)


class Features(NamedTuple):
    """Features of n pairs: `mean` and `last` states float32 [n, layers, width], `surface` float64 [n, 7]."""

    mean: np.ndarray
    last: np.ndarray
    surface: np.ndarray

    def take(self, rows: Sequence[int] | np.ndarray) -> "Features":
        """The features of some rows."""
        return Features(self.mean[rows], self.last[rows], self.surface[rows])


def read_features(
    lm: LanguageModel,
    prompts: Sequence[Prompt],
    completions: Sequence[str],
    *,
    layers: Sequence[int],
    cache: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> Features:
    """Features of each pair; read from `cache` (a directory) when the same set was read before.

    Raises StorageError when the cache cannot be written.
    """
    surface = np.array([surface_features(text) for text in completions], dtype=np.float64).reshape(-1, 7)
    texts = [[[m.model_dump() for m in prompt], text] for prompt, text in zip(prompts, completions, strict=True)]
    name = digest({"model": lm.id, "layers": list(layers), "pairs": texts})
    path = None if cache is None else cache / f"{name}.safetensors"
    if path is not None and path.exists():
        stored = load_file(path)
        if progress is not None:
            progress(len(completions))
        return Features(stored["mean"], stored["last"], surface)
    pairs = [encode_pair(lm, prompt, text) for prompt, text in zip(prompts, completions, strict=True)]
    with using_adapter(lm, None):
        hidden = hidden_features(lm, pairs, layers, progress=progress)
    if path is not None:
        _store(path, hidden.mean, hidden.last)
    return Features(hidden.mean, hidden.last, surface)


def surface_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names themselves. Raises ValueError, as a setting's check does, for one that is no column of the surface."""
    unknown = sorted(set(names) - set(SURFACE_NAMES))
    if unknown:
        raise ValueError(f"expected names among {list(SURFACE_NAMES)}; got {unknown}")
    return names


def surface_features(text: str) -> list[float]:
    """The seven numbers of `SURFACE_NAMES`: what a hurried reader sees of a completion."""
    words = text.split()
    lines = [line for line in text.splitlines() if line.strip()]
    marks = sum(bool(re.match(r"\s*(?:[-*•]|\d+[.)])\s", line)) for line in lines)
    return [
        float(np.log1p(len(words))),
        float(text.rstrip().endswith((".", "!", "?", '"', ")"))),
        float(np.log1p(len(lines))),
        float(np.log1p(marks)),
        float(np.log1p(text.count("!"))),
        float(np.log1p(text.count("?"))),
        float(np.mean([len(word) for word in words])) if words else 0.0,
    ]


def _store(path: Path, mean: np.ndarray, last: np.ndarray) -> None:
    write_atomically(path, save({"mean": mean, "last": last}))
