"""MBR-BoN: adds to a reward how like the other candidates a candidate is, so that a lone extreme does not win.

    r_i + weight * mean_{j != i} similarity(i, j)

Jinnai et al. 2024 (arXiv 2404.01054); the similarity term is minimum Bayes risk decoding. It changes rewards, not the
choice, so it goes before any selection: best-of-n is theirs. Their best weight lies between 0.5 and 20, by the reward;
about ten prompts settle it.

With cosine similarity the mean over the others needs no pairs: it is u_i . (sum_j u_j - u_i) / (N - 1) for unit vectors
u, so N d work where pairs cost N^2 d. Any other similarity goes through `mean_similarity`, in blocks of rows.

Catches: an odd completion that only the reward likes. Does not catch: a trick that most candidates use.
"""

from collections.abc import Callable

import numpy as np

from assay.records.errors import InputError, explain
from assay.rewards.inference_time.selection import as_rewards

BLOCK_ROWS = 256


def mbr_rewards(rewards: np.ndarray, features: np.ndarray, weight: float) -> np.ndarray:
    """Rewards [prompts, N] plus `weight` times the mean cosine of features [prompts, N, d] with the others'."""
    values = as_rewards(rewards)
    if features.ndim != 3 or features.shape[:2] != values.shape:
        expected = f"features [{values.shape[0]}, {values.shape[1]}, d]"
        do = "read the features of the very candidates that were scored"
        raise InputError(explain(expected=expected, got=str(list(features.shape)), do=do))
    return np.asarray(values + weight * mean_cosine(features))


def mean_cosine(features: np.ndarray) -> np.ndarray:
    """Mean cosine [prompts, N] of each candidate with the others, for features [prompts, N, d]; 0 for a lone one.

    A zero vector is like nothing: cosine 0 with all.
    """
    x = np.asarray(features, dtype=np.float64)
    norm = np.linalg.norm(x, axis=2, keepdims=True)
    unit = np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
    with_all = np.einsum("pnd,pd->pn", unit, unit.sum(1))
    with_itself = np.einsum("pnd,pnd->pn", unit, unit)
    return np.asarray((with_all - with_itself) / max(1, x.shape[1] - 1))


def mean_similarity(
    similarity: Callable[[slice], np.ndarray], candidates: int, *, block_rows: int = BLOCK_ROWS
) -> np.ndarray:
    """Mean similarity [prompts, N] of each candidate with the others, for a similarity that must look at pairs.

    `similarity(rows)` gives [prompts, rows, N] for a block of candidates against all; for a matrix [prompts, N, N] that
    is `lambda rows: matrix[:, rows]`. No more than a block is held at once.
    """
    blocks = []
    for start in range(0, candidates, block_rows):
        rows = slice(start, min(start + block_rows, candidates))
        block = np.asarray(similarity(rows), dtype=np.float64)
        own = block[:, np.arange(rows.stop - start), np.arange(start, rows.stop)]
        blocks.append((block.sum(2) - own) / max(1, candidates - 1))
    return np.concatenate(blocks, axis=1)
