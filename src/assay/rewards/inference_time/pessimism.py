"""InferenceTimePessimism: chooses in proportion to how far a reward clears a cutoff, and so is not pulled to the end.

    w_i = relu((r_i - l) / b),   l such that mean_i w_i = 1;   candidate i is chosen with probability w_i / N

Huang et al. 2025 (arXiv 2503.21878, algorithm 1): the optimum of reward minus b/2 times the chi-squared distance to the
base. The chance of a candidate is at most linear in its reward, where best-of-n gives the highest everything.

The cutoff is exact, with no search: w/N is the projection of r/(N b) onto the simplex, found by one sort. b to 0 is
best-of-N, b to infinity the base. Catches: a reward whose few highest values are errors. Does not catch: a reward that
is wrong at every height, or a trick that most candidates already use.
"""

from typing import NamedTuple

import numpy as np

from assay.records.errors import InputError, explain
from assay.rewards.inference_time.selection import as_rewards, require_knob


def pessimism_weights(rewards: np.ndarray, b: float) -> np.ndarray:
    """Selection weights [prompts, N], rows sum to 1, of rewards [prompts, N] with regularisation b > 0."""
    return _normalised(rewards, b)[0]


def pessimism_cutoff(rewards: np.ndarray, b: float) -> np.ndarray:
    """The cutoff l [prompts] with mean relu((r - l)/b) = 1 over each row of rewards [prompts, N]."""
    _, threshold = _normalised(rewards, b)
    values = as_rewards(rewards)
    return np.asarray(values.max(1) + values.shape[1] * b * threshold)


class Chosen(NamedTuple):
    """What the sampler took: `draw` [prompts], the column of each prompt's choice, accepted or else the fallback."""

    draw: np.ndarray
    is_accepted: np.ndarray


def pessimism_sample(
    rewards: np.ndarray, draws: np.ndarray, *, b: float, bound: float, rng: np.random.Generator
) -> Chosen:
    """Choose among fresh draws [prompts, K] by rejection, with the cutoff taken from other rewards [prompts, N].

    A draw is accepted with probability min(w / bound, 1), in order; the last draw of a row is kept aside, untried, and
    returned where all others are refused. Exact where `bound` is at least the largest w and K is large; a smaller
    bound accepts sooner and flattens the highest rewards, which is pessimism of a second kind.
    Raises InputError where the prompts differ or K < 2.
    """
    require_knob("bound", bound, above=0)
    fresh = as_rewards(draws)
    cutoff = pessimism_cutoff(rewards, b)
    if fresh.shape[0] != len(cutoff) or fresh.shape[1] < 2:
        do = "draw at least two fresh completions for each prompt"
        expected = f"draws [{len(cutoff)}, K >= 2]"
        raise InputError(explain(expected=expected, got=f"{list(fresh.shape)}", do=do))
    chance = np.minimum(np.maximum(fresh - cutoff[:, None], 0) / b / bound, 1)
    chance[:, -1] = 1
    accepted = rng.random(fresh.shape) < chance
    draw = accepted.argmax(1)
    return Chosen(draw, draw < fresh.shape[1] - 1)


def _normalised(rewards: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights [prompts, N], and the cutoff [prompts] in units of N b below the highest reward."""
    require_knob("b", b, above=0)
    values = as_rewards(rewards)
    count = values.shape[1]
    below = (values - values.max(1, keepdims=True)) / (count * b)
    ordered = -np.sort(-below, axis=1)
    total = np.cumsum(ordered, axis=1)
    size = np.arange(1, count + 1)
    supported = (1 + size * ordered > total).sum(1, keepdims=True)
    threshold = (np.take_along_axis(total, supported - 1, axis=1) - 1) / supported
    weights = np.maximum(below - threshold, 0)
    return weights / weights.sum(1, keepdims=True), threshold[:, 0]
