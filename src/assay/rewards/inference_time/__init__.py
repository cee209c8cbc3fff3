"""Inference time: takes rewards of N candidates a prompt, yields with what probability each should be answered.

`selection` says what the rules share (weights, their exact KL, expectations), `soft_best_of_n`, `best_of_poisson`,
`pessimism` and `best_of_tails` are rules with one knob, `mbr` changes the rewards that a rule sees, `hedging` chooses a
knob where some true scores are known. Arrays only: no language model is needed.
"""

from collections.abc import Mapping

import numpy as np

from assay.rewards.best_of_n import best_of_n_weights
from assay.rewards.inference_time.best_of_poisson import best_of_poisson_kl, best_of_poisson_weights
from assay.rewards.inference_time.best_of_tails import best_of_tails_weights, hill_index, tsallis_weights
from assay.rewards.inference_time.hedging import Hedge, hedge
from assay.rewards.inference_time.mbr import mbr_rewards, mean_cosine, mean_similarity
from assay.rewards.inference_time.pessimism import pessimism_cutoff, pessimism_sample, pessimism_weights
from assay.rewards.inference_time.selection import Selection, expected, selection_kl
from assay.rewards.inference_time.soft_best_of_n import soft_best_of_n_weights


def _best_of_n(rewards: np.ndarray, n: float, /) -> np.ndarray:
    return best_of_n_weights(rewards, int(n))


SELECTIONS: Mapping[str, Selection] = {
    "best_of_n": _best_of_n,
    "best_of_poisson": best_of_poisson_weights,
    "best_of_tails": best_of_tails_weights,
    "pessimism": pessimism_weights,
    "soft_best_of_n": soft_best_of_n_weights,
}
"""The named rules; the knob is n, mu, b, b and temperature. MBR-BoN is `best_of_n` on `mbr_rewards`."""

__all__ = [
    "SELECTIONS",
    "Hedge",
    "Selection",
    "best_of_poisson_kl",
    "best_of_poisson_weights",
    "best_of_tails_weights",
    "expected",
    "hedge",
    "hill_index",
    "mbr_rewards",
    "mean_cosine",
    "mean_similarity",
    "pessimism_cutoff",
    "pessimism_sample",
    "pessimism_weights",
    "selection_kl",
    "soft_best_of_n_weights",
    "tsallis_weights",
]
