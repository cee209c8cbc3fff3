"""Paths: what optimising a reward does to everything else, exactly: best-of-n for every n, and the KL-tilted optimum.

Takes a reward [prompts, N] of candidates drawn from the base policy; yields a path of checkpoints, each a KL and a
weight for every candidate, under which the mean of any score is exact. No policy is trained and nothing is resampled.

    best-of-n   the unbiased estimator over subsets of size n, from `assay.rewards.best_of_n`
    tilt        pi(y) ~ exp(r(y) / b) on the candidates, the optimum of reward minus b times KL to the base policy
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from assay.rewards.best_of_n import best_of_n_kl, best_of_n_weights

STRENGTHS = 24
"""Checkpoints of a tilt path."""
WEAKEST = 8.0
"""The largest b, in reference standard deviations of the reward."""
STEPS_TO_HALF = 4
"""Checkpoints in which b halves."""


class Path(NamedTuple):
    """Checkpoints in the order of optimisation: `kl` [c] in nats, and each score's mean [c, scores]."""

    kl: np.ndarray
    means: np.ndarray


class Ranked(NamedTuple):
    """Candidates of each prompt from the worst to the best: their numbers `order` and their `rewards`, [prompts, N]."""

    order: np.ndarray
    rewards: np.ndarray


def rank(rewards: np.ndarray) -> Ranked:
    """Sort the candidates of rewards [prompts, N]."""
    order = np.argsort(rewards, axis=1)
    return Ranked(order, np.take_along_axis(rewards, order, axis=1))


@lru_cache(maxsize=4)
def rank_weights(candidates: int) -> np.ndarray:
    """Best-of-n weights [n, rank] for n = 1..N where no two rewards are equal, ranks ascending."""
    ranks = np.arange(candidates, dtype=float)[None]
    return np.concatenate([best_of_n_weights(ranks, n) for n in range(1, candidates + 1)])


@lru_cache(maxsize=4)
def bound_kl(candidates: int) -> np.ndarray:
    """KL in nats of best-of-n, n = 1..N."""
    return np.array([best_of_n_kl(n) for n in range(1, candidates + 1)])


@lru_cache(maxsize=4)
def n_grid(candidates: int) -> np.ndarray:
    """Checkpoints of a best-of-n path: values of n, two an octave, from 1 to N."""
    steps = int(2 * np.log2(candidates))
    return np.unique(np.round(2 ** (np.arange(steps + 1) / 2)).astype(int))


def best_of_n(ranked: Ranked, scores: np.ndarray) -> Path:
    """The path over every n = 1..N for scores [prompts, N, k]; candidates of equal reward share."""
    prompts, candidates, columns = scores.shape
    # Whole rows are taken by their flat numbers: six times as fast as numpy's own way along an axis.
    rows = ranked.order + candidates * np.arange(prompts)[:, None]
    by_rank = scores.reshape(-1, columns).take(rows, axis=0)
    for row in np.flatnonzero((ranked.rewards[:, 1:] == ranked.rewards[:, :-1]).any(1)):
        by_rank[row] = _shared(ranked.rewards[row], by_rank[row])
    return Path(bound_kl(candidates), rank_weights(candidates) @ by_rank.mean(0, dtype=np.float64))


def sample_best_of_n(ranked: Ranked, grid: np.ndarray, *, per_prompt: int, rng: np.random.Generator) -> np.ndarray:
    """Candidate numbers [c, prompts, per_prompt] as best-of-n would return them, for each n of the grid [c].

    Equal rewards go by their place in the order.
    """
    prompts, candidates = ranked.order.shape
    below = np.cumsum(rank_weights(candidates)[grid - 1], axis=1)
    chance = rng.random((len(grid), prompts, per_prompt))
    ranks = np.stack([np.searchsorted(sums, at) for sums, at in zip(below, chance, strict=True)])
    return np.asarray(ranked.order[np.arange(prompts)[:, None], np.minimum(ranks, candidates - 1)])


def _shared(ordered: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Scores [N, k] where candidates of equal reward each have their group's mean."""
    _, group, sizes = np.unique(ordered, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), scores.shape[1]))
    np.add.at(sums, group, scores)
    return np.asarray((sums / sizes[:, None])[group])


def tilt_strengths() -> np.ndarray:
    """The values of b [c], falling."""
    return WEAKEST * 2.0 ** (-np.arange(STRENGTHS) / STEPS_TO_HALF)


def tilt(rewards: np.ndarray, scores: np.ndarray) -> Path:
    """The path of the tilted optimum of rewards [prompts, N] for scores [prompts, N, k], from the weakest b on.

    Its KL has the closed form E[r] / b - log mean exp(r / b).
    """
    raised = (rewards - rewards.max(1, keepdims=True)).astype(np.float32)
    strengths = tilt_strengths()
    unscaled = _exponentials(raised, strengths)
    sums = unscaled.sum(2, dtype=np.float64)
    columns = np.concatenate([scores, raised[..., None]], axis=2, dtype=np.float32)
    means = np.matmul(unscaled.transpose(1, 0, 2), columns).transpose(1, 0, 2) / sums[..., None]
    kl = means[..., -1] / strengths[:, None] - np.log(sums / rewards.shape[1])
    return Path(kl.mean(1), means[..., :-1].mean(1))


def _exponentials(raised: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """exp(raised / b) [c, prompts, N]; as exp(r / (b/2)) is exp(r / b) squared, only the first few are computed."""
    powers = np.empty((len(strengths), *raised.shape), dtype=np.float32)
    for c, strength in enumerate(strengths):
        if c < STEPS_TO_HALF:
            np.exp(raised / np.float32(strength), out=powers[c])
        else:
            np.square(powers[c - STEPS_TO_HALF], out=powers[c])
    return powers


def weighted_kl(weights: np.ndarray) -> np.ndarray:
    """KL in nats [c] of weights [c, prompts, N] to the base policy, the mean over prompts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(weights > 0, weights * np.log(weights), 0.0)
    return np.asarray(terms.sum(2).mean(1) + np.log(weights.shape[2]))


def weighted(weights: np.ndarray, scores: np.ndarray) -> Path:
    """The path of any weights [c, prompts, N] for scores [prompts, N, k]."""
    by_prompt = np.matmul(weights.transpose(1, 0, 2), scores.astype(weights.dtype))
    return Path(weighted_kl(weights), by_prompt.mean(0).astype(np.float64))
